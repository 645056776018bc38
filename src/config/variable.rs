//! The environment variables of a configuration without a file, and the line of a file that each stands for.

use super::{Problem, key::Environment, readers::quoted};

/// The suffix of a variable that has the path of a file with the secret.
const FILE: &str = "_FILE";
/// The value of `ZAPI_URL` that leaves out `[fallback]`.
const NONE: &str = "none";

/// A variable of the configuration without a file.
pub struct Variable {
    pub name: &'static str,
    /// What the value is, for the documentation.
    pub meaning: &'static str,
    /// With its table, as the file has it.
    table: &'static str,
    pub(super) key: &'static str,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Must be set.
    Name,
    /// Must be set, itself or as the path of a file.
    Secret,
    OptionalSecret,
    Optional {
        default: Option<&'static str>,
    },
}

/// Every variable, in the order in which a file has the keys.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "ZAPI_URL",
        meaning: "where all other calls go [default: https://api.z-api.io]; none: they are refused",
        table: "[fallback]",
        key: "fallback.base_url",
        kind: Kind::Optional {
            default: Some("https://api.z-api.io"),
        },
    },
    Variable {
        name: "RYZE_URL",
        meaning: "the URL of Ryze [default: https://ryzeapi.cloud]",
        table: "[ryze]",
        key: "ryze.base_url",
        kind: Kind::Optional { default: None },
    },
    Variable {
        name: "ZAPI_INSTANCE",
        meaning: "the id of the instance at Z-API",
        table: "[[instances]]",
        key: "instances[0].zapi_instance",
        kind: Kind::Name,
    },
    Variable {
        name: "ZAPI_TOKEN",
        meaning: "its token, or ZAPI_TOKEN_FILE",
        table: "",
        key: "instances[0].zapi_token",
        kind: Kind::Secret,
    },
    Variable {
        name: "ZAPI_CLIENT_TOKEN",
        meaning: "the Client-Token that calls must have, or ZAPI_CLIENT_TOKEN_FILE [default: not checked]",
        table: "",
        key: "instances[0].client_token",
        kind: Kind::OptionalSecret,
    },
    Variable {
        name: "RYZE_INSTANCE",
        meaning: "the name of the instance at Ryze",
        table: "",
        key: "instances[0].ryze_instance",
        kind: Kind::Name,
    },
    Variable {
        name: "RYZE_TOKEN",
        meaning: "its token, or RYZE_TOKEN_FILE",
        table: "",
        key: "instances[0].ryze_token",
        kind: Kind::Secret,
    },
    Variable {
        name: "ZAPI_TO_RYZE_MODE",
        meaning: "translate, or observe: Z-API answers all calls [default: translate]",
        table: "",
        key: "instances[0].mode",
        kind: Kind::Optional { default: None },
    },
];

/// Whether a variable has a value: Compose and Kubernetes set one that is left out to nothing. The Client-Token
/// is an exception, without which calls are not checked: its absence has to be meant.
pub(super) fn is_value(name: &str, value: &str) -> bool {
    let name = name.strip_suffix(FILE).unwrap_or(name);
    let is_optional_secret = |it: &Variable| it.kind == Kind::OptionalSecret && it.name == name;
    !value.is_empty() || VARIABLES.iter().any(is_optional_secret)
}

impl Variable {
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::OptionalSecret)
    }

    pub(super) fn is_required(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::Name)
    }

    /// The name of the variable with the path of the secret.
    pub(super) fn file(&self) -> String {
        format!("{}{FILE}", self.name)
    }

    pub(super) fn is_set(&self, is_set: &dyn Fn(&str) -> bool) -> bool {
        is_set(self.name) || self.is_secret() && is_set(&self.file())
    }

    /// An error if the variable is missing, or set twice.
    pub(super) fn presence(&self, is_set: &dyn Fn(&str) -> bool) -> Result<(), Problem> {
        let message = if self.is_secret() && is_set(self.name) && is_set(&self.file()) {
            format!("unset it, or {}: both are set", self.file())
        } else if !self.is_required() || self.is_set(is_set) {
            return Ok(());
        } else if self.is_secret() {
            let file = self.file();
            format!("set it, or {file} to the path of a file with it: it is missing")
        } else {
            "set it, or name a file with --config: it is missing".to_owned()
        };
        let mut problem = Problem::of_file(message);
        problem.key = self.name.to_owned();
        Err(problem)
    }

    /// The lines of a file with its value.
    pub(super) fn lines(&self, environment: Environment<'_>) -> Option<String> {
        let set = environment(self.name);
        let value = match self.kind {
            Kind::Secret | Kind::OptionalSecret => {
                let (kind, place) = match (set, environment(&self.file())) {
                    (None, None) => return None,
                    (None, Some(path)) => ("file", path),
                    (Some(_), _) => ("env", self.name.to_owned()),
                };
                format!("{{ {kind} = {} }}", text(&place)?)
            }
            Kind::Name => text(&set?)?,
            Kind::Optional { default } => {
                let value = set.or_else(|| default.map(str::to_owned))?;
                if value == NONE && default.is_some() {
                    return None;
                }
                text(&value)?
            }
        };
        let (_, name) = self.key.rsplit_once('.')?;
        Some(format!("{}\n{name} = {value}\n", self.table))
    }
}

/// Any text as a TOML string. JSON writes a DEL as it is, which TOML does not allow.
fn text(value: &str) -> Option<String> {
    Some(quoted(value)?.replace('\u{7f}', "\\u007f"))
}
