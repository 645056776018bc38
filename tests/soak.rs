//! The soak of `benches/soak/run`, for as long as a test may take.

use std::process::Command;

use crate::process::without_environment;

/// It stops by itself, and the processes that it starts with it.
#[test]
#[ignore = "needs Python 3"]
fn it_stays_the_size_it_is_and_serves_again_after_a_kill() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/soak/run");
    let mut soak = Command::new("python3");
    soak.args([script, "--minutes", "0.33", "--binary"])
        .arg(env!("CARGO_BIN_EXE_zapi-to-ryze"));
    without_environment(&mut soak);
    let output = soak
        .output()
        .expect("Python 3.9 or later (Debian: apt-get install python3)");
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}
