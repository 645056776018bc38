//! The files in `deploy/`: their commands and keys exist, and their numbers are consistent.
//! `deploy/README.md` says how to check that systemd, Kubernetes and Compose accept them.

use std::{fs, path::Path, time::Duration};

use zapi_to_ryze::config::{self, Config};

use crate::process::{Process, program};

/// The time that the last answers have once the drain is over.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

const CONFIGURATIONS: [&str; 3] = [
    "systemd/gateway.toml",
    "kubernetes/gateway.toml",
    "compose/configuration/gateway.toml",
];

fn text(path: &str) -> String {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    fs::read_to_string(deploy.join(path)).unwrap()
}

/// The configuration at this path, with secrets that are not in a file.
fn configuration(path: &str) -> Config {
    let secret = "{ env = \"SECRET\" } # ";
    let text = text(path).replace("{ file =", secret);
    let loaded = config::parse(&text, &|_| Some("secret".to_owned())).unwrap();
    assert_eq!(loaded.warnings, [], "{path}");
    loaded.config
}

/// The first value of a key, whether it is written `key: value`, `key=value` or `--key=value`.
fn value(text: &str, key: &str) -> String {
    let values = text.lines().filter_map(|line| {
        let rest = line
            .trim_start()
            .trim_start_matches("- ")
            .strip_prefix(key)?;
        rest.strip_prefix([':', '=']).map(str::trim)
    });
    values
        .map(str::to_owned)
        .next()
        .unwrap_or_else(|| panic!("{key} in {text}"))
}

fn seconds(written: &str) -> Duration {
    Duration::from_secs(written.trim_end_matches('s').parse().unwrap())
}

/// The longest that a gateway takes to stop.
fn longest_stop(config: &Config) -> Duration {
    let drain = &config.server.drain;
    drain.delay + drain.limit + LAST_ANSWERS
}

#[test]
fn each_way_to_install_it_has_a_configuration_without_a_fault() {
    for path in CONFIGURATIONS {
        let config = configuration(path);
        assert!(config.admin.listen.ip().is_loopback(), "{path}");
        assert!(config.instances[0].client_token.is_some(), "{path}");
        let fallback = config.fallback.expect(path);
        assert_eq!(fallback.base_url, "https://api.z-api.io", "{path}");
    }
}

#[test]
fn each_grace_period_is_longer_than_a_drain() {
    let graces = [
        ("systemd/zapi-to-ryze.service", "TimeoutStopSec"),
        (
            "kubernetes/deployment.yaml",
            "terminationGracePeriodSeconds",
        ),
        ("compose/compose.yaml", "stop_grace_period"),
    ];
    for (configuration_path, (path, key)) in CONFIGURATIONS.into_iter().zip(graces) {
        let grace = seconds(&value(&text(path), key));
        let longest = longest_stop(&configuration(configuration_path));
        assert!(grace > longest, "{path}: {grace:?} for {longest:?}");
    }
}

#[test]
fn no_pod_has_more_than_its_part_of_the_budget() {
    let deployment = text("kubernetes/deployment.yaml");
    let number = |key: &str| value(&deployment, key).parse::<u32>().unwrap();
    let draining = 1;
    let at_once = number("replicas") + number("maxSurge") + draining;
    let share = configuration("kubernetes/gateway.toml").budget.share();
    assert!(share * at_once <= 100, "{share} for each of {at_once}");
    // What a pod has sent is held against it for so long.
    assert!(number("minReadySeconds") >= 61);
}

#[test]
fn no_more_descriptors_are_needed_than_there_may_be() {
    let limit = value(&text("systemd/zapi-to-ryze.service"), "LimitNOFILE");
    let server = configuration("systemd/gateway.toml").server;
    assert!(limit.parse::<usize>().unwrap() > 2 * server.max_connections);
}

/// The words after the program in each line that calls it, as units, images and YAML have them.
fn calls(text: &str) -> Vec<Vec<&str>> {
    let is_separator = |char: char| char.is_whitespace() || "\"[],=".contains(char);
    // Where the image's entry point is meant, the program is not named.
    let is_program = |word: &&str| {
        word.ends_with("bin/zapi-to-ryze") || ["args:", "command:", "CMD"].contains(word)
    };
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let calls = lines.filter_map(|line| {
        let words = line.split(is_separator).filter(|word| !word.is_empty());
        let mut from_program = words.skip_while(|word| !is_program(word));
        from_program.next()?;
        Some(from_program.skip_while(is_program).collect::<Vec<_>>())
    });
    // A shell stands in for the caller.
    calls
        .filter(|call| call.first().is_some_and(|first| *first != "sh"))
        .collect()
}

