//! `check --live`: asks Redis, opens a connection to the fallback, and reads the settings of each instance
//! once, to find wrong tokens and instance names. The reads go through queue and budget as all others do.

use std::{sync::Arc, time::Duration};

use http::uri::Scheme;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::{
    app,
    config::{Budget, Config, Fallback, Instance},
    net::{Connect as _, ConnectFault},
    privacy::{Failure, Limiter, NoAnswer, Operation, Outcome},
    queue::{Queues, longest_wait},
    redact::SecretIndex,
    ryze::Target,
    zapi::response,
};

/// Deadline of one read: a whole window of the budget, and time for Ryze's response.
const DEADLINE: Duration = Duration::from_secs(120);
/// Concurrent reads. With one at a time, a Ryze that hangs would take the deadline for each instance;
/// with all at once, the last would time out waiting for the budget.
const CONCURRENCY: usize = 16;

/// One thing that was checked.
pub(super) struct Checked {
    /// Its name for people.
    pub(super) what: String,
    /// Index of the instance in the configuration, if it is one.
    pub(super) instance: Option<usize>,
    /// What is wrong, and what to do.
    pub(super) fault: Option<String>,
}

/// Asks Redis, connects to the fallback, and reads each instance of the configuration. Calls `report` with
/// each in this order.
///
/// # Errors
/// `[ryze]`, `[fallback]` or `budget.redis` cannot be used to connect.
pub(super) async fn check(
    config: &Config,
    mut report: impl FnMut(Checked),
) -> Result<(), app::Error> {
    let budget = app::budget(config, longest_wait(DEADLINE))?;
    if let Some(answer) = budget.probe_redis().await {
        report(Checked {
            what: "budget.redis".into(),
            instance: None,
            fault: answer.err().map(|reason| {
                format!("start Redis or correct the URL: it does not answer ({reason})")
            }),
        });
    }
    if let Some(fallback) = &config.fallback {
        report(connect(fallback).await?);
    }
    let queues = Queues::new(
        budget,
        app::client(config)?,
        DEADLINE,
        CONCURRENCY,
        Arc::default(),
        CancellationToken::new(),
    );
    queues.redact(Arc::new(SecretIndex::of(&config.instances)));
    let (progress, mut done, total) = (Progress::new(), 0, config.instances.len());
    for chunk in config.instances.chunks(CONCURRENCY) {
        let mut reads = Vec::with_capacity(chunk.len());
        for Instance {
            zapi_instance,
            ryze_instance,
            ryze_token,
            ..
        } in chunk
        {
            let target = Target::new(
                &config.ryze.base_url,
                Arc::clone(zapi_instance),
                Arc::clone(ryze_instance),
                ryze_token,
            )?;
            reads.push(tokio::spawn(read(Arc::clone(&queues), Arc::new(target))));
        }
        for (instance, read) in chunk.iter().zip(reads) {
            progress.show(done, total, time_left(&config.budget, done, total));
            // `Err` if the task panicked.
            let outcome = read
                .await
                .unwrap_or(Err(Failure::Unknown(NoAnswer::Panicked)));
            progress.clear();
            let fault = match outcome {
                Ok(settings) if !settings.is_empty() => None,
                Ok(_) => Some("it shows no setting that is known; is ryze.base_url Ryze's?".into()),
                Err(failure) => Some(fault(&failure)),
            };
            let (from, to) = (&instance.zapi_instance, &instance.ryze_instance);
            report(Checked {
                what: format!("{from} → {to}"),
                instance: Some(done),
                fault,
            });
            done += 1;
        }
    }
    Ok(())
}

/// Opens a connection to the fallback, with TLS if its URL is `https`, and sends nothing.
async fn connect(fallback: &Fallback) -> Result<Checked, app::Error> {
    let is_secure = fallback.base_url.scheme() == Some(&Scheme::HTTPS);
    let with = if is_secure { "with" } else { "without" };
    let url = fallback.base_url.to_string();
    let opened = app::network(fallback)?.connect().await;
    let fault = opened.err().map(|error| {
        let fault = ConnectFault::from(&error);
        let cure = match fault {
            ConnectFault::Certificate => "check fallback.ca_file, or the clock",
            _ => "check fallback.base_url and the network",
        };
        format!("{cure}: {fault}")
    });
    Ok(Checked {
        what: format!("fallback {} {with} TLS", url.trim_end_matches('/')),
        instance: None,
        fault,
    })
}

/// How long the reads that are left take at the pace of the budget.
fn time_left(budget: &Budget, done: usize, total: usize) -> Duration {
    let paced = total.saturating_sub(done.max(budget.burst as usize));
    let paced = u32::try_from(paced).unwrap_or(u32::MAX);
    Duration::from_secs(60) * paced / budget.share().max(1)
}

async fn read(queues: Arc<Queues>, target: Arc<Target>) -> Outcome {
    let deadline = Instant::now() + DEADLINE;
    queues
        .submit(&target, Operation::Read, deadline, &Arc::default())
        .await
}

/// Describes a failure, and what to check.
fn fault(failure: &Failure) -> String {
    match failure {
        Failure::Denied { report, .. } => format!(
            "Ryze refuses it ({}); check ryze_instance and ryze_token",
            response::report(report)
        ),
        Failure::Refused { report, .. } => {
            format!("Ryze refuses the request ({})", response::report(report))
        }
        Failure::NotConnected => "not connected to WhatsApp; connect it at Ryze".into(),
        Failure::Upstream(fault) => format!("not known: {}", response::fault(fault)),
        Failure::Throttled { by, retry_after } => {
            let whose = match by {
                Limiter::Upstream => "Ryze's rate limit",
                Limiter::WhatsApp => "WhatsApp's rate limit",
            };
            let seconds = retry_after.as_secs() + 1;
            format!("not known: {whose} is used up; try again in {seconds} s")
        }
        Failure::BudgetUnavailable { .. } => {
            "not known: the Redis of the budget is unavailable; try again in a minute".into()
        }
        Failure::Budget { .. } | Failure::NotSent | Failure::QueueFull => {
            "not known: the budget left no time for it; try again in a minute".into()
        }
        Failure::Unknown(_) => "not known: Ryze did not answer; try again".into(),
    }
}
