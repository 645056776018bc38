//! The scripts in `packaging/` and the workflows that run them. Nothing is built: a stub stands in for
//! each tool.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

const TARGET: &str = "x86_64-unknown-linux-gnu";
const OTHER: &str = "aarch64-unknown-linux-gnu";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// A machine whose tools do nothing and succeed, with a compiler for [`TARGET`].
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for tool in ["cargo", "cc", "curl", "openssl", "dpkg-shlibdeps", "gzip"] {
            machine.tool(&format!("bin/{tool}"), "");
        }
        machine.tool("bin/tar", "echo GNU");
        let sysroot = machine.path("sysroot");
        let compiler = format!(
            "case $1 in -vV) echo host: {TARGET} ;; --print) echo {} ;; esac",
            sysroot.display()
        );
        machine.tool("bin/rustc", &compiler);
        fs::create_dir_all(machine.library(TARGET)).unwrap();
        machine.tool(&machine.profdata(), "");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn library(&self, target: &str) -> PathBuf {
        self.path(&format!("sysroot/lib/rustlib/{target}/lib"))
    }

    fn profdata(&self) -> String {
        format!("sysroot/lib/rustlib/{TARGET}/bin/llvm-profdata")
    }

    fn tool(&self, name: &str, script: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What a script of `packaging/` writes to stderr before it fails.
    fn failure(&self, script: &str, arguments: &[&str]) -> String {
        let ended = Command::new("bash")
            .arg(root().join("packaging").join(script))
            .args(arguments)
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .env("CARGO_TARGET_DIR", self.path("target"))
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(1), "{script} {arguments:?}");
        String::from_utf8(ended.stderr).unwrap()
    }
}

#[test]
fn a_profile_is_refused_with_the_cure_where_a_tool_is_missing() {
    let cures = [
        ("bin/cargo", "install Rust with rustup"),
        ("bin/cc", "install a C compiler"),
        ("bin/curl", "install curl"),
        ("bin/openssl", "install openssl"),
    ];
    for (tool, cure) in cures {
        let machine = Machine::new();
        machine.tool(tool, "exit 1");
        let said = machine.failure("profile", &[]);
        assert!(said.contains(cure), "{tool}: {said}");
    }
    let machine = Machine::new();
    fs::remove_file(machine.path(&machine.profdata())).unwrap();
    let said = machine.failure("profile", &[]);
    assert!(said.contains("rustup component add llvm-tools"), "{said}");
    let said = machine.failure("profile", &["--target", OTHER]);
    assert!(
        said.contains(&format!("rustup target add {OTHER}")),
        "{said}"
    );
    let said = machine.failure("profile", &["--tag", "v1"]);
    assert!(said.contains("--tag is not --target"), "{said}");
}

#[test]
fn a_release_is_built_with_the_profile_of_its_target_and_version() {
    let machine = Machine::new();
    let cure = format!("packaging/profile --target {TARGET}");
    let said = machine.failure("build", &["--tag", "v0"]);
    assert!(said.contains("a release is built with a profile"), "{said}");
    assert!(said.contains(&cure), "{said}");

    let version = env!("CARGO_PKG_VERSION");
    for (name, exists) in [
        (format!("zapi-to-ryze-{version}-{OTHER}.profdata"), true),
        (format!("zapi-to-ryze-0.0.0-{TARGET}.profdata"), true),
        (format!("zapi-to-ryze-{version}-{TARGET}.profdata"), false),
    ] {
        let path = machine.path(&name);
        if exists {
            fs::write(&path, "").unwrap();
        }
        let said = machine.failure("build", &["--profile", path.to_str().unwrap()]);
        assert!(said.contains("is no file with the name"), "{name}: {said}");
        assert!(said.contains(&cure), "{name}: {said}");
    }
    // Without one, a build for the own machine goes on to the compiler, which the stub is not.
    let said = machine.failure("build", &[]);
    assert!(said.contains("without --profile"), "{said}");
    assert!(
        said.contains("build for a target that this machine can run"),
        "{said}"
    );
}

/// The commands of each `run` that has all of the words, as one line.
fn runs(workflow: &str, words: &[&str]) -> usize {
    let workflow = text(&format!(".github/workflows/{workflow}.yml"));
    let steps = workflow
        .split("      - ")
        .filter(|step| step.contains("run:"));
    steps
        .filter(|step| words.iter().all(|word| step.contains(word)))
        .count()
}

#[test]
fn the_workflows_make_the_profile_that_they_build_with() {
    let profile = "profile=$(packaging/profile";
    let used = "--profile \"$profile\"";
    for workflow in ["release", "checks"] {
        assert_eq!(runs(workflow, &["packaging/build"]), 1, "{workflow}");
        assert_eq!(
            runs(workflow, &[profile, "packaging/build", used]),
            1,
            "{workflow}"
        );
        assert_eq!(
            runs(workflow, &["rustup component add llvm-tools"]),
            1,
            "{workflow}"
        );
    }
    let target = "--target \"$TARGET\"";
    let of_target = format!("{profile} {target})\n");
    let built = format!("packaging/build {target} --tag");
    assert_eq!(runs("release", &[&of_target, &built]), 1);
}
