//! Black-box tests, one module a subject. Unit tests stand beside the code they test.
//!
//! | Where to add a test | Modules |
//! |---|---|
//! | commands, exit codes, signals, shutdown | `command`, `completions`, `explain`, `healthcheck`, `init`, `live`, `on_terminal`, `recorded_calls`, `report`, `serve_sandbox`, `stop`, `systemd`, `variables` |
//! | configuration: sound, broken, reload | `config`, `broken_files`, `operator` |
//! | listeners, TLS, HTTP framing, limits of clients | `listener`, `unix`, `https`, `raw`, `limits`, `hostile` |
//! | translated calls: mapping, client libraries, rejections | `mapping`, `shapes`, `refusals`, `reading`, `zapi_client` |
//! | Ryze's responses, connections to upstreams and their TLS | `ryze_answers`, `connections`, `net`, `tls` |
//! | per-instance queues: order, coalescing, retries, suspension | `queue`, `certainty`, `fairness` |
//! | the rate limit, alone and shared through Redis | `budget`, `shared_budget` |
//! | the fallback | `proxy` |
//! | secrets in responses, logs and errors | `secrets`, `broken_files` |
//! | metrics, status, log, admin page | `operator`, `observability`, `page` |
//! | the in-memory Ryze and Z-API | `sandbox` |
//! | random input, random schedules, a long run | `fuzz`, `simulation`, `soak` |
//! | documents, deployment files, test runner, structure of the code | `compatibility`, `configuration`, `readme`, `deploy`, `packaging`, `runner`, `structure` |
//!
//! `harness`, `pasted`, `pipes`, `process`, `terminal`, `webdriver`, `document` and `seeds` are helpers without assertions on
//! behaviour. Tests that need more than Rust and a C compiler are `#[ignore]`d; `tests/run` includes them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broken_files;
mod budget;
mod certainty;
mod command;
mod compatibility;
mod completions;
mod config;
mod configuration;
mod connections;
mod deploy;
mod document;
mod explain;
mod fairness;
mod fuzz;
mod harness;
mod healthcheck;
mod hostile;
mod https;
mod init;
mod limits;
mod listener;
mod live;
mod mapping;
mod net;
mod observability;
mod on_terminal;
mod operator;
mod packaging;
mod page;
mod pasted;
mod pipes;
mod process;
mod proxy;
mod queue;
mod raw;
mod reading;
mod readme;
mod recorded_calls;
mod refusals;
mod report;
mod runner;
mod ryze_answers;
mod sandbox;
mod secrets;
mod seeds;
mod serve_sandbox;
mod shapes;
mod shared_budget;
mod simulation;
mod soak;
mod stop;
mod structure;
mod systemd;
mod terminal;
mod tls;
mod unix;
mod variables;
mod webdriver;
mod zapi_client;
