//! The texts of `init`: the configuration that it writes, and what it says before and after.

use std::{
    fmt::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{SECRETS, answers::Answers, given::ZAPI};
use crate::config::{Config, Listen, Mode};

/// The names of the files with secrets.
pub(super) const ZAPI_TOKEN: &str = "zapi_token";
pub(super) const CLIENT_TOKEN: &str = "client_token";
pub(super) const RYZE_TOKEN: &str = "ryze_token";

/// How a running gateway takes a change over.
const RELOAD: &str =
    "send SIGHUP to the gateway:\n`systemctl reload zapi-to-ryze` or `pkill -HUP zapi-to-ryze`";

/// The configuration file.
pub(super) fn configuration(answers: &Answers) -> String {
    let Answers {
        zapi_instance,
        client_token,
        ryze_instance,
        ryze_url,
        fallback,
        mode,
        ..
    } = answers;
    let secret = |name: &str| format!("{{ file = \"{SECRETS}/{name}\" }}");
    let client_token = match client_token {
        Some(_) => format!("client_token = {}", secret(CLIENT_TOKEN)),
        None => format!("#client_token = {}", secret(CLIENT_TOKEN)),
    };
    let fallback = match fallback {
        Some(url) => format!("[fallback]\nbase_url = {}", quoted(url)),
        None => format!("#[fallback]\n#base_url = {}", quoted(ZAPI)),
    };
    let ryze = match ryze_url {
        Some(url) => format!("[ryze]\nbase_url = {}\n\n", quoted(url)),
        None => String::new(),
    };
    let mode = match mode {
        Mode::Observe => "observe",
        Mode::Translate => "translate",
    };
    format!(
        r#"# The configuration of zapi-to-ryze. docs/configuration.md has every key with its default.
# After a change: `zapi-to-ryze check FILE`, then SIGHUP to the gateway: `pkill -HUP zapi-to-ryze`.
# A path is looked up beside this file. Each file in {SECRETS}/ holds one secret.

[server]
# Where the programs that call Z-API reach the gateway, in place of https://api.z-api.io.
listen = "127.0.0.1:8420"

[admin]
# The status page, /metrics and /ready: for the operator, on this machine.
#listen = "127.0.0.1:8421"

[zapi]
# The Client-Token that calls must have. Without it the header is not checked.
{client_token}

{ryze}# Calls that Ryze does not have, such as messages, and those of instances that are not listed below. Without
# this table they are refused with 404.
{fallback}

[[instances]]
# In the URL of a Z-API call: /instances/ID/token/TOKEN/…
zapi_instance = {}
zapi_token = {}
# Its name and token at Ryze.
ryze_instance = {}
ryze_token = {}
# "observe": Z-API answers all calls; log and page show what Ryze would get (docs/migration.md).
# "translate": Ryze gets the privacy calls.
mode = "{mode}"
"#,
        quoted(zapi_instance),
        secret(ZAPI_TOKEN),
        quoted(ryze_instance),
        secret(RYZE_TOKEN),
    )
}

/// A TOML string. The values have no control characters, for which TOML and JSON differ.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) fn welcome(configuration: &Path) -> String {
    format!(
        "This writes {} and the folder {} beside it, and sends nothing.\n\
         Until the last question Ctrl-C ends it, and nothing is written.",
        configuration.display(),
        SECRETS
    )
}

/// The error for a configuration that exists.
pub(super) fn exists(configuration: &Path) -> String {
    let file = configuration.display();
    format!(
        "{file} exists, and no file is overwritten.\n\
         For another instance put its tokens into files with mode 600, and add a table at the end:\n\n\
         [[instances]]\n\
         zapi_instance = \"its id at Z-API\"\n\
         zapi_token = {{ file = \"{SECRETS}/{ZAPI_TOKEN}_2\" }}\n\
         ryze_instance = \"its name at Ryze\"\n\
         ryze_token = {{ file = \"{SECRETS}/{RYZE_TOKEN}_2\" }}\n\
         mode = \"observe\"\n\n\
         Then {RELOAD}.\n\n\
         For a new configuration remove it, or name another file: zapi-to-ryze init DIRECTORY/gateway.toml"
    )
}

/// The files that were written.
pub(super) fn written(files: &[PathBuf]) -> String {
    let mut text = "\nWritten:\n".to_owned();
    for file in files {
        // A String takes everything.
        let _ = writeln!(text, "  {}", file.display());
    }
    let is_roots = |file: &PathBuf| file.metadata().is_ok_and(|it| it.uid() == 0);
    if files.first().is_some_and(is_roots) {
        text += "They belong to root. A service with a user of its own needs to read them: chgrp its group, \
                 chmod 640 the files and 750 the folder.\n";
    }
    text
}

/// What to do next.
pub(super) fn next(configuration: &Path, config: &Config) -> String {
    let file = configuration.display();
    let address = match &config.server.listen {
        Listen::Tcp(address) => format!("http://{address}"),
        Listen::Unix { path, .. } => format!("unix:{}", path.display()),
    };
    let page = config.admin.listen;
    let mut text = format!(
        "\nNext, start the gateway:\n\n  zapi-to-ryze serve {file}\n\n\
         Then change the base URL of the program that calls Z-API, and nothing else:\n\n  \
         {ZAPI}  →  {address}\n\n\
         http://{page}/ shows what its calls do."
    );
    let is_observed = |it: &crate::config::Instance| it.mode == Mode::Observe;
    if config.instances.iter().any(is_observed) {
        let _ = write!(
            text,
            " When no call is left that Ryze would refuse, write\n\
             mode = \"translate\" in {file}, and {RELOAD}."
        );
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::{Secret, parse};

    #[test]
    fn the_configuration_has_the_answers() {
        for (fallback, mode, client_token) in [
            (Some(ZAPI.to_owned()), Mode::Observe, Some(Secret::new("C"))),
            (None, Mode::Translate, None),
        ] {
            let text = configuration(&Answers {
                zapi_instance: "a \"b\" \\ ü".to_owned(),
                zapi_token: Secret::new("planted"),
                client_token: client_token.clone(),
                ryze_instance: "main".to_owned(),
                ryze_token: Secret::new("planted"),
                ryze_url: fallback
                    .is_none()
                    .then(|| "http://ryze.internal".to_owned()),
                fallback: fallback.clone(),
                mode,
            });
            assert!(!text.contains("planted"));
            // The files do not exist here.
            let text = text.replace("{ file = ", "{ env = ");
            let loaded = parse(&text, &|name| Some(name.replace('/', "-"))).unwrap();
            let config = loaded.config;
            let instance = &config.instances[0];
            assert_eq!(&*instance.zapi_instance, "a \"b\" \\ ü");
            assert_eq!((&*instance.ryze_instance, instance.mode), ("main", mode));
            assert_eq!(instance.zapi_token.expose(), "secrets-zapi_token");
            assert_eq!(instance.ryze_token.expose(), "secrets-ryze_token");
            let read = instance.client_token.as_ref().map(Secret::expose);
            assert_eq!(read, client_token.map(|_| "secrets-client_token"));
            assert_eq!(config.fallback.is_some(), fallback.is_some());
            let ryze = ["http://ryze.internal/", "https://ryzeapi.cloud/"];
            assert_eq!(config.ryze.base_url, ryze[usize::from(fallback.is_some())]);
            assert!(config.admin.is_optional && loaded.warnings.is_empty());
        }
    }
}
