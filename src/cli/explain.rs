//! `explain`: how the gateway would handle a call, without a network.

use std::{
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use http::Uri;

use super::{
    Exit, FAILURE, USAGE,
    arguments::{Calls, Explain, FileOption, Pasted},
    print, print_error,
    sandbox::SANDBOX_LISTEN,
};
use crate::{
    config::{self, Config},
    explain::{
        self, Source, Verdict, explain_why,
        request::{self, InvalidRequest},
    },
};

/// Exits with success only if the call would be carried out or passed on.
pub(super) async fn explain(command: Explain) -> Result<(), Exit> {
    let (sandbox, json) = (command.sandbox, command.json);
    if let Some((path, source)) = source(&command) {
        return judge(&config(sandbox, command.file)?, &path, &source, json).await;
    }
    let request = match &command.pasted {
        Some(Pasted::Curl { words })
            if command.request.is_empty() && command.headers.is_empty() =>
        {
            request::from_curl(words)
        }
        Some(_) => Err(InvalidRequest::Usage(
            "give a request or a curl line, not both",
        )),
        None => request::read(&command.request, &command.headers, io::stdin().lock()),
    };
    let request = request.map_err(|error| match error {
        InvalidRequest::Usage(_) => {
            print_error(format_args!("error: {error}"));
            Exit::Reported(USAGE)
        }
        InvalidRequest::Stdin(_) => error.into(),
    })?;
    if let Some(warning) = request.warning {
        print_error(format_args!("warning: {warning}"));
    }
    let config = config(sandbox, command.file)?;
    let explained = explain_why(&config, &request.bytes).await?;
    if json {
        print(serde_json::to_string_pretty(&explained.to_json())?);
    } else {
        print(explained.to_string().trim_end());
    }
    match explained.explanation.verdict() {
        Verdict::Translated | Verdict::PassedOn => Ok(()),
        Verdict::Refused | Verdict::NotJudged => Err(Exit::Reported(FAILURE)),
    }
}

/// The file of calls, if one is given.
fn source(command: &Explain) -> Option<(PathBuf, Source)> {
    let Calls {
        har,
        postman,
        access_log,
    } = &command.calls;
    let environment = &command.postman_environment;
    let har = har.iter().map(|path| (path, Source::Har(path.clone())));
    let postman = postman
        .iter()
        .map(|path| (path, Source::Postman(path.clone(), environment.clone())));
    let log = access_log
        .iter()
        .map(|path| (path, Source::AccessLog(path.clone())));
    let mut all = har.chain(postman).chain(log);
    all.next().map(|(path, source)| (path.clone(), source))
}

/// Exits with success only if all calls of the file would be carried out or passed on.
async fn judge(config: &Config, path: &Path, source: &Source, json: bool) -> Result<(), Exit> {
    let tally = explain::judge(config, source).await.map_err(|error| {
        print_error(format_args!("{}: error: {error}", path.display()));
        Exit::Reported(USAGE)
    })?;
    if json {
        print(serde_json::to_string_pretty(&tally.to_json())?);
    } else {
        print(tally.to_string().trim_end());
    }
    match tally.is_fine() {
        true => Ok(()),
        false => Err(Exit::Reported(FAILURE)),
    }
}

fn config(is_sandbox: bool, file: FileOption) -> Result<Config, Exit> {
    if !is_sandbox {
        return file.load();
    }
    let upstream = (Ipv4Addr::LOCALHOST, 80).into();
    let mut config = config::sandbox(SANDBOX_LISTEN, upstream, upstream);
    // Nothing is sent; the vendors' real addresses are more informative than those of a sandbox not running.
    config.ryze.base_url = Uri::from_static("https://ryzeapi.cloud");
    if let Some(fallback) = &mut config.fallback {
        fallback.base_url = Uri::from_static("https://api.z-api.io");
    }
    Ok(config)
}
