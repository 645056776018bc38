//! The parts without I/O: reading a call, writing an update, reading its answer, admitting a
//! request. What a whole process costs is measured by `benches/load/run`.

#![allow(clippy::panic)]

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use http_body_util::Full;
use tokio::{runtime::Builder, time::Instant};
use zapi_to_ryze::{
    budget::{Budget, Quota},
    config::ContactsBlacklist,
    privacy::{Audience, Change, Operation, Setting, Settings},
    ryze::wire,
    zapi::{
        request::{self, Limits},
        response,
        routes::Matched,
    },
};

const PATH: &str = "/instances/3C67AB641C8AA0412F6A2242B4E23AC7/token/9F3C2E7B1A5D/privacy/photo";
const CALL: &[u8] = br#"{"visualizationType":"CONTACTS"}"#;
const ANSWER: &[u8] = br#"{"success":true,"message":"Privacy settings updated successfully","settings":{"visibility":{"lastSeen":"none","status":"contacts","profile":"contacts","online":"match_last_seen"},"privacy":{"readReceipts":"none"},"permissions":{"callAdd":"known","groupAdd":"contacts"}}}"#;

fn benches(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    let limits = Limits {
        max_body: 65_536,
        body_timeout: Duration::from_secs(10),
        contacts_blacklist: ContactsBlacklist::Refuse,
    };
    criterion.bench_function("find the route", |bench| {
        bench.iter(|| Matched::find(black_box(PATH)).is_ok());
    });
    criterion.bench_function("read a call", |bench| {
        let Ok(call) = Matched::find(PATH) else {
            return;
        };
        let request = Request::post(PATH).header("content-type", "application/json");
        let Ok(request) = request.body(()) else {
            return;
        };
        let (parts, ()) = request.into_parts();
        let deadline = Instant::now() + limits.body_timeout;
        bench.iter(|| {
            let body = Full::new(Bytes::from_static(black_box(CALL)));
            runtime.block_on(request::operation(
                call.route, &parts, body, &limits, deadline,
            ))
        });
    });
    criterion.bench_function("write an update", |bench| {
        let settings: Settings = [Change {
            setting: Setting::ProfilePhoto,
            audience: Audience::Contacts,
        }]
        .into_iter()
        .collect();
        bench.iter(|| wire::update(black_box(&settings)));
    });
    criterion.bench_function("read an answer", |bench| {
        bench.iter(|| wire::settings(black_box(ANSWER)));
    });
    criterion.bench_function("write a success", |bench| {
        let operation = Operation::Change(Change {
            setting: Setting::ProfilePhoto,
            audience: Audience::Contacts,
        });
        let confirmed = Ok(Settings::default());
        bench.iter(|| response::outcome(&operation, black_box(&confirmed)));
    });
    criterion.bench_function("admit a request and give its slot back", |bench| {
        let budget = Budget::new(Quota {
            share: 1_000_000,
            burst: 1_000_000,
            max_wait: Duration::ZERO,
        });
        bench.iter(|| runtime.block_on(budget.acquire([0; 32])).is_ok());
    });
}

criterion_group!(pure, benches);
criterion_main!(pure);
