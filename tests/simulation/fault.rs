//! Faults of Ryze. A fault never makes Ryze lie: no response shows a value that it does not have, and an
//! update that is applied after its response was due has no response.

use std::time::Duration;

use fastrand::Rng;
use http::StatusCode;
use zapi_to_ryze::{
    privacy::Setting,
    sandbox::{Answer, Call, Fault},
};

use super::schedule::{Schedule, millis};

/// The latest time after its arrival at which an update is applied.
pub const LATEST_LANDING: Duration = Duration::from_secs(90);

/// The settings in the order in which Ryze applies them, by Ryze's names.
pub const FIELDS: [(Setting, &str); 6] = [
    (Setting::LastSeen, "lastSeen"),
    (Setting::About, "status"),
    (Setting::ProfilePhoto, "profile"),
    (Setting::Online, "online"),
    (Setting::ReadReceipts, "readReceipts"),
    (Setting::GroupAdd, "groupAdd"),
];

/// Ryze's message if WhatsApp throttles the step that reads the settings.
const GET_THROTTLED: &str =
    "failed to get privacy settings: info query returned status 429: rate-overlimit";
/// A placeholder for a message that names the field.
const NAMED: &str = "named";

/// The number of kinds.
pub const KINDS: u32 = 21;

/// A fault of this kind, for any instance.
pub fn fault(rng: &mut Rng, schedule: &Schedule, kind: u32) -> Fault {
    let timeout = schedule.request_timeout.as_millis() as u64;
    let latest = LATEST_LANDING.as_millis() as u64;
    let mut fault = Fault::new(match kind {
        0 => return field_failure(rng, &["info query returned status 429: rate-overlimit"]),
        1 => {
            return field_failure(
                rng,
                &[
                    "info query timed out",
                    "websocket disconnected before info query returned response",
                ],
            );
        }
        2 => return field_failure(rng, &["info query returned status 403: forbidden"]),
        3 => {
            return field_failure(
                rng,
                &["info query returned status 503", "websocket not connected"],
            );
        }
        17 => return refused_half_way(rng),
        18 => return throttled_half_way(rng),
        19 | 20 => Answer::Status {
            status: [
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::INTERNAL_SERVER_ERROR,
            ][rng.usize(0..2)],
            message: GET_THROTTLED.into(),
        },
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
        15 => Answer::Raw {
            status: StatusCode::BAD_GATEWAY,
            body: "<html>Bad Gateway</html>".into(),
        },
        16 => Answer::Status {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: "rate-overlimit".into(),
        },
        _ => Answer::Normal,
    });
    match kind {
        // The update is applied nevertheless, before its response.
        4 | 7 | 15 | 19 | 20 if rng.bool() => {
            fault.apply = true;
            fault.answer_after = schedule.stanza * 7 + Duration::from_millis(10);
        }
        // For a while.
        5 => fault.times = rng.u32(1..=3),
        8 => fault.apply = rng.bool(),
        // Late landings.
        9 | 11 => {
            fault.apply = true;
            fault.apply_after = millis(rng, 0..=latest);
            fault.answer_after = millis(rng, 0..=500);
        }
        // The response to a read would be a lie.
        12 => fault.call = Some(Call::Update),
        // Slow responses, many of them after the gateway's timeout.
        13 => fault.apply_after = millis(rng, 0..=(timeout * 5 / 4).min(latest)),
        14 => fault.answer_after = millis(rng, 0..=timeout * 5 / 4),
        _ => {}
    }
    fault
}

/// A fault of a read of the instance, such as a read-back.
pub fn of_a_read(rng: &mut Rng, instance: Option<String>) -> Fault {
    let mut fault = Fault::new(match rng.u32(0..5) {
        0 => Answer::Close,
        1 => Answer::Never,
        4 => Answer::Status {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: GET_THROTTLED.into(),
        },
        2 => status(rng, &[401, 403, 404, 429]),
        _ => status(rng, &[500, 502, 503]),
    });
    fault.instance = instance;
    fault.call = Some(Call::Read);
    fault
}

fn field_failure(rng: &mut Rng, reasons: &[&str]) -> Fault {
    let field = FIELDS[rng.usize(0..FIELDS.len())].1;
    let reason = reasons[rng.usize(0..reasons.len())];
    Fault::new(Answer::field_failure(field, reason))
}

/// A field that WhatsApp refuses, with another status than 500 or with no name.
fn refused_half_way(rng: &mut Rng) -> Fault {
    let cause = "info query returned status 403: forbidden";
    let message = ["a fault", cause, NAMED][rng.usize(0..3)];
    half_way(rng, &[400, 403, 429], message, cause)
}

/// As [`refused_half_way`], for a field that WhatsApp throttles.
fn throttled_half_way(rng: &mut Rng) -> Fault {
    let cause = "info query returned status 429: rate-overlimit";
    let message = ["rate-overlimit", cause, NAMED][rng.usize(0..3)];
    half_way(rng, &[400, 403, 429, 500], message, cause)
}

fn half_way(rng: &mut Rng, statuses: &[u16], message: &str, cause: &str) -> Fault {
    let field = FIELDS[rng.usize(0..FIELDS.len())].1;
    let mut status = statuses[rng.usize(0..statuses.len())];
    if message == "a fault" {
        // With another status this would be Ryze's verdict on all fields.
        status = 400;
    }
    let message = match message {
        NAMED => format!("failed to update {field} privacy: {cause}"),
        _ => message.into(),
    };
    Fault::new(Answer::FieldFailure {
        field: field.into(),
        status: StatusCode::from_u16(status).unwrap(),
        message,
    })
}

fn status(rng: &mut Rng, statuses: &[u16]) -> Answer {
    Answer::Status {
        status: StatusCode::from_u16(statuses[rng.usize(0..statuses.len())]).unwrap(),
        message: "a fault".into(),
    }
}
