//! `explain`: how the gateway would handle a call, without a network.

use std::{io, net::Ipv4Addr};

use http::Uri;

use super::{
    Exit, FAILURE, SANDBOX_LISTEN, USAGE,
    arguments::{Explain, File, Pasted},
    print, print_error,
};
use crate::{
    config::{self, Config},
    explain::{
        Verdict, explain_why,
        request::{self, InvalidRequest},
    },
};

/// Exits with success only if the call would be carried out or passed on.
pub(super) async fn explain(command: Explain) -> Result<(), Exit> {
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
    let config = config(command.sandbox, command.file)?;
    let explained = explain_why(&config, &request.bytes).await?;
    if command.json {
        print(serde_json::to_string_pretty(&explained.to_json())?);
    } else {
        print(explained.to_string().trim_end());
    }
    match explained.explanation.verdict() {
        Verdict::Translated | Verdict::PassedOn => Ok(()),
        Verdict::Refused => Err(Exit::Reported(FAILURE)),
    }
}

fn config(is_sandbox: bool, file: File) -> Result<Config, Exit> {
    if !is_sandbox {
        return file.load();
    }
    let mut config = config::sandbox(SANDBOX_LISTEN, (Ipv4Addr::LOCALHOST, 80).into());
    // Nothing is sent; Ryze's real address is more informative than that of a sandbox not running.
    config.ryze.base_url = Uri::from_static("https://ryzeapi.cloud");
    Ok(config)
}
