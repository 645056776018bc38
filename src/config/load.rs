//! Loads a [`Config`] from a file, or reports every problem of the file.

use std::{borrow::Cow, env, fs::Metadata, net::SocketAddr, path::Path};

use http::Uri;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use zeroize::Zeroizing;

use super::{
    Config, Listen, Position, Problem, include, instances,
    key::Context,
    keys::{Draft, INSTANCES},
    pieces::Pieces,
    report::Report,
    rules, source,
    table::Reader,
    tls,
};

/// A valid configuration, with warnings and advice.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// What is allowed and probably not intended.
    pub warnings: Vec<Problem>,
    /// What is allowed and has a consequence that one may not expect. For `check` alone.
    pub advice: Vec<Problem>,
    /// Where each instance stands.
    pub instance_places: Vec<Position>,
    /// Whether `log.format` is the default.
    pub has_default_log_format: bool,
}

/// Reads the file at `path`, with secrets from this process's environment. Relative paths in it are
/// looked up beside it.
///
/// # Errors
/// Every problem, in the order of the lines.
pub fn load(path: &Path) -> Result<Loaded, Vec<Problem>> {
    load_listening(path, None)
}

/// As [`load`], with another address in `server.listen`.
pub(super) fn load_listening(path: &Path, listen: Option<&str>) -> Result<Loaded, Vec<Problem>> {
    let (text, metadata) = read(path).map_err(|problem| vec![problem])?;
    let environment = process_environment;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut context = Context::new(&environment, directory);
    let mut loaded = parse_in(&text, listen, &mut context)?;
    if context.has_literal && source::is_open(&metadata) {
        loaded.warnings.push(Problem::of_file(source::OPEN_FILE));
    }
    loaded.warnings.extend(rules::proxies(&environment));
    Ok(loaded)
}

/// The environment of this process. What is not UTF-8 is reported as such where it is used.
pub(super) fn process_environment(name: &str) -> Option<String> {
    Some(env::var_os(name)?.to_string_lossy().into_owned())
}

fn read(path: &Path) -> Result<(Zeroizing<String>, Metadata), Problem> {
    source::configuration(path).map_err(|error| {
        Problem::of_file(format!(
            "the file cannot be read ({error}); {}",
            source::cure(&error)
        ))
    })
}

/// Reads the `text` of a file, with secrets from `environment`. Relative paths in it are looked up in the
/// working directory.
///
/// # Errors
/// Every problem, in the order of the lines. A text that is not TOML is not read any further.
pub fn parse(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Vec<Problem>> {
    parse_in(text, None, &mut Context::new(environment, Path::new("")))
}

/// Reads the `text` of a file, with another address to `listen` on if there is one, and the files that it
/// includes.
pub(super) fn parse_in(
    text: &str,
    listen: Option<&str>,
    context: &mut Context<'_>,
) -> Result<Loaded, Vec<Problem>> {
    let pieces = Pieces::of(text);
    let (tree, errors) = DeTable::parse_recoverable(pieces.first);
    let report = Report::new(text);
    if !errors.is_empty() {
        return Err(report.not_toml(text, errors));
    }
    let mut reader = Reader {
        report,
        context,
        elements: 0,
    };
    let mut entries = tree.into_inner();
    if let Some(listen) = listen {
        replace_listen(&mut entries, listen);
    }
    let array = entries.remove_entry(INSTANCES);
    let mut draft = Draft::default();
    reader.root(entries, &[INSTANCES], &mut draft);
    let mut config = draft.config;
    let is_optional = config.fallback.is_some() || !draft.include.is_empty();
    let is_required = !is_optional && pieces.rest.is_empty();
    let mut instances = reader.array(INSTANCES, array, is_required);
    pieces.read(&mut reader, &mut instances);
    include::read(&mut reader, &draft.include, &mut instances);
    if instances.is_empty() && config.fallback.is_none() && !draft.include.is_empty() {
        let message = "no file has an instance; write `[[instances]]` there, or `[fallback]` here";
        reader.report.conflict("include", &[INSTANCES], message);
    }
    let report = &mut reader.report;
    instances::complete(
        &mut instances,
        config.fallback.is_some(),
        draft.client_token.as_ref(),
        draft.ryze_token.as_ref(),
        report,
    );
    let instance_places = instances.iter().map(|(path, _)| report.position(path));
    let instance_places = instance_places.collect();
    config.instances = instances.into_iter().map(|(_, it)| it).collect();
    // Collected in place: the capacity is that of the larger items.
    config.instances.shrink_to_fit();
    rules::check(&mut config, draft.tls.is_some(), report);
    config.server.tls = draft
        .tls
        .and_then(|files| tls::read(files.cert_file, files.key_file, report));
    rules::advise(&config, report);
    let has_default_log_format = !report.is_written("log.format");
    let (warnings, advice) = reader.report.finish()?;
    Ok(Loaded {
        config,
        warnings,
        advice,
        instance_places,
        has_default_log_format,
    })
}

/// Writes `server.listen` before anything is read, so that all rules apply to it.
fn replace_listen<'t>(entries: &mut DeTable<'t>, listen: &'t str) {
    let value = |at, value| Spanned::new(at, value);
    let key = |at, name| Spanned::new(at, Cow::Borrowed(name));
    if !entries.contains_key("server") {
        let server = value(0..0, DeValue::Table(DeTable::new()));
        entries.insert(key(0..0, "server"), server);
    }
    // A `server` that is no table is reported.
    if let Some(DeValue::Table(server)) = entries.get_mut("server").map(Spanned::get_mut) {
        let old = server.remove_entry("listen");
        let at = old.map_or(0..0, |(key, _)| key.span());
        let listen = value(at.clone(), DeValue::String(Cow::Borrowed(listen)));
        server.insert(key(at, "listen"), listen);
    }
}

