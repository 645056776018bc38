//! The tables of `docs/configuration.md`: the order and the meanings are those of
//! `config/gateway.toml`, everything else comes from the rows of the code. `UPDATE_DOCS=1` rewrites
//! them. The reload column of each row is compared with an actual reload.

use tempfile::NamedTempFile;
use zapi_to_ryze::config::{
    self, Config, Facts, OnReload, Problem,
    reload::{restart_pending, take_over},
};

use crate::{document, process::file};

const GATEWAY: &str = include_str!("../config/gateway.toml");

/// A table of the file.
struct Table {
    /// As it is written, in its brackets.
    head: &'static str,
    about: String,
    is_written: bool,
    keys: Vec<Key>,
}

struct Key {
    name: &'static str,
    value: &'static str,
    about: String,
    is_written: bool,
}

/// The tables in `config/gateway.toml`, those that are commented out too.
fn tables() -> Vec<Table> {
    let mut tables = vec![Table {
        head: "",
        about: "Above the first table.".to_owned(),
        is_written: true,
        keys: Vec::new(),
    }];
    let mut about = Vec::new();
    for line in GATEWAY.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            about.push(comment);
            continue;
        }
        let text = line.strip_prefix('#').unwrap_or(line);
        let is_written = text == line;
        let above = std::mem::take(&mut about).join(" ");
        if text.starts_with('[') {
            tables.push(Table {
                head: text,
                about: above,
                is_written,
                keys: Vec::new(),
            });
        } else if let Some((name, value)) = text.split_once(" = ") {
            tables.last_mut().unwrap().keys.push(Key {
                name,
                value,
                about: above,
                is_written,
            });
        }
    }
    tables
}

impl Table {
    /// The full name of a key, as problems have it.
    fn path(&self, key: &Key) -> String {
        if self.head.is_empty() {
            return key.name.to_owned();
        }
        let table = self.head.replace("[[instances]]", "[instances[0]]");
        let table = table.strip_prefix('[').unwrap().strip_suffix(']').unwrap();
        format!("{table}.{}", key.name)
    }
}

/// Files with certificates, and one with an instance, so that there is what their keys name.
struct Certificates([NamedTempFile; 2], NamedTempFile);

impl Certificates {
    fn new() -> Self {
        let pem = |name: &str| {
            let certificate = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            file(&(certificate.cert.pem() + &certificate.signing_key.serialize_pem()))
        };
        let instance = "[[instances]]\nzapi_instance = \"other\"\nzapi_token = \"t\"\n\
                        ryze_instance = \"other\"\nryze_token = \"t\"\n";
        Self([pem("one"), pem("other")], file(instance))
    }

    fn path(&self, which: usize) -> String {
        format!("{:?}", self.0[which].path())
    }

    /// The value of a key as it is in the documentation, or what stands for it here.
    fn usable(&self, key: &Key) -> String {
        match key.value {
            _ if key.name.ends_with("_file") => self.path(0),
            secret if secret.starts_with('{') => "\"secret\"".to_owned(),
            value => value.to_owned(),
        }
    }

    /// The file as it is shipped, with this key besides or, if it is in a table that is commented
    /// out, with that table. The key has the value, or it is left out.
    fn text(&self, path: &str, value: Option<&str>) -> String {
        let mut text = String::new();
        for table in tables() {
            let is_asked = |key: &Key| table.path(key) == path;
            let is_table_asked = table.keys.iter().any(is_asked);
            if !table.is_written && !is_table_asked {
                continue;
            }
            text += &format!("{}\n", table.head);
            for key in &table.keys {
                let is_socket = path == "server.socket_mode" && table.path(key) == "server.listen";
                let usable = if is_socket {
                    "\"unix:/socket\"".to_owned()
                } else {
                    self.usable(key)
                };
                let value = match value {
                    value if is_asked(key) => value,
                    // A certificate and its key go together.
                    Some(value) if is_table_asked && table.head == "[server.tls]" => Some(value),
                    _ if key.is_written || !table.is_written => Some(usable.as_str()),
                    _ => None,
                };
                if let Some(value) = value {
                    text += &format!("{} = {value}\n", key.name);
                }
            }
        }
        text
    }

    fn parse(&self, path: &str, value: Option<&str>) -> Result<Config, Vec<Problem>> {
        let loaded = config::parse(&self.text(path, value), &|_| None);
        loaded.map(|loaded| loaded.config)
    }