#[tokio::test]
async fn every_command_and_flag_exists() {
    let texts = [
        "systemd/zapi-to-ryze.service",
        "../Containerfile",
        "kubernetes/deployment.yaml",
        "compose/compose.yaml",
    ]
    .map(text);
    let mut found: Vec<_> = texts.iter().flat_map(|text| calls(text)).collect();
    found.sort();
    found.dedup();
    for call in &found {
        let help = Process::start(&mut program([call[0], "--help"]));
        let help = help.ended().await;
        assert_eq!(help.code, Some(0), "{call:?}");
        for flag in call.iter().filter(|word| word.starts_with("--")) {
            assert!(help.stdout.contains(flag), "{flag} of {call:?}");
        }
    }
    let commands: Vec<_> = found.iter().map(|call| call[0]).collect();
    for command in ["serve", "check", "healthcheck"] {
        assert!(commands.contains(&command), "{commands:?}");
    }
}

#[test]
fn the_configuration_is_where_its_command_looks_for_it() {
    const PLACE: &str = "/etc/zapi-to-ryze/gateway.toml";
    for path in [
        "systemd/zapi-to-ryze.service",
        "kubernetes/deployment.yaml",
        "compose/compose.yaml",
    ] {
        assert!(text(path).contains(PLACE), "{path}");
    }
}

#[test]
fn the_package_is_a_proxy_until_an_instance_is_written() {
    const PATH: &str = "../packaging/debian/gateway.toml";
    let installed = configuration(PATH);
    assert!(installed.instances.is_empty());
    assert_eq!(installed.fallback.unwrap().base_url, "https://api.z-api.io");
    let lines = text(PATH);
    let lines = lines.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let parsed = config::parse(
        &text.replace("{ file =", "{ env = \"SECRET\" } # "),
        &|_| Some("secret".to_owned()),
    );
    assert_eq!(parsed.unwrap().config.instances.len(), 1);
    assert_eq!(text.matches("/etc/zapi-to-ryze/secrets/").count(), 4);
}

#[test]
fn the_image_has_the_version_of_the_program() {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    assert_eq!(value(&text("../Containerfile"), "ARG VERSION"), VERSION);
    let image = format!("image: zapi-to-ryze:{VERSION}");
    for path in ["kubernetes/deployment.yaml", "compose/compose.yaml"] {
        assert!(text(path).contains(&image), "{path}");
    }
}

/// Cargo builds the dependencies only if each target has a file, and `.dockerignore` lets through what is
/// copied.
#[test]
fn the_image_is_built_from_files_that_exist() {
    let containerfile = text("../Containerfile");
    for line in text("../Cargo.toml").lines() {
        if let Some(path) = line.strip_prefix("path = ") {
            let path = path.trim_matches('"');
            assert!(containerfile.contains(path), "{path}");
        }
    }
    let mut copied: Vec<_> = containerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| line.split(' ').rev().skip(1))
        .collect();
    let ignored = text("../.dockerignore");
    let mut sent: Vec<_> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix("!/"))
        .collect();
    copied.sort_unstable();
    sent.sort_unstable();
    assert_eq!(copied, sent);
    for path in sent {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(root.join(path).exists(), "{path}");
    }
}

/// The files that a configuration takes its secrets from.
fn secrets(path: &str) -> Vec<String> {
    let text = text(path);
    let secrets = text.split("{ file = \"").skip(1);
    secrets
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_secret_is_put_where_the_configuration_says() {
    let mounted = [
        (
            "kubernetes/gateway.toml",
            "kubernetes/secret.yaml",
            "/run/secrets/zapi-to-ryze/",
        ),
        (
            "compose/configuration/gateway.toml",
            "compose/compose.yaml",
            "/run/secrets/",
        ),
    ];
    for (configuration, place, directory) in mounted {
        for secret in secrets(configuration) {
            let name = secret.strip_prefix(directory).unwrap();
            assert!(
                text(place).contains(&format!("  {name}:")),
                "{name} in {place}"
            );
        }
    }
}
