//! The metrics in alerts, dashboard and documents are those that a running gateway exports. Their values
//! are in `operator/metrics.rs` and the modules on what is counted; `deploy/prometheus/alerts.test.yml`
//! tests when each alert fires.

mod shown;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    net::SocketAddr,
    path::Path,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;

use self::{
    shown::Shown,
    text::{code, grouped, labels, named, queries, rows},
};
use crate::{
    harness::{Setup, Step, Upstream, answer, answers, photo, post, soon},
    process::{Process, file, program, send},
};

const ALERTS: &str = "deploy/prometheus/alerts.yml";
const ALERT_TESTS: &str = "deploy/prometheus/alerts.test.yml";
const DASHBOARD: &str = "deploy/grafana/dashboard.json";
const RUNBOOK: &str = "docs/runbook.md";
const OPERATIONS: &str = "docs/operations.md";
/// Ryze's answer to the change that [`photo`] asks for.
const CONFIRMED: &str = r#"{"success":true,"settings":{"visibility":{"profile":"contacts"}}}"#;
/// What it says is left for the next minute.
const RATE: &str = "Date: Sun, 22 Nov 2026 03:00:00 GMT\r\nX-RateLimit-Remaining: 42\r\n\
                    X-RateLimit-Reset: 1795316460\r\n";

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A gateway with this configuration, and where it is administered.
async fn serve(configuration: &str) -> (Process, SocketAddr) {
    let file = file(configuration);
    let mut command = program(["serve", "--config"]);
    let mut gateway = Process::start(command.arg(file.path()));
    let admin = gateway.admin_address().await;
    (gateway, admin)
}

async fn metrics(admin: SocketAddr) -> String {
    let reply = send(admin, "GET /metrics HTTP/1.1\r\nHost: gateway\r\n\r\n").await;
    assert_eq!(reply.status, 200);
    reply.message.body
}

/// What gateways show: one after a change that Ryze confirmed and a call that went to the fallback, and one
/// that has a certificate.
async fn shown() -> Shown {
    let ryze = Upstream::start(Step::Send(answer(200, RATE, CONFIRMED))).await;
    let fallback = Upstream::start(answers(200, "{}")).await;
    let setup = Setup {
        fallback: format!("base_url = \"{}\"", fallback.base_url),
        ..Setup::default()
    };
    let configuration = setup.toml(&ryze.base_url);
    let (mut gateway, admin) = serve(&configuration).await;
    let address = gateway.address().await;
    assert!(send(address, photo("CONTACTS")).await.is_success());
    let message = post("/instances/I1/token/T1/send-text", "{}");
    assert_eq!(send(address, message).await.status, 200);
    let mut shown = Shown::default();
    // The caller may have its answer before it is counted.
    let counted = async {
        loop {
            let text = metrics(admin).await;
            if text.contains("zapi_to_ryze_forwarded_calls_total{") {
                return text;
            }
        }
    };
    shown.add(&soon(counted).await);

    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["gateway".to_owned()]).unwrap();
    let (certificate, key) = (file(&cert.pem()), file(&signing_key.serialize_pem()));
    let tls = format!(
        "{configuration}[server.tls]\ncert_file = {:?}\nkey_file = {:?}\n",
        certificate.path(),
        key.path()
    );
    let (_secure, admin) = serve(&tls).await;
    shown.add(&metrics(admin).await);
    shown
}

