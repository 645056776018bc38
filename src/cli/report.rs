//! `report`: the calls that the running gateway has forwarded to the fallback, so those that clients
//! still need from Z-API. Reads `/status`.

use std::{collections::BTreeMap, fmt, net::SocketAddr, time::Duration};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{Exit, FAILURE, USAGE, admin_client, arguments::Report, print, print_error};

/// Limit for the whole request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The prefix of most paths, left out in the table.
const PREFIX: &str = "/instances/{id}/token/{token}";
/// The columns of the table for classes of status, as `/status` names them.
const CLASSES: [&str; 6] = ["2xx", "3xx", "4xx", "5xx", "other", "none"];

/// The part of `/status` that is reported.
#[derive(Deserialize, Serialize)]
struct Status {
    version: String,
    uptime_seconds: u64,
    forwarded: Forwarded,
}

#[derive(Deserialize, Serialize)]
struct Forwarded {
    base_url: Option<String>,
    calls: Vec<Call>,
}

#[derive(Deserialize, Serialize)]
struct Call {
    method: String,
    route: String,
    total: u64,
    statuses: BTreeMap<String, u64>,
    seconds_ago: u64,
}

pub(super) async fn report(command: Report) -> Result<(), Exit> {
    let address = admin_client::address(command.file, USAGE)?;
    let status = status(address).await.map_err(|problem| {
        print_error(format_args!("error: http://{address}/status {problem}"));
        Exit::Reported(FAILURE)
    })?;
    if command.json {
        print(serde_json::to_string_pretty(&status)?);
    } else {
        print(status.to_string().trim_end());
    }
    Ok(())
}

/// # Errors
/// What is wrong with the response.
async fn status(address: SocketAddr) -> Result<Status, String> {
    let response = admin_client::get(address, "/status", TIMEOUT).await;
    let (status, body) = response.map_err(|error| format!("did not answer: {error}"))?;
    if status != StatusCode::OK {
        return Err(format!("answered {status}"));
    }
    serde_json::from_slice(&body)
        .map_err(|_| "is not the status of a gateway of this version".to_owned())
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Forwarded { base_url, calls } = &self.forwarded;
        let total: u64 = calls.iter().map(|call| call.total).sum();
        let age = age(self.uptime_seconds);
        match base_url {
            Some(url) => writeln!(
                formatter,
                "{total} calls to {url} since the start, {age} ago"
            )?,
            None => writeln!(
                formatter,
                "There is no [fallback]: the gateway rejects the calls that it does not translate."
            )?,
        }
        if calls.is_empty() {
            return Ok(());
        }
        writeln!(formatter)?;
        let classes = || {
            let occurs = |class: &&str| calls.iter().any(|call| call.statuses.contains_key(*class));
            CLASSES.into_iter().filter(occurs)
        };
        let routes = calls.iter().map(|call| call.path().len());
        let width = routes.max().unwrap_or_default();
        write!(
            formatter,
            "{:>9}  {:<7} {:<width$}",
            "calls", "method", "path"
        )?;
        for class in classes() {
            write!(formatter, " {class:>8}")?;
        }
        writeln!(formatter, "  last")?;
        for call in calls {
            let (total, method, path) = (call.total, &call.method, call.path());
            write!(formatter, "{total:>9}  {method:<7} {path:<width$}")?;
            for class in classes() {
                let count = call.statuses.get(class).copied().unwrap_or_default();
                write!(formatter, " {count:>8}")?;
            }
            writeln!(formatter, "  {} ago", self::age(call.seconds_ago))?;
        }
        if calls.iter().any(|call| call.path() == "other") {
            writeln!(
                formatter,
                "\nother: calls that Z-API does not document; the gateway records no path of them"
            )?;
        }
        Ok(())
    }
}

impl Call {
    fn path(&self) -> &str {
        self.route.strip_prefix(PREFIX).unwrap_or(&self.route)
    }
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}