    /// Another value than that of the documentation.
    fn other(&self, path: &str, key: &Key) -> String {
        let must_be = must_be(&facts(path));
        let words: Vec<_> = must_be.split(" or ").collect();
        match key.value.parse::<u32>() {
            Ok(1) => "2".to_owned(),
            Ok(number) => (number - 1).to_string(),
            Err(_) if key.value == "false" => "true".to_owned(),
            Err(_) if must_be.contains("a time") => "\"7s\"".to_owned(),
            Err(_) if words.contains(&key.value) => {
                let other = words.iter().find(|word| **word != key.value);
                (*other.unwrap()).to_owned()
            }
            Err(_) if key.name == "include" => format!("[{:?}]", self.1.path()),
            Err(_) if key.name == "listen" => "\"127.0.0.1:9\"".to_owned(),
            Err(_) if key.name == "socket_mode" => "\"0600\"".to_owned(),
            Err(_) if key.name == "redis" => "\"redis://elsewhere\"".to_owned(),
            Err(_) if key.name.ends_with("_url") => "\"http://elsewhere\"".to_owned(),
            Err(_) if key.name.ends_with("_file") => self.path(1),
            Err(_) => "\"another\"".to_owned(),
        }
    }
}

/// All that a configuration holds, but not whether its default was written.
fn shown(mut config: Config) -> String {
    config.admin.is_optional = false;
    format!("{config:?}")
}

/// What the code says of the key.
fn facts(path: &str) -> Facts {
    let path = path.replace("[0]", "[]");
    let mut keys = config::keys().into_iter();
    keys.find(|key| key.path == path)
        .unwrap_or_else(|| panic!("{path}"))
}

/// What the value must be, without an example: the page has better ones.
fn must_be(facts: &Facts) -> String {
    match facts.must_be.split_once("; write ") {
        Some((rule, hint)) if !hint.starts_with("at least") => rule,
        _ => &facts.must_be,
    }
    .replace(" with one unit (ms, s, m or h) in quotes", "")
    .replace(", without quotes", "")
}

fn needs_restart(path: &str) -> bool {
    facts(path).on_reload == OnReload::Restart
}

fn markdown() -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let mut text = String::new();
    for table in tables() {
        let title = match table.head {
            "" => "The top of the file".to_owned(),
            head => format!("`{head}`"),
        };
        text += &format!("\n## {title}\n\n{}\n\n", table.about);
        text += "| Key | Value | Default | On SIGHUP | Meaning |\n|---|---|---|---|---|\n";
        for key in &table.keys {
            let facts = facts(&table.path(key));
            text += &format!(
                "| `{}` | {} | {} | {} | {} |\n",
                key.name,
                cell(&must_be(&facts)),
                cell(facts.default.as_deref().unwrap_or("none")),
                match facts.on_reload {
                    OnReload::Restart => "restart",
                    OnReload::TakenOver => "taken over",
                },
                cell(&key.about),
            );
        }
    }
    text
}

#[tokio::test]
async fn the_configuration_reference_is_up_to_date() {
    document::is_up_to_date("configuration", async |file| {
        let (before, rest) = file.split_once("<!-- keys -->\n").expect("a marker");
        let (_, after) = rest.split_once("\n<!-- end -->").expect("an end");
        format!("{before}<!-- keys -->\n{}\n<!-- end -->{after}", markdown())
    })
    .await;
}

#[test]
fn a_change_of_each_key_needs_a_restart_if_the_reference_says_so() {
    let certificates = Certificates::new();
    let mut documented = 0;
    for table in tables() {
        for key in &table.keys {
            let path = table.path(key);
            let old = certificates.parse(&path, Some(&certificates.usable(key)));
            let new = certificates.parse(&path, Some(&certificates.other(&path, key)));
            let (old, new) = (old.unwrap(), new.unwrap());
            let taken = shown(take_over(&old, &new).unwrap());
            let pending = restart_pending(&old, &new);
            let [old, new] = [old, new].map(shown);
            if !facts(&path).must_be.contains("a secret") {
                assert_ne!(old, new, "{path}: of no effect");
            }
            let expected = if needs_restart(&path) { old } else { new };
            assert_eq!(taken, expected, "{path}");
            assert_eq!(
                pending.contains(&path.as_str()),
                needs_restart(&path),
                "{path}"
            );
            assert_eq!(pending.is_empty(), !needs_restart(&path), "{path}");
            documented += 1;
        }
    }
    assert_eq!(documented, config::keys().len());
}

#[test]
fn another_password_of_redis_needs_a_restart() {
    let certificates = Certificates::new();
    let parse = |url: &str| {
        let parsed = certificates.parse("budget.redis", Some(url));
        parsed.unwrap()
    };
    let [one, other] = ["\"redis://:one@host\"", "\"redis://:other@host\""].map(parse);
    assert_eq!(restart_pending(&one, &other), ["budget.redis"]);
    assert_eq!(restart_pending(&one, &one), [""; 0]);
}
