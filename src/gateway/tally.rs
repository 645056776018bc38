//! How the calls of one instance ended in the last ten minutes, and its last failure.
//!
//! A client's mistake is counted apart: it neither makes an instance failing nor replaces its last failure.
//! The counters, about 180 bytes, are allocated at the first call. Pure: the time is an argument.

use tokio::time::Instant;

use crate::telemetry::{CallResult, OutcomeLabel, Reason, Rolling};

#[derive(Debug, Default)]
pub(super) struct Tally(Option<Box<Counters>>);

#[derive(Debug)]
struct Counters {
    /// In the order of [`CallResult::ALL`].
    minutes: Rolling<[u32; CallResult::ALL.len()], 10, 60>,
    last_failure: Option<LastFailure>,
    /// Whether that came after the last success.
    is_failing: bool,
}

/// The last call that failed and was not a client's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFailure {
    pub outcome: OutcomeLabel,
    pub reason: Option<Reason>,
    pub time: Instant,
}

/// The calls of the last ten minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    pub done: u32,
    pub failed: u32,
    pub client_errors: u32,
    /// Of any time.
    pub last_failure: Option<LastFailure>,
    /// Whether a call failed, and none was carried out since.
    pub is_failing: bool,
}

impl Tally {
    /// A call ended.
    pub(super) fn count(
        &mut self,
        result: CallResult,
        outcome: OutcomeLabel,
        reason: Option<Reason>,
        now: Instant,
    ) {
        let counters = self.0.get_or_insert_with(|| {
            Box::new(Counters {
                minutes: Rolling::new(now),
                last_failure: None,
                is_failing: false,
            })
        });
        let counts = counters.minutes.current(now).iter_mut();
        for (count, _) in counts.zip(CallResult::ALL).filter(|(_, it)| **it == result) {
            *count += 1;
        }
        match result {
            CallResult::Done => counters.is_failing = false,
            CallResult::Failed => {
                counters.is_failing = true;
                counters.last_failure = Some(LastFailure {
                    outcome,
                    reason,
                    time: now,
                });
            }
            CallResult::ClientError => (),
        }
    }

    pub(super) fn recent(&mut self, now: Instant) -> Recent {
        let Some(counters) = &mut self.0 else {
            return Recent::default();
        };
        let mut recent = Recent {
            last_failure: counters.last_failure,
            ..Recent::default()
        };
        for [done, failed, client_errors] in counters.minutes.latest_first(now) {
            recent.done += done;
            recent.failed += failed;
            recent.client_errors += client_errors;
        }
        recent.is_failing = counters.is_failing && recent.failed > 0;
        recent
    }
}

#[cfg(test)]
mod tests {
    use std::{mem::size_of, time::Duration};

    use super::*;

    #[test]
    fn a_clients_mistake_hides_no_failure_and_is_none() {
        let start = Instant::now();
        let at = |minute: u64| start + Duration::from_secs(60 * minute);
        let mut tally = Tally::default();
        assert_eq!(tally.recent(start), Recent::default());
        let mistake = (CallResult::ClientError, OutcomeLabel::BadRequest);
        let failure = (CallResult::Failed, OutcomeLabel::ThrottledByWhatsApp);
        let success = (CallResult::Done, OutcomeLabel::Confirmed);
        let reason = Some(Reason::WhatsAppRateLimited);
        let mut counted = |(result, outcome), minute| {
            tally.count(result, outcome, reason, at(minute));
            let recent = tally.recent(at(minute));
            let counts = [recent.done, recent.failed, recent.client_errors];
            (counts, recent.is_failing, recent.last_failure)
        };
        let last = Some(LastFailure {
            outcome: OutcomeLabel::ThrottledByWhatsApp,
            reason,
            time: at(1),
        });
        assert_eq!(counted(mistake, 0), ([0, 0, 1], false, None));
        assert_eq!(counted(failure, 1), ([0, 1, 1], true, last));
        assert_eq!(counted(mistake, 2), ([0, 1, 2], true, last));
        assert_eq!(counted(success, 3), ([1, 1, 2], false, last));
        let (counts, is_failing, _) = counted(failure, 4);
        assert_eq!((counts, is_failing), ([1, 2, 2], true));
        let recent = tally.recent(at(14));
        assert_eq!((recent.failed, recent.is_failing), (0, false));
        assert!(recent.last_failure.is_some(), "it is known for longer");
    }

    #[test]
    fn an_instance_needs_little_memory() {
        assert!(size_of::<Counters>() <= 200, "{}", size_of::<Counters>());
        assert_eq!(size_of::<Tally>(), 8);
    }
}
