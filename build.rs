//! Records the commit and the target for `--version` and the metrics. `/status` has only the version.
//!
//! Without git, or outside a clone of this repository, the commit is unknown unless
//! `ZAPI_TO_RYZE_COMMIT` names it, as `packaging/build` and `Containerfile` do.

use std::{env, fs, path::Path, process::Command};

/// What the program is built from. A change elsewhere does not make its commit dirty.
const INPUTS: [&str; 5] = [
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    "src",
    "docs/runbook.md",
];
const OVERRIDE: &str = "ZAPI_TO_RYZE_COMMIT";
/// Digits of an abbreviated commit.
const DIGITS: usize = 10;

fn main() {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    // The script runs again when the program is compiled again anyway, and when HEAD moves.
    for input in INPUTS {
        println!("cargo::rerun-if-changed={input}");
    }
    let commit = match env::var(OVERRIDE) {
        Ok(commit) => checked(&commit),
        Err(_) => from_git().unwrap_or_default(),
    };
    let variable = |name| env::var(name).unwrap_or_default();
    let version = variable("CARGO_PKG_VERSION");
    let target = variable("TARGET");
    let separator = if commit.is_empty() { "" } else { ", " };
    let prefix = if commit.is_empty() { "" } else { "commit " };
    println!("cargo::rustc-env=BUILD_COMMIT={commit}");
    println!("cargo::rustc-env=BUILD_VERSION={version} ({prefix}{commit}{separator}{target})");
}

/// The commit of the override, abbreviated; a typing error ends the build.
fn checked(commit: &str) -> String {
    let (digits, suffix) = match commit.strip_suffix("-dirty") {
        Some(digits) => (digits, "-dirty"),
        None => (commit, ""),
    };
    let is_commit = digits.is_empty() && suffix.is_empty()
        || digits.len() >= DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_commit {
        println!(
            "cargo::error=set {OVERRIDE} to at least {DIGITS} hexadecimal digits of a commit, \
             or to nothing"
        );
    }
    format!("{}{suffix}", digits.get(..DIGITS).unwrap_or_default())
}

fn from_git() -> Option<String> {
    let root = env::var("CARGO_MANIFEST_DIR").ok()?;
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-C", &root])
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim_end().to_owned())
    };
    // A source archive may have been unpacked within another repository.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != fs::canonicalize(&root).ok()? {
        return None;
    }
    // The log of HEAD grows with each commit and checkout, the file HEAD changes only with the branch.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        // Cargo would run the script each time for a file that does not exist.
        if Path::new(&root).join(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let changes = git(&[&["status", "--porcelain", "--"][..], &INPUTS].concat())?;
    let dirty = if changes.is_empty() { "" } else { "-dirty" };
    Some(format!("{}{dirty}", commit.get(..DIGITS)?))
}
