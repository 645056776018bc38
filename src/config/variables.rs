//! The configuration of one instance from environment variables, for a container without a file.
//!
//! The variables are written as the text of a file, so that its readers, defaults and rules apply.

use std::{env, path::Path};

use super::{
    Loaded, Problem,
    key::{Context, Environment},
    load::{parse_in, process_environment},
    rules,
    variable::{Kind, VARIABLES, Variable, is_value},
};
use crate::spelling::is_close;

/// Whether a variable is set that one instance must have.
#[must_use]
pub fn has_variables() -> bool {
    VARIABLES.iter().any(|it| {
        it.is_required() && it.is_set(&|name| env::var_os(name).is_some_and(|it| !it.is_empty()))
    })
}

/// The configuration that the variables of this process have. Relative paths are looked up in the working
/// directory.
///
/// # Errors
/// Every problem, each with its variable as the key.
pub fn load_variables(listen: Option<&str>) -> Result<Loaded, Vec<Problem>> {
    let mut loaded = read(&process_environment, listen)?;
    loaded.warnings.extend(rules::proxies(&process_environment));
    let set = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    loaded
        .warnings
        .extend(set.filter_map(|name| misspelt(&name)));
    Ok(loaded)
}

/// Warns of a variable whose name is close to one that is read: with a misspelt `ZAPI_CLIENT_TOKEN` calls
/// would not be checked.
fn misspelt(name: &str) -> Option<Problem> {
    let own = VARIABLES.iter().map(|it| it.name.to_owned());
    let files = VARIABLES.iter().filter(|it| it.is_secret());
    let known: Vec<_> = own.chain(files.map(Variable::file)).collect();
    if known.iter().any(|known| known == name) {
        return None;
    }
    let meant = known.iter().find(|known| is_close(known, name))?;
    Some(Problem::of_file(format!(
        "set {meant} in place of {name}, which is not read"
    )))
}

/// Warns of variables that name an instance, beside a file.
pub(super) fn unused(environment: Environment<'_>) -> Option<Problem> {
    let is_set = |it: &Variable| environment(it.name).is_some_and(|value| !value.is_empty());
    let is_name = |it: &&Variable| it.kind == Kind::Name && is_set(it);
    let names: Vec<_> = VARIABLES.iter().filter(is_name).map(|it| it.name).collect();
    if names.is_empty() {
        return None;
    }
    let (names, are) = (
        names.join(" and "),
        if names.len() > 1 { "are" } else { "is" },
    );
    Some(Problem::of_file(format!(
        "unset {names}, which {are} not used: the instances are those of the file"
    )))
}

fn read(environment: Environment<'_>, listen: Option<&str>) -> Result<Loaded, Vec<Problem>> {
    let environment = &|name: &str| environment(name).filter(|value| is_value(name, value));
    let is_set = |name: &str| environment(name).is_some();
    let problems: Vec<_> = VARIABLES
        .iter()
        .filter_map(|it| it.presence(&is_set).err())
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut text = String::new();
    for variable in VARIABLES {
        text += &variable.lines(environment).unwrap_or_default();
    }
    let mut context = Context::new(environment, Path::new(""));
    let named = |problem: Problem| named(problem, &is_set);
    let renamed = |problems: Vec<Problem>| problems.into_iter().map(named).collect();
    let mut loaded = parse_in(&text, listen, &mut context).map_err(renamed)?;
    loaded.warnings = renamed(loaded.warnings);
    // The variable says that there is none.
    loaded.advice.retain(|advice| advice.key != "fallback");
    loaded.advice = renamed(loaded.advice);
    for place in &mut loaded.instance_places {
        place.line = None;
    }
    Ok(loaded)
}

