//! From a file to a [`Config`], or to everything that is wrong with it.
//!
//! The tables one by one, with their keys, belong in `rules.rs`.

use std::{env, net::SocketAddr, path::Path};

use toml::de::DeTable;
use zeroize::Zeroizing;

use super::{
    Config, Listen, Problem,
    instances::Instances,
    listeners::{self, ADMIN_LISTEN},
    report, rules, source,
    table::Table,
};

/// A configuration without a fault, and what may not be meant in it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the program needs.
    pub config: Config,
    /// What the user may want to change.
    pub warnings: Vec<Problem>,
}

/// Reads the file at `path`, with secrets from this process's environment.
///
/// # Errors
///
/// Everything that is wrong, in the order of the lines.
pub fn load(path: &Path) -> Result<Loaded, Vec<Problem>> {
    let text = read(path).map_err(|problem| vec![problem])?;
    parse(&text, &|name| env::var(name).ok())
}

/// The text of the file at `path`, or why it cannot be read.
fn read(path: &Path) -> Result<Zeroizing<String>, Problem> {
    source::configuration(path).map_err(|error| Problem {
        line: None,
        key: String::new(),
        message: format!("the file cannot be read ({error}); name one that can"),
    })
}

/// Where a gateway's admin listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminListen {
    /// Its address.
    pub address: SocketAddr,
    /// Why the running gateway may listen elsewhere.
    pub doubt: Option<String>,
}

/// `admin.listen` of the file, read without its secrets and whatever else is wrong in it, or the
/// default.
///
/// # Errors
/// The file cannot be read.
pub fn admin_listen(file: Option<&Path>) -> Result<AdminListen, Problem> {
    let default = |doubt: Option<&str>| AdminListen {
        address: ADMIN_LISTEN,
        doubt: doubt.map(|doubt| format!("{doubt}; this is the default of admin.listen")),
    };
    let Some(file) = file else {
        return Ok(default(Some("no configuration file is named")));
    };
    let text = read(file)?;
    let (root, errors) = DeTable::parse_recoverable(&text);
    let written = root.get_ref().get("admin").map(|admin| {
        let listen = admin.get_ref().as_table()?.get("listen");
        Some(listen.map(|listen| listen.get_ref().as_str()?.parse().ok()))
    });
    let is_toml = errors.is_empty();
    Ok(match written {
        Some(Some(Some(Some(address)))) => AdminListen {
            address,
            doubt: (!is_toml)
                .then(|| "the file is not TOML; this is what could be read".to_owned()),
        },
        Some(None | Some(Some(None))) => {
            default(Some("admin.listen in the file is not an address"))
        }
        None | Some(Some(None)) if is_toml => default(None),
        None | Some(Some(None)) => default(Some("the file is not TOML")),
    })
}

/// Reads the `text` of a file, with secrets from `environment`.
///
/// # Errors
///
/// Everything that is wrong, in the order of the lines.
pub fn parse(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Vec<Problem>> {
    let (config, warnings) = report::read(text, environment, config)?;
    Ok(Loaded { config, warnings })
}

/// The built-in configuration of `serve --sandbox`: one instance, listening on `listen`, in front
/// of the in-memory upstream at `upstream`.
#[must_use]
pub fn sandbox(listen: SocketAddr, upstream: SocketAddr) -> Config {
    let text = format!(
        r#"
        [ryze]
        base_url = "http://{}"

        [log]
        format = "text"

        [[instances]]
        zapi_instance = "SANDBOX"
        zapi_token = "sandbox"
        ryze_instance = "main"
        ryze_token = "sandbox-token"
        "#,
        // Without the scope of an IPv6 address, which a URL cannot carry.
        SocketAddr::new(upstream.ip(), upstream.port())
    );
    // The text is sound whatever the address: every IP address with a port is a URL's authority.
    #[expect(clippy::expect_used)]
    let mut config = parse(&text, &|_| None).expect("a sound text").config;
    config.server.listen = Listen::Tcp(listen);
    config
}

fn config(root: &mut Table<'_>) -> Config {
    let server = root.table("server", listeners::server);
    let admin = root.table("admin", |table| listeners::admin(table, &server.listen));
    let client_token = root.table("zapi", |table| table.key("client_token").header_secret());
    let (ryze, ryze_token) = root.table("ryze", rules::ryze);
    let budget = root.table("budget", |table| rules::budget(table, server.deadline));
    let policy = root.table("policy", rules::policy);
    let fallback = root.optional("fallback", |table| rules::fallback(table, &server.listen));
    let log = root.table("log", rules::log);
    let mut instances = Instances::new(client_token, ryze_token);
    let instances = root.tables("instances", |table| instances.read(table));
    Config {
        server,
        admin,
        ryze,
        budget,
        policy,
        fallback: fallback.flatten(),
        log,
        instances,
    }
}
