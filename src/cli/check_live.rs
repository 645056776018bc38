//! `check --live`: reads the settings of each instance once, because a wrong token or mapping is
//! something that no file shows. It goes the way of every read, through lane and budget.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{self, LifecycleError},
    config::{Config, Instance},
    net::Network,
    privacy::{Failure, Limiter, Operation, Outcome},
    queue::{Queues, longest_wait},
    redact::SecretIndex,
    ryze::Target,
};

/// Time for one instance: that of a whole turn of the budget, and for Ryze to answer.
const DEADLINE: Duration = Duration::from_secs(120);
/// How many are read at once. One after the other, a Ryze that hangs would take all day; all at once,
/// the last would wait for the budget in vain.
const AT_ONCE: usize = 16;

/// Reads each instance of the configuration and gives `report` a line for each, in their order. Tells
/// whether all are as they should be.
///
/// # Errors
/// There is no way to Ryze, or to the Redis of the budget.
pub async fn check(
    config: &Config,
    mut report: impl FnMut(String),
) -> Result<bool, LifecycleError> {
    let budget = app::budget(config, longest_wait(DEADLINE))?;
    let queues = Queues::new(
        budget,
        app::client(config)?,
        DEADLINE,
        AT_ONCE,
        Arc::default(),
        CancellationToken::new(),
    );
    queues.redact(Arc::new(SecretIndex::of(&config.instances)));
    let mut all_fine = true;
    for some in config.instances.chunks(AT_ONCE) {
        let mut reads = Vec::with_capacity(some.len());
        for Instance {
            zapi_instance,
            ryze_instance,
            ryze_token,
            ..
        } in some
        {
            let base_url = &config.ryze.base_url;
            let target = Target::new(base_url, zapi_instance, ryze_instance, ryze_token)?;
            reads.push(tokio::spawn(read(Arc::clone(&queues), Arc::new(target))));
        }
        for (instance, read) in some.iter().zip(reads) {
            // Without a word its task is gone.
            let outcome = read.await.unwrap_or(Err(Failure::Unknown));
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

async fn read(queues: Arc<Queues<Network>>, target: Arc<Target>) -> Outcome {
    let deadline = Instant::now() + DEADLINE;
    queues
        .submit(&target, Operation::Read, deadline, &Arc::default())
        .await
}

/// What is wrong, and where to look.
fn fault(failure: &Failure) -> String {
    match failure {
        Failure::Denied { reason } => {
            format!("Ryze refuses it ({reason}); check ryze_instance and ryze_token")
        }
        Failure::Refused { reason } => format!("Ryze refuses the request ({reason})"),
        Failure::NotConnected => "not connected to WhatsApp; connect it at Ryze".into(),
        Failure::Upstream { reason } => format!("not known: {reason}"),
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
        Failure::Unknown => "not known: Ryze did not answer; try again".into(),
    }
}