/// A problem of the text, with its variable in place of key and line.
fn named(problem: Problem, is_set: &dyn Fn(&str) -> bool) -> Problem {
    let key = match &*problem.key {
        "zapi.client_token" => "instances[0].client_token",
        key => key,
    };
    let variable = VARIABLES.iter().find(|it| it.key == key);
    let name = variable.map(|it| {
        let is_in_file = it.is_secret() && !is_set(it.name) && is_set(&it.file());
        if is_in_file {
            it.file()
        } else {
            it.name.to_owned()
        }
    });
    Problem {
        file: None,
        line: None,
        key: name.unwrap_or(problem.key),
        message: problem.message,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::{Listen, Mode};

    fn load(variables: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
        let environment = |name: &str| {
            let mut all = variables.iter();
            all.find_map(|(set, value)| (*set == name).then(|| (*value).to_owned()))
        };
        let problems = |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect();
        read(&environment, None).map_err(problems)
    }

    const ALL: [(&str, &str); 4] = [
        ("ZAPI_INSTANCE", "I1"),
        ("ZAPI_TOKEN", "T1"),
        ("RYZE_INSTANCE", "main"),
        ("RYZE_TOKEN", "R1"),
    ];

    #[test]
    fn a_misspelt_variable_is_named_with_the_one_that_is_meant() {
        let said = |name| misspelt(name).map(|problem| problem.message);
        for (name, meant) in [
            ("ZAPI_CLIENTTOKEN", Some("ZAPI_CLIENT_TOKEN")),
            ("RYZE_TOKEN_FILES", Some("RYZE_TOKEN_FILE")),
            ("ZAPI_URI", Some("ZAPI_URL")),
            ("ZAPI_TOKEN", None),
            ("RYZE_TOKEN_FILE", None),
            ("ZAPI_TO_RYZE_CONFIG", None),
            ("ZAPI_TO_RYZE_LISTEN", None),
            ("PATH", None),
            ("HOME", None),
        ] {
            let expected =
                meant.map(|it| format!("set {it} in place of {name}, which is not read"));
            assert_eq!(said(name), expected);
        }
    }

    #[test]
    fn four_variables_are_a_configuration() {
        let loaded = load(&ALL).unwrap();
        let config = loaded.config;
        let instance = &config.instances[0];
        assert_eq!(
            (&*instance.zapi_instance, &*instance.ryze_instance),
            ("I1", "main")
        );
        assert!(instance.zapi_token.matches(b"T1") && instance.ryze_token.matches(b"R1"));
        assert_eq!(
            (instance.client_token.is_none(), instance.mode),
            (true, Mode::Translate)
        );
        assert_eq!(config.fallback.unwrap().base_url, "https://api.z-api.io/");
        assert_eq!(config.ryze.base_url, "https://ryzeapi.cloud/");
        assert_eq!(
            config.server.listen,
            Listen::Tcp(([127, 0, 0, 1], 8420).into())
        );
        assert!(config.admin.is_optional && loaded.warnings.is_empty());
        let advised: Vec<_> = loaded.advice.iter().map(|it| &*it.key).collect();
        assert_eq!(advised, ["ZAPI_CLIENT_TOKEN"]);
    }

    #[test]
    fn the_other_variables_are_optional() {
        let more = [
            ("ZAPI_CLIENT_TOKEN", "C1"),
            ("ZAPI_URL", "http://z-api.internal"),
            ("RYZE_URL", "http://ryze.internal"),
            ("ZAPI_TO_RYZE_MODE", "observe"),
        ];
        let loaded = load(&[&ALL[..], &more].concat()).unwrap();
        let config = loaded.config;
        let instance = &config.instances[0];
        assert!(instance.client_token.as_ref().unwrap().matches(b"C1"));
        assert_eq!(instance.mode, Mode::Observe);
        assert_eq!(config.fallback.unwrap().base_url, "http://z-api.internal/");
        assert_eq!(config.ryze.base_url, "http://ryze.internal/");
        let empty = load(&[&ALL[..], &[("ZAPI_URL", ""), ("RYZE_URL", "")]].concat()).unwrap();
        assert_eq!(empty.config.ryze.base_url, "https://ryzeapi.cloud/");
        let none = load(&[&ALL[..], &[("ZAPI_URL", "none")]].concat()).unwrap();
        assert!(none.config.fallback.is_none());
        assert!(none.advice.iter().all(|it| it.key == "ZAPI_CLIENT_TOKEN"));
    }

    /// Variables, and the problems with them.
    type Case<'c> = (&'c [(&'c str, &'c str)], &'c [&'c str]);

    #[test]
    fn problems_name_the_variable() {
        let cases: [Case; 9] = [
            (
                &ALL[..1],
                &[
                    "ZAPI_TOKEN: set it, or ZAPI_TOKEN_FILE to the path of a file with it: it is missing",
                    "RYZE_INSTANCE: set it, or name a file with --config: it is missing",
                    "RYZE_TOKEN: set it, or RYZE_TOKEN_FILE to the path of a file with it: it is missing",
                ],
            ),
            (
                &ALL[1..],
                &["ZAPI_INSTANCE: set it, or name a file with --config: it is missing"],
            ),
            (
                &[ALL[0], ALL[1], ALL[2], ALL[3], ("RYZE_TOKEN_FILE", "/x")],
                &["RYZE_TOKEN: unset it, or RYZE_TOKEN_FILE: both are set"],
            ),
            (
                &[
                    ("ZAPI_INSTANCE", "https://api.z-api.io/instances/I1"),
                    ALL[1],
                    ALL[2],
                    ALL[3],
                ],
                &["ZAPI_INSTANCE: write the id alone: this looks like a URL or a part of one"],
            ),
            (
                &[ALL[0], ("ZAPI_TOKEN", ""), ("RYZE_INSTANCE", ""), ALL[3]],
                &[
                    "ZAPI_TOKEN: set it, or ZAPI_TOKEN_FILE to the path of a file with it: it is missing",
                    "RYZE_INSTANCE: set it, or name a file with --config: it is missing",
                ],
            ),
            (
                &[
                    ALL[0],
                    ALL[1],
                    ALL[2],
                    ("RYZE_TOKEN", ""),
                    ("RYZE_TOKEN_FILE", "/nowhere/token"),
                    ("ZAPI_CLIENT_TOKEN", ""),
                ],
                &[
                    "ZAPI_CLIENT_TOKEN: the secret is empty; give it a value",
                    "RYZE_TOKEN_FILE: the file \"/nowhere/token\" cannot be read \
                   (No such file or directory (os error 2)); check the path",
                ],
            ),
            (
                &[ALL[0], ALL[1], ("RYZE_INSTANCE", "ma\u{7f}\"in"), ALL[3]],
                &[
                    "RYZE_INSTANCE: write the id alone: the id has a control character; must be text; \
                   write at least one character, but no control character",
                ],
            ),
            (
                &[
                    ALL[0],
                    ALL[1],
                    ALL[2],
                    ALL[3],
                    ("ZAPI_TO_RYZE_MODE", "watch"),
                ],
                &["ZAPI_TO_RYZE_MODE: must be \"translate\" or \"observe\""],
            ),
            (
                &[
                    ALL[0],
                    ALL[1],
                    ALL[2],
                    ("RYZE_TOKEN_FILE", "/nowhere/token"),
                ],
                &[
                    "RYZE_TOKEN_FILE: the file \"/nowhere/token\" cannot be read \
                   (No such file or directory (os error 2)); check the path",
                ],
            ),
        ];
        for (variables, expected) in cases {
            assert_eq!(load(variables).err().unwrap_or_default(), expected);
        }
    }
}