#[tokio::test]
async fn every_metric_and_label_that_is_named_exists() {
    let shown = shown().await;
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let mut texts = vec![(DASHBOARD, queries(&dashboard).join("\n"))];
    texts.extend([ALERTS, ALERT_TESTS, RUNBOOK, OPERATIONS].map(|path| (path, read(path))));
    let mut faults = Vec::new();
    for (path, text) in &texts {
        let named = named(text);
        assert!(named.len() > 10, "{path}: few metrics were found");
        let matched = named
            .iter()
            .map(|(name, end)| (*name, labels(&text[*end..])));
        // That file groups alerts, not metrics.
        let grouped = if *path == ALERT_TESTS {
            Vec::new()
        } else {
            grouped(text)
        };
        for (name, labels) in matched.chain(grouped) {
            let fault = shown.fault(name, &labels);
            faults.extend(fault.map(|fault| format!("{path}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn the_guide_has_every_metric_with_its_type_and_labels() {
    let shown = shown().await;
    let guide = read(OPERATIONS);
    let told: BTreeMap<_, _> = rows(&guide, "Metric")
        .into_iter()
        .map(|row| {
            let name = code(row[0]).pop_first().unwrap();
            (name, (row[1].to_owned(), code(row[2])))
        })
        .collect();
    let exist: BTreeMap<_, _> = shown
        .types
        .into_iter()
        .map(|(name, kind)| {
            let labels: BTreeSet<_> = shown.labels[&name].keys().cloned().collect();
            (name, (kind, labels))
        })
        .collect();
    assert_eq!(told, exist);
}

#[tokio::test]
async fn the_guide_has_every_field_of_the_log_line() {
    let ryze = Upstream::start(answers(200, CONFIRMED)).await;
    let (mut gateway, address) = Process::serve(&Setup::default().toml(&ryze.base_url)).await;
    assert!(send(address, photo("CONTACTS")).await.is_success());
    let line = gateway.stderr.line("\"request_id\"").await;
    let line: BTreeMap<String, Value> = serde_json::from_str(&line).unwrap();
    let of_every_line = ["timestamp", "level", "message"];
    let written = line
        .keys()
        .filter(|field| !of_every_line.contains(&field.as_str()));

    let guide = read(OPERATIONS);
    let mut told: BTreeSet<_> = rows(&guide, "Field")
        .iter()
        .flat_map(|row| code(row[0]))
        .collect();
    // Its caller has no trace, it went alone, and it succeeded.
    for absent in ["trace_id", "sent_as", "reason"] {
        assert!(told.remove(absent), "{absent}");
    }
    assert_eq!(told, written.cloned().collect());

    let example = guide
        .lines()
        .find(|line| line.starts_with("{\"timestamp\""));
    let example: BTreeMap<String, Value> = serde_json::from_str(example.unwrap()).unwrap();
    let fields: BTreeSet<_> = example
        .into_keys()
        .filter(|field| field != "trace_id")
        .collect();
    assert_eq!(fields, line.into_keys().collect());
}

/// The words of a text, separated by one space.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the runbook says that an alert means, without links and markup.
fn meaning(runbook: &str, alert: &str) -> String {
    let (_, section) = runbook.split_once(&format!("## {alert}\n")).expect(alert);
    let (_, meaning) = section.split_once("**Means.** ").unwrap();
    let (meaning, _) = meaning.split_once("\n\n").unwrap();
    let mut parts = meaning.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text += part.split_once(')').unwrap().1;
    }
    words(&text.replace(['`', '['], ""))
}

#[test]
fn every_alert_has_its_section_and_its_test_and_there_is_no_other_section() {
    let alerts = read(ALERTS);
    let runbook = read(RUNBOOK);
    let after = |line: &str, word: &str| Some(line.trim().strip_prefix(word)?.to_owned());
    let mut names = BTreeSet::new();
    for rule in alerts.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        let section = format!("{RUNBOOK}#{}", name.to_lowercase());
        let link = rule.lines().find_map(|line| after(line, "runbook: "));
        assert_eq!(link.as_ref(), Some(&section), "{name}");
        let url = rule.lines().find_map(|line| after(line, "runbook_url: "));
        let expected = format!("https://example.com/zapi-to-ryze/{section}");
        assert_eq!(url, Some(expected), "{name}");
        let (_, description) = rule.split_once("description: >-\n").expect(name);
        let (description, _) = description.split_once("runbook: ").unwrap();
        assert_eq!(words(description), meaning(&runbook, name), "{name}");
        names.insert(name.to_owned());
    }
    let sections = runbook.lines().filter_map(|line| after(line, "## "));
    let sections: BTreeSet<_> = sections.filter(|title| !title.contains(' ')).collect();
    assert_eq!(names, sections);
    for part in ["**Means.**", "**See more.**", "**Fix.**", "**No action**"] {
        assert_eq!(runbook.matches(part).count(), names.len(), "{part}");
    }
    let tests = read(ALERT_TESTS);
    let untested: Vec<_> = names.iter().filter(|name| !tests.contains(*name)).collect();
    assert!(untested.is_empty(), "{untested:?}");
}

#[test]
fn every_link_between_the_operators_documents_leads_somewhere() {
    for path in [RUNBOOK, OPERATIONS] {
        let text = read(path);
        for target in text.split("](").skip(1) {
            let (target, _) = target.split_once(')').unwrap();
            let (file, section) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => Path::new(path).to_owned(),
                file => Path::new("docs").join(file),
            };
            let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            assert!(there.exists(), "{path}: {target}");
            if !section.is_empty() {
                let text = fs::read_to_string(there).unwrap();
                let mut titles = text
                    .lines()
                    .filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
                let anchor = |title: &str| title.to_lowercase().replace(' ', "-");
                assert!(
                    titles.any(|title| anchor(title) == section),
                    "{path}: {target}"
                );
            }
        }
    }
}

#[test]
fn the_dashboard_is_sound() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut cells) = (HashSet::new(), HashSet::new());
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24, "{title} is too wide");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{title} overlaps another panel");
        }
        if panel["type"] != "row" {
            assert_ne!(
                panel["description"].as_str().unwrap_or_default(),
                "",
                "{title}"
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert_ne!(panel["targets"][0]["expr"], Value::Null, "{title}");
        }
    }
}