/// The address of a gateway's admin listener, as far as its file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminListen {
    pub address: SocketAddr,
    /// Why the running gateway may listen at another address.
    pub doubt: Option<String>,
}

/// `admin.listen` of the file, or its default. Other problems of the file are ignored, and no other file
/// is read.
///
/// # Errors
/// The file cannot be read.
pub fn admin_listen(file: Option<&Path>) -> Result<AdminListen, Problem> {
    let text = file.map(read).transpose()?;
    let text = text.as_ref().map(|(text, _)| &***text);
    let (tree, errors) = DeTable::parse_recoverable(text.unwrap_or_default());
    let admin = tree.into_inner().remove_entry("admin");
    let mut reader = Reader {
        report: Report::new(""),
        context: &mut Context::new(&|_| None, Path::new("")),
        elements: 0,
    };
    let mut draft = Draft::default();
    reader.root(admin.into_iter().collect(), &[], &mut draft);
    let report = &reader.report;
    let cause = if text.is_none() {
        Some("no configuration file is named")
    } else if !errors.is_empty() {
        Some("the file is not TOML")
    } else if report.is_faulty("admin.listen") || report.is_faulty("admin") {
        Some("admin.listen in the file is not an address")
    } else if !report.is_valid("admin.listen") && report.is_faulty_in("admin") {
        Some("[admin] in the file has an error")
    } else {
        None
    };
    let origin = if report.is_valid("admin.listen") {
        "this is what could be read"
    } else {
        "this is the default of admin.listen"
    };
    Ok(AdminListen {
        address: draft.config.admin.listen,
        doubt: cause.map(|cause| format!("{cause}; {origin}")),
    })
}

/// The built-in configuration of `serve --sandbox`: an instance that is translated and one that is observed,
/// listening on `listen`, in front of the in-memory Ryze at `ryze` and the in-memory Z-API at `fallback`.
#[must_use]
pub fn sandbox(listen: SocketAddr, ryze: SocketAddr, fallback: SocketAddr) -> Config {
    // The addresses are set afterwards: no rule applies to them, such as that of a fallback on the default port
    // of the gateway.
    let text = r#"
        [fallback]
        base_url = "https://api.z-api.io"

        [log]
        format = "text"

        [[instances]]
        zapi_instance = "SANDBOX"
        zapi_token = "sandbox"
        ryze_instance = "main"
        ryze_token = "sandbox-token"

        [[instances]]
        zapi_instance = "OBSERVED"
        zapi_token = "observed"
        ryze_instance = "observed"
        ryze_token = "observed-token"
        mode = "observe"
        "#;
    // The text is constant, and a test reads it.
    #[expect(clippy::expect_used)]
    let mut config = parse(text, &|_| None).expect("a valid text").config;
    config.server.listen = Listen::Tcp(listen);
    config.ryze.base_url = base_url(ryze);
    if let Some(it) = &mut config.fallback {
        it.base_url = base_url(fallback);
    }
    config
}

fn base_url(address: SocketAddr) -> Uri {
    // A URL cannot carry the scope of an IPv6 address.
    let authority = SocketAddr::new(address.ip(), address.port()).to_string();
    // Every IP address with a port is a valid authority of a URL.
    #[expect(clippy::expect_used)]
    let uri = Uri::try_from(format!("http://{authority}/")).expect("a valid URL");
    uri
}
