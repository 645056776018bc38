//! `check --live`: reads the settings of each instance once, to find wrong tokens and instance names.
//! The reads go through queue and budget as all others do.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    app,
    config::{Config, Instance},
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

/// Reads each instance of the configuration and calls `report` with a line for each, in order. Returns
/// whether all reads succeeded.
///
/// # Errors
/// `[ryze]` or `budget.redis` cannot be used to connect.
pub async fn check(config: &Config, mut report: impl FnMut(String)) -> Result<bool, app::Error> {
    let budget = app::budget(config, longest_wait(DEADLINE))?;
    let queues = Queues::new(
        budget,
        app::client(config)?,
        DEADLINE,
        CONCURRENCY,
        Arc::default(),
        CancellationToken::new(),
    );
    queues.redact(Arc::new(SecretIndex::of(&config.instances)));
    let mut all_fine = true;
    for chunk in config.instances.chunks(CONCURRENCY) {
        let mut reads = Vec::with_capacity(chunk.len());
        for Instance {
            zapi_instance,
            ryze_instance,
            ryze_token,
            ..
        } in chunk
        {
            let base_url = &config.ryze.base_url;
            let target = Target::new(base_url, zapi_instance, ryze_instance, ryze_token)?;
            reads.push(tokio::spawn(read(Arc::clone(&queues), Arc::new(target))));
        }
        for (instance, read) in chunk.iter().zip(reads) {
            // `Err` if the task panicked.
            let outcome = read
                .await
                .unwrap_or(Err(Failure::Unknown(NoAnswer::Panicked)));
            let found = match outcome {
                Ok(settings) if !settings.is_empty() => Ok("fine".into()),
                Ok(_) => Err("it shows no setting that is known; is ryze.base_url Ryze's?".into()),
                Err(failure) => Err(fault(&failure)),
            };
            all_fine &= found.is_ok();
            let (Ok(found) | Err(found)) = found;
            let (from, to) = (&instance.zapi_instance, &instance.ryze_instance);
            report(format!("{from} → {to}: {found}"));
        }
    }
    Ok(all_fine)
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
