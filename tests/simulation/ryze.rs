//! The in-memory Ryze of a schedule, and its settings.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::advance;
use zapi_to_ryze::{
    privacy::Settings,
    ryze::wire,
    sandbox::{Options, Sandbox},
};

use super::schedule::{Schedule, name};

/// The instances of the other users of a token.
pub const FOREIGN: &str = "foreign";

/// The sandbox starts its clock at the time of day. Some milliseconds pass first, so that its seconds begin
/// in the same millisecond of each run: otherwise its rate headers, in seconds, would differ between runs.
pub async fn sandbox(schedule: &Schedule) -> Sandbox {
    let named = |(instance, token): (usize, &usize)| (name(instance), format!("token-{token}"));
    let foreign = (0..2).map(|token| (format!("{FOREIGN}-{token}"), format!("token-{token}")));
    loop {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let sandbox = Sandbox::new(Options {
            requests_per_minute: schedule.limit,
            window: schedule.window,
            latency: schedule.stanza,
            instances: schedule
                .tokens
                .iter()
                .enumerate()
                .map(named)
                .chain(foreign.clone())
                .collect(),
            ..Options::default()
        });
        let took = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - before;
        let is_clear = (100_000..800_000).contains(&(before.subsec_nanos() % 1_000_000));
        if is_clear && took < Duration::from_micros(200) {
            advance(Duration::from_millis(
                1000 - u64::from(before.subsec_millis()),
            ))
            .await;
            return sandbox;
        }
    }
}

/// Ryze's current settings of an instance.
pub fn store(sandbox: &Sandbox, instance: &str) -> Settings {
    sandbox
        .settings(instance)
        .map(|settings| settings_of(&settings.to_string()))
        .unwrap_or_default()
}

/// The settings of a body of Ryze.
pub fn settings_of(text: &str) -> Settings {
    let answer = format!("{{\"success\":true,\"settings\":{text}}}");
    wire::settings(answer.as_bytes()).unwrap_or_default()
}
