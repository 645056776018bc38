//! `healthcheck`: requests `/ready` or `/live` of the running gateway, for container and pod probes.

use std::time::Duration;

use http::StatusCode;

use super::{Exit, FAILURE, admin_client, arguments::Healthcheck, print, print_error};

/// Limit for the whole probe.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn healthcheck(command: Healthcheck) -> Result<(), Exit> {
    let address = admin_client::address(command.file, FAILURE)?;
    let path = if command.live { "/live" } else { "/ready" };
    let response = admin_client::get(address, path, TIMEOUT).await;
    let (status, _) = response.map_err(|error| {
        print_error(format_args!(
            "http://{address}{path} did not answer: {error}"
        ));
        Exit::Reported(FAILURE)
    })?;
    print(format_args!("http://{address}{path} answered {status}"));
    match status {
        StatusCode::OK => Ok(()),
        _ => Err(Exit::Reported(FAILURE)),
    }
}
