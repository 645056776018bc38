//! The way of one request: from the caller's head to its answer, in the order of the checks that
//! the README promises. Each step is a module of its own; this one only joins them and tells the
//! log how it went.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use hyper::body::Body;
use tokio::time::Instant;

use crate::{
    alarm::Alarm,
    config::Config,
    lane::Lanes,
    privacy::{Change, Failure, Outcome},
    ryze::{Connect, Target},
    server::{CallerBody, Handler, head},
    zapi::{
        accounts::{Accounts, CLIENT_TOKEN},
        request::{self, Limits},
        response::{self, Answer, Refusal},
        route::Matched,
    },
};

/// What stands between the callers and Ryze.
pub struct Gateway<C> {
    accounts: Accounts,
    /// In the order of the configuration, which is that of [`Accounts`].
    targets: Vec<Arc<Target>>,
    lanes: Arc<Lanes<C>>,
    limits: Limits,
    deadline: Duration,
}

impl<C: Connect> Gateway<C> {
    /// Serves the instances of the configuration through the lanes.
    ///
    /// # Errors
    /// An instance's name or token cannot stand in a request.
    pub fn new(config: &Config, lanes: Arc<Lanes<C>>) -> Result<Self, http::Error> {
        let base_url = &config.ryze.base_url;
        let targets = config
            .instances
            .iter()
            .map(|instance| Target::new(base_url, &instance.ryze_instance, &instance.ryze_token))
            .map(|target| target.map(Arc::new));
        Ok(Self {
            accounts: Accounts::new(&config.instances),
            targets: targets.collect::<Result<_, _>>()?,
            lanes,
            limits: Limits {
                max_body: config.server.max_body,
                body_timeout: config.server.body_timeout,
                contacts_blacklist: config.policy.contacts_blacklist,
            },
            deadline: config.server.deadline,
        })
    }

    /// Answers one request, whatever carries it.
    pub async fn answer<B>(&self, request: Request<B>, alarm: &mut Alarm) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut line = Line::begin();
        let deadline = line.started + self.deadline;
        let answer = match self.read(request, deadline, &mut line).await {
            Ok((target, change)) => {
                let outcome = self.lanes.carry_out(target, change, deadline, alarm).await;
                line.ended_by = ended_by(&outcome);
                response::outcome(&outcome)
            }
            Err(refusal) => response::refusal(&refusal),
        };
        line.status = answer.status().as_u16();
        answer
    }

    async fn read<'s, B>(
        &'s self,
        request: Request<B>,
        deadline: Instant,
        line: &mut Line<'s>,
    ) -> Result<(&'s Arc<Target>, Change), Refusal>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        head::check(&parts, &CLIENT_TOKEN).map_err(Refusal::BadRequest)?;
        let call = Matched::find(parts.uri.path())?;
        line.route = call.route.template;
        call.check_method(&parts.method)?;
        let target = &self.targets[self.accounts.admit(&call, &parts.headers)?];
        line.instance = target.name();
        let change = request::change(call.route, &parts, body, &self.limits, deadline);
        tokio::select! {
            biased;
            change = change => Ok((target, change?)),
            () = self.lanes.until_cut() => {
                line.ended_by = "gateway";
                Err(Refusal::Unavailable("the gateway is stopping; nothing was changed"))
            }
        }
    }
}

impl<C: Connect> Handler for Gateway<C> {
    async fn answer(&self, request: Request<&mut CallerBody>, alarm: &mut Alarm) -> Answer {
        Gateway::answer(self, request, alarm).await
    }
}

/// The log line of a request, written when it is over, also for a caller who hung up: it then has
/// the status 0. It holds neither the path nor anything that the caller wrote.
struct Line<'s> {
    started: Instant,
    route: &'static str,
    instance: &'s str,
    status: u16,
    ended_by: &'static str,
}

impl Line<'_> {
    fn begin() -> Self {
        Self {
            started: Instant::now(),
            route: "unknown",
            instance: "",
            status: 0,
            ended_by: "caller",
        }
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        tracing::info!(
            route = self.route,
            instance = self.instance,
            status = self.status,
            ended_by = self.ended_by,
            milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
    }
}

/// Whose doing an outcome is.
fn ended_by(outcome: &Outcome) -> &'static str {
    match outcome {
        Err(Failure::Budget { .. } | Failure::NotSent) => "gateway",
        Ok(())
        | Err(
            Failure::Throttled { .. }
            | Failure::NotConnected
            | Failure::Refused { .. }
            | Failure::Upstream { .. }
            | Failure::Unknown,
        ) => "ryze",
    }
}
