//! `tests/run`: what it says before it installs something, and the line in which it counts. It runs with programs
//! of the test in place of cargo, npm and apt-get.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// What `tests/run` needs of a Unix.
const UNIX: [&str; 9] = [
    "bash", "dirname", "sort", "mktemp", "rm", "tee", "awk", "cat", "env",
];
/// What the tests need, apart from cargo and npm.
const PROGRAMS: [&str; 6] = [
    "node",
    "python3",
    "promtool",
    "redis-server",
    "chromium",
    "chromedriver",
];
const PASSED: &str = "\
     Running unittests src/lib.rs (target/debug/deps/zapi_to_ryze-1)
test result: ok. 101 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
     Running unittests src/main.rs (target/debug/deps/zapi_to_ryze-2)
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/tests.rs (target/debug/deps/tests-3)
test result: ok. 733 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 9.00s
   Doc-tests zapi_to_ryze
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

/// A folder of programs that is the whole `PATH`.
struct Programs(TempDir);

impl Programs {
    /// All that is needed; cargo prints `output` and exits with `code`.
    fn new(output: &str, code: u8) -> Self {
        let programs = Self(tempfile::tempdir().unwrap());
        for name in UNIX {
            let path = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
            let path = path.iter().find(|path| path.exists()).unwrap();
            symlink(path, programs.path(name)).unwrap();
        }
        for name in PROGRAMS {
            programs.put(name, "");
        }
        programs.put("npm", "");
        fs::write(programs.path("output"), output).unwrap();
        let print = programs.path("output").display().to_string();
        programs.put(
            "cargo",
            &format!("echo \"cargo $*\"\ncat {print}\nexit {code}"),
        );
        programs
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, script: &str) {
        fs::write(self.path(name), format!("#!/usr/bin/env bash\n{script}\n")).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (Output, String, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run");
        let mut run = Command::new(self.path("bash"));
        let run = run.arg(script).args(arguments).env_clear();
        let output = run.env("PATH", self.0.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        (output, out, err)
    }
}

#[test]
fn the_last_line_counts_and_the_exit_code_is_that_of_cargo() {
    let failed = PASSED.replace("ok. 733 passed; 0 failed", "FAILED. 730 passed; 3 failed");
    let cases = [
        (
            PASSED,
            0,
            "834 tests passed in ",
            " s (101 unit, 733 black-box, 2 ignored)\n",
        ),
        (
            &failed,
            101,
            "3 of 834 tests failed in ",
            " s (passed: 101 unit, 730 black-box, 2 ignored)\n",
        ),
        (
            "error: could not compile\n",
            101,
            "not all tests ran: cargo test ended with 101 after ",
            " s\n",
        ),
    ];
    for (output, code, start, end) in cases {
        let (ended, out, err) = Programs::new(output, code).run(&[]);
        assert_eq!(ended.status.code(), Some(code.into()), "{out}{err}");
        assert!(out.contains(output), "{out}");
        let last = out.split_inclusive('\n').next_back().unwrap();
        let is_right = last.starts_with(&format!("tests/run: {start}")) && last.ends_with(end);
        assert!(is_right, "{last}");
        assert!(err.contains("about 4 minutes to build"), "{err}");
    }
}

#[test]
fn arguments_are_passed_on() {
    let programs = Programs::new(PASSED, 0);
    let all = "cargo test --locked --no-fail-fast";
    for (arguments, passed_on) in [
        (&[][..], format!("{all} -- --include-ignored")),
        (&["budget"], format!("{all} budget -- --include-ignored")),
        (
            &["x", "--", "--nocapture"],
            format!("{all} x -- --nocapture --include-ignored"),
        ),
        (&["--", "--ignored"], format!("{all} -- --ignored")),
    ] {
        let (_, out, _) = programs.run(arguments);
        assert_eq!(out.lines().next(), Some(&*passed_on));
    }
}

/// Only root can install packages, and any user gets the list before.
#[test]
fn what_is_missing_is_said_before_it_is_installed() {
    let programs = Programs::new(PASSED, 0);
    for name in ["chromium", "redis-server"] {
        fs::remove_file(programs.path(name)).unwrap();
    }
    programs.put("apt-get", "echo \"apt-get $*\" >&2");
    let (ended, _, err) = programs.run(&[]);
    let lines: Vec<_> = err.lines().collect();
    if ended.status.success() {
        let first = "tests/run: redis-server chromium not found. Installs the packages chromium redis-server";
        assert!(lines[0].starts_with(first), "{err}");
        let install = lines
            .iter()
            .position(|line| line.starts_with("apt-get install"));
        let builds = lines.iter().position(|line| line.contains("to build"));
        assert!(install > builds, "{err}");
    } else {
        let cure = "tests/run: install redis-server chromium first, on Debian with: apt-get install \
                    --no-install-recommends chromium redis-server";
        assert_eq!((ended.status.code(), &*lines), (Some(1), &[cure][..]));
    }

    let nothing = Programs::new(PASSED, 0);
    fs::remove_file(nothing.path("cargo")).unwrap();
    let (ended, out, err) = nothing.run(&[]);
    assert_eq!((ended.status.code(), &*out), (Some(1), ""));
    assert!(
        err.starts_with("tests/run: install Rust with rustup"),
        "{err}"
    );
}
