//! What options, files and variables say, so that it is not asked for, and then the answers.

use std::{
    env, fs,
    io::{self, IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::answers::{Answers, Value};
use crate::{
    cli::{Exit, USAGE, arguments::Init, print_error},
    config::{Fault, Mode, Secret},
};

/// The URL of Z-API.
pub(super) const ZAPI: &str = "https://api.z-api.io";
/// In place of a URL: no `[fallback]`.
pub(super) const NONE: &str = "none";
/// Bytes of a file with a secret.
const MAX_SECRET: u64 = 64 * 1024;

pub(super) struct Given {
    values: Vec<(Value, Secret)>,
    /// Values that are known to be absent.
    absent: Vec<Value>,
    pub(super) mode: Option<Mode>,
}

impl Given {
    /// Reads and checks what is given. Prints each error.
    pub(super) fn read(command: &Init) -> Result<Self, Exit> {
        let mut given = Self {
            values: Vec::new(),
            absent: Vec::new(),
            mode: None,
        };
        let mut problems = Vec::new();
        for (value, option, text) in texts(command) {
            match text {
                Ok(None) => (),
                Ok(Some(text)) if value == Value::Fallback && *text == NONE => {
                    given.absent.push(value);
                }
                Ok(Some(text)) => {
                    match given.check(value, &text) {
                        Ok(()) => (),
                        Err(Fault::Doubtful(doubt)) => {
                            print_error(format_args!("warning: {option}: {doubt}"));
                        }
                        Err(Fault::Invalid(problem)) => {
                            problems.push(format!("{option}: {problem}"));
                        }
                    }
                    given.set(value, &text);
                }
                Err(problem) => problems.push(format!("{option}: {problem}")),
            }
        }
        if command.no_client_token {
            given.absent.push(Value::ClientToken);
        }
        if command.no_fallback {
            given.absent.push(Value::Fallback);
        }
        given.mode = command.mode.as_deref().map(|mode| match mode {
            "observe" => Mode::Observe,
            _ => Mode::Translate,
        });
        if given.mode == Some(Mode::Observe) && given.absent.contains(&Value::Fallback) {
            let problem = "--mode: write translate: without a fallback there is nothing to observe";
            problems.push(problem.to_owned());
        }
        report(&problems)?;
        Ok(given)
    }

    /// Whether the value need not be asked for.
    pub(super) fn has(&self, value: Value) -> bool {
        self.get(value).is_some() || self.absent.contains(&value)
    }

    pub(super) fn get(&self, value: Value) -> Option<&str> {
        let mut values = self.values.iter();
        values.find_map(|(it, text)| (*it == value).then_some(text.expose()))
    }

    /// An empty text is no value.
    pub(super) fn set(&mut self, value: Value, text: &str) {
        if text.is_empty() {
            self.absent.push(value);
        } else {
            self.values.push((value, Secret::new(text)));
        }
    }

    /// Checks a value, also against the others.
    pub(super) fn check(&self, value: Value, text: &str) -> Result<(), Fault> {
        let known = self.values.iter().map(|(it, text)| (*it, text.expose()));
        value.check(text, &known.collect::<Vec<_>>())
    }

    /// Observing changes nothing for the programs that call, and shows what translating would do.
    pub(super) fn default_mode(&self) -> Mode {
        if self.absent.contains(&Value::Fallback) {
            Mode::Translate
        } else {
            Mode::Observe
        }
    }

    /// The answers, with defaults for what may be absent. Prints what is missing.
    pub(super) fn complete(self) -> Result<Answers, Exit> {
        let required = [
            (Value::ZapiInstance, "--zapi-instance"),
            (Value::ZapiToken, "--zapi-token-file"),
            (Value::RyzeInstance, "--ryze-instance"),
            (Value::RyzeToken, "--ryze-token-file"),
        ];
        let missing = required.iter().filter(|(value, _)| !self.has(*value));
        let missing: Vec<_> = missing
            .map(|(_, option)| format!("{option}: write it; there is no terminal to ask on"))
            .collect();
        report(&missing)?;
        let text = |value| self.get(value).unwrap_or_default().to_owned();
        let optional = |value| self.get(value).map(str::to_owned);
        let default = (!self.absent.contains(&Value::Fallback)).then(|| ZAPI.to_owned());
        Ok(Answers {
            zapi_instance: text(Value::ZapiInstance),
            zapi_token: Secret::new(self.get(Value::ZapiToken).unwrap_or_default()),
            client_token: self.get(Value::ClientToken).map(Secret::new),
            ryze_instance: text(Value::RyzeInstance),
            ryze_token: Secret::new(self.get(Value::RyzeToken).unwrap_or_default()),
            ryze_url: optional(Value::RyzeUrl),
            fallback: optional(Value::Fallback).or(default),
            mode: self.mode.unwrap_or(self.default_mode()),
        })
    }
}

/// A value, its option, and its text if it is given.
type Text = (
    Value,
    &'static str,
    Result<Option<Zeroizing<String>>, String>,
);

/// All values, in the order in which they are compared.
fn texts(command: &Init) -> Vec<Text> {
    let plain = |value, option, text: &Option<String>| {
        // Compose and Kubernetes set a variable that is left out to nothing.
        let text = text.as_ref().filter(|text| !text.is_empty());
        (
            value,
            option,
            Ok(text.map(|text| Zeroizing::new(text.clone()))),
        )
    };
    let mut is_stdin_read = false;
    let mut secret = |value, option, file: &Option<PathBuf>, variable| {
        let text = match file {
            Some(path) if is_stdin(path) && is_stdin_read => {
                Err("name a file: stdin has another token".to_owned())
            }
            Some(path) => {
                is_stdin_read |= is_stdin(path);
                read(path).map_err(|error| {
                    let path = path.display();
                    format!("name a file with the token: {path} cannot be read ({error})")
                })
            }
            None => Ok(env::var_os(variable)
                .map(|text| Zeroizing::new(text.to_string_lossy().into_owned()))),
        };
        (value, option, text.map(|text| text.map(without_line_end)))
    };
    let zapi_token = &command.zapi_token_file;
    let mut texts = vec![
        plain(
            Value::ZapiInstance,
            "--zapi-instance",
            &command.zapi_instance,
        ),
        secret(
            Value::ZapiToken,
            "--zapi-token-file",
            zapi_token,
            "ZAPI_TOKEN",
        ),
    ];
    if !command.no_client_token {
        let file = &command.client_token_file;
        let (option, variable) = ("--client-token-file", "ZAPI_CLIENT_TOKEN");
        texts.push(secret(Value::ClientToken, option, file, variable));
    }
    let ryze_token = &command.ryze_token_file;
    texts.extend([
        plain(
            Value::RyzeInstance,
            "--ryze-instance",
            &command.ryze_instance,
        ),
        secret(
            Value::RyzeToken,
            "--ryze-token-file",
            ryze_token,
            "RYZE_TOKEN",
        ),
        plain(Value::RyzeUrl, "--ryze-url", &command.ryze_url),
    ]);
    if !command.no_fallback {
        texts.push(plain(Value::Fallback, "--fallback", &command.fallback));
    }
    texts
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reads a secret. A terminal is asked later, without an echo.
fn read(path: &Path) -> io::Result<Option<Zeroizing<String>>> {
    let mut text = Zeroizing::new(String::new());
    if !is_stdin(path) {
        let file = fs::File::open(path)?;
        file.take(MAX_SECRET).read_to_string(&mut text)?;
    } else if io::stdin().is_terminal() {
        return Ok(None);
    } else {
        let stdin = io::stdin().lock();
        stdin.take(MAX_SECRET).read_to_string(&mut text)?;
    }
    Ok(Some(text))
}

/// Removes the line end that editors and `echo` write.
fn without_line_end(mut text: Zeroizing<String>) -> Zeroizing<String> {
    for end in ['\n', '\r'] {
        if text.ends_with(end) {
            text.pop();
        }
    }
    text
}

fn report(problems: &[String]) -> Result<(), Exit> {
    for problem in problems {
        print_error(format_args!("error: {problem}"));
    }
    match problems {
        [] => Ok(()),
        _ => Err(Exit::Reported(USAGE)),
    }
}
