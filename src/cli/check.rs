//! `check`: a list of what is in the configuration file, a line each with its cure, and a summary.
//!
//! `✓` marks what is fine, `!` a warning, `✗` an error. Probable mistakes are printed on stderr and the rest
//! of the list on stdout, in place of which `--print` prints the configuration. A line about a place in the
//! file begins with `FILE:LINE:`, which terminals and editors open.

use std::{collections::HashSet, fmt, path::Path};

use http::Uri;

use super::{
    Exit, FAILURE, USAGE,
    arguments::{Check, FileOption},
    check_live, print, print_error,
};
use crate::config::{self, Config, Listen, Loaded, Origin, Problem};

const FINE: &str = "✓";
const WARNING: &str = "!";
const ERROR: &str = "✗";

pub(super) async fn check(command: Check) -> Result<(), Exit> {
    let origin = FileOption::from(command.file).required()?;
    let loaded = load(&origin)?;
    if command.print {
        print(config::print(&loaded.config).trim_end());
    } else {
        // Live checks follow, which may find that the rest is not.
        let all_fine = if command.live {
            "the file is fine"
        } else {
            "the configuration is fine"
        };
        list(&origin, &loaded, all_fine);
    }
    if command.live {
        live(&origin, &loaded).await?;
    }
    Ok(())
}

/// Loads a configuration, and prints its errors or warnings.
pub(super) fn load(origin: &Origin) -> Result<Loaded, Exit> {
    let loaded = origin.load(None).map_err(|problems| {
        for problem in &problems {
            print_error(Finding::new(origin.name(), ERROR, problem));
        }
        let errors = if problems.len() == 1 {
            "error"
        } else {
            "errors"
        };
        print_error(format_args!("{} {errors}", problems.len()));
        Exit::Reported(USAGE)
    })?;
    for warning in &loaded.warnings {
        print_error(Finding::new(origin.name(), WARNING, warning));
    }
    Ok(loaded)
}

/// Asks the upstreams.
///
/// # Errors
/// One of the answers is not right.
pub(super) async fn live(origin: &Origin, loaded: &Loaded) -> Result<(), Exit> {
    let (mut fine, mut not) = (0, 0);
    check_live::check(&loaded.config, |checked| match checked.fault {
        None => {
            fine += 1;
            print(format_args!("{FINE} {}: fine", checked.what));
        }
        Some(fault) => {
            not += 1;
            let place = checked
                .instance
                .and_then(|at| loaded.instance_places.get(at));
            let problem = Problem {
                file: place.and_then(|place| place.file.clone()),
                line: place.and_then(|place| place.line),
                key: String::new(),
                message: format!("{}: {fault}", checked.what),
            };
            print(Finding::new(origin.name(), ERROR, &problem));
        }
    })
    .await?;
    print(Summary { fine, not });
    if not > 0 {
        return Err(Exit::Reported(FAILURE));
    }
    Ok(())
}

/// Prints the parts of a valid configuration that are fine, the advice, and a summary.
pub(super) fn list(origin: &Origin, loaded: &Loaded, all_fine: &str) {
    let Loaded {
        config,
        warnings,
        advice,
        ..
    } = loaded;
    // The table or the instance of a key; the file itself for none.
    let part = |problem: &Problem| {
        let key = problem.key.split_once('.');
        key.map_or(problem.key.clone(), |(part, _)| part.to_owned())
    };
    let warned: HashSet<_> = warnings.iter().chain(advice).map(part).collect();
    let mut fine = 0;
    for (part, text) in parts(config) {
        if !warned.contains(part) {
            fine += 1;
            print(format_args!("{FINE} {part}: {text}"));
        }
    }
    let instances = (0..config.instances.len())
        .filter(|at| !warned.contains(&*format!("instances[{at}]")))
        .count();
    if instances > 0 {
        print(format_args!("{FINE} instances: {instances}"));
    }
    for advice in advice {
        print(Finding::new(origin.name(), WARNING, advice));
    }
    if warned.is_empty() {
        print(all_fine);
    } else {
        let (fine, doubtful) = (fine + instances, warned.len());
        print(format_args!("{fine} fine, {doubtful} with a warning"));
    }
}

fn parts(config: &Config) -> Vec<(&'static str, String)> {
    let server = match &config.server.listen {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix { path, .. } => format!("unix:{}", path.display()),
    };
    let tls = if config.server.tls.is_some() {
        " with TLS"
    } else {
        ""
    };
    let mut parts = vec![
        ("server", format!("listens on {server}{tls}")),
        ("admin", format!("listens on {}", config.admin.listen)),
        ("ryze", url(&config.ryze.base_url)),
        (
            "budget",
            format!("{} requests a minute", config.budget.requests_per_minute),
        ),
    ];
    if let Some(fallback) = &config.fallback {
        parts.push(("fallback", url(&fallback.base_url)));
    }
    parts
}

/// A base URL as it is written.
fn url(base_url: &Uri) -> String {
    base_url.to_string().trim_end_matches('/').to_owned()
}

/// A problem of a file, with its place first.
pub(super) struct Finding<'a> {
    file: &'a Path,
    mark: &'static str,
    problem: &'a Problem,
}

impl<'a> Finding<'a> {
    pub(super) fn new(file: &'a Path, mark: &'static str, problem: &'a Problem) -> Self {
        Self {
            file,
            mark,
            problem,
        }
    }
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            file,
            line,
            key,
            message,
        } = self.problem;
        write!(out, "{}:", file.as_deref().unwrap_or(self.file).display())?;
        if let Some(line) = line {
            write!(out, "{line}:")?;
        }
        write!(out, " {} ", self.mark)?;
        if !key.is_empty() {
            write!(out, "{key}: ")?;
        }
        out.write_str(message)
    }
}

/// How many are fine, and how many are not.
struct Summary {
    fine: usize,
    not: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { fine, not: 0 } => write!(out, "{fine} fine"),
            Self { fine, not } => write!(out, "{fine} fine, {not} not"),
        }
    }
}
