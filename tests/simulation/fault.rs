//! What may go wrong at Ryze. A fault never makes Ryze lie: no answer shows what it does not hold, and
//! what is carried out after its answer had none.

use std::time::Duration;

use fastrand::Rng;
use http::StatusCode;
use zapi_to_ryze::{
    privacy::Setting,
    sandbox::{Answer, Call, Fault},
};

use super::schedule::{Schedule, millis};

/// No update is carried out later than this after it arrived, however late it is.
pub const LATEST_LANDING: Duration = Duration::from_secs(90);

/// The settings in the order in which Ryze carries them out, by Ryze's names.
pub const FIELDS: [(Setting, &str); 6] = [
    (Setting::LastSeen, "lastSeen"),
    (Setting::About, "status"),
    (Setting::ProfilePhoto, "profile"),
    (Setting::Online, "online"),
    (Setting::ReadReceipts, "readReceipts"),
    (Setting::GroupAdd, "groupAdd"),
];

/// How many kinds there are.
pub const KINDS: u32 = 15;

/// A fault of that kind, for whatever instance.
pub fn fault(rng: &mut Rng, schedule: &Schedule, kind: u32) -> Fault {
    let timeout = schedule.request_timeout.as_millis() as u64;
    let latest = LATEST_LANDING.as_millis() as u64;
    let mut fault = Fault::new(match kind {
        0 => return field_failure(rng, "info query returned status 429: rate-overlimit"),
        1 => return field_failure(rng, "info query timed out"),
        2 => return field_failure(rng, "info query returned status 403: forbidden"),
        3 => return field_failure(rng, "info query returned status 503"),
        4 => status(rng, &[500, 502, 503]),
        5 => status(rng, &[401, 403, 404, 400]),
        6 => Answer::Status {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: "Rate limit exceeded. Try again later.".into(),
        },
        7 => Answer::Raw {
            status: StatusCode::OK,
            body: [
                "",
                "{\"success\":true}",
                "{\"success\":true,\"settings\":{}}",
            ][rng.usize(0..3)]
            .into(),
        },
        8 | 9 => Answer::Close,
        10 | 11 => Answer::Never,
        12 => Answer::Stale,
        _ => Answer::Normal,
    });
    match kind {
        // The answer does not speak for the update: it is carried out before it all the same.
        4 | 7 if rng.bool() => {
            fault.apply = true;
            fault.answer_after = schedule.stanza * 7 + Duration::from_millis(10);
        }
        8 => fault.apply = rng.bool(),
        // Late landings.
        9 | 11 => {
            fault.apply = true;
            fault.apply_after = millis(rng, 0..=latest);
            fault.answer_after = millis(rng, 0..=500);
        }
        // To who reads it would be a lie.
        12 => fault.call = Some(Call::Update),
        // Slow answers, many of them after the gateway gave up.
        13 => fault.apply_after = millis(rng, 0..=(timeout * 5 / 4).min(latest)),
        14 => fault.answer_after = millis(rng, 0..=timeout * 5 / 4),
        _ => {}
    }
    fault
}

fn field_failure(rng: &mut Rng, reason: &str) -> Fault {
    Fault::new(Answer::FieldFailure {
        field: FIELDS[rng.usize(0..FIELDS.len())].1.into(),
        reason: reason.into(),
    })
}

fn status(rng: &mut Rng, statuses: &[u16]) -> Answer {
    Answer::Status {
        status: StatusCode::from_u16(statuses[rng.usize(0..statuses.len())]).unwrap(),
        message: "a fault".into(),
    }
}
