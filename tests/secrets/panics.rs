//! A panic, whose message may quote anything in memory. No request is known that makes the gateway
//! panic, so the test makes a process panic in the same way.

use std::{env, process::Command, thread};

use zapi_to_ryze::telemetry;

use super::{PHONE, assert_all_hushed, secret};
use crate::process::Process;

/// Set for [`panicking`], which changes the panic hook of its process and needs one of its own.
const ALONE: &str = "PANIC_ALONE";

/// Passes without the variable.
#[test]
fn panicking() {
    if env::var_os(ALONE).is_none() {
        return;
    }
    telemetry::hide_panic_messages();
    let text = format!("{}é {PHONE}", secret("zapi1"));
    let in_a_letter = text.find('é').unwrap() + 1;
    let messages: [fn(&str, usize); 3] = [
        |text, at| assert_eq!(&text[..at], ""),
        |text, _| panic!("{text}"),
        |text, _| text.parse::<bool>().map_err(|_| text).map(drop).unwrap(),
    ];
    for message in messages {
        let text = text.clone();
        assert!(
            thread::spawn(move || message(&text, in_a_letter))
                .join()
                .is_err()
        );
    }
}

#[tokio::test]
async fn nothing_surfaces_of_a_panic_but_its_place() {
    let mut alone = Command::new(env::current_exe().unwrap());
    let name = concat!(module_path!(), "::panicking");
    let name = name.split_once("::").unwrap().1;
    alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1");
    let ended = Process::start(&mut alone).ended().await;
    assert!(ended.stdout.contains("1 passed"), "{ended:?}");
    let places = ended.stderr.matches("panic at tests/secrets/panics.rs:");
    assert_eq!(places.count(), 3, "{ended:?}");
    assert_all_hushed(&ended);
}
