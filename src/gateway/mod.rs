//! The way of one request: from the caller's head to its answer, in the order of the checks that
//! the README promises. Each step is a module of its own; this one only joins them and tells the
//! log how it went.

mod rules;
mod targets;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{Either, Full};
use tokio::time::Instant;

pub use self::rules::{Instance, Last, Rules};
use crate::{
    access_log::{Line, Logged},
    alarm::Alarm,
    config::Config,
    fallback::{Download, Fallback},
    lane::Lanes,
    metrics::Called,
    network::Connect,
    privacy::{Failure, Operation, Outcome},
    server::{CallerBody, Handler},
    trace::{Trace, X_REQUEST_ID},
    zapi::{
        accounts, request,
        response::{self, Answer, Refusal},
        route::Route,
        router::Destination,
    },
};

/// What stands between the callers and the vendors.
pub struct Gateway<C> {
    rules: ArcSwap<Rules<C>>,
    lanes: Arc<Lanes<C>>,
    deadline: Duration,
}

/// The body of an answer: the gateway's own, or the old vendor's as it comes.
pub type AnswerBody = Either<Full<Bytes>, Logged<Download>>;

impl<C: Connect> Gateway<C> {
    /// Serves the instances of the configuration through the lanes, and passes on what is not theirs.
    ///
    /// # Errors
    /// An instance's name or token cannot stand in a request.
    pub fn new(
        config: &Config,
        lanes: Arc<Lanes<C>>,
        fallback: Option<Arc<Fallback<C>>>,
    ) -> Result<Self, http::Error> {
        Ok(Self {
            rules: ArcSwap::from_pointee(Rules::new(config, fallback)?),
            lanes,
            deadline: config.server.deadline,
        })
    }

    /// The rules of another configuration, to [`replace`](Self::replace) those in force.
    ///
    /// # Errors
    /// An instance's name or token cannot stand in a request.
    pub fn prepare(
        &self,
        config: &Config,
        fallback: Option<Arc<Fallback<C>>>,
    ) -> Result<Rules<C>, http::Error> {
        let in_use = self.lanes.targets();
        Rules::following(config, fallback, self.rules.load().instances(), &in_use)
    }

    /// Goes by these rules from the next request on; those that are under way end by the old ones.
    pub fn replace(&self, mut rules: Rules<C>) {
        rules.renew_tokens();
        let targets = rules.instances().iter().map(Instance::target);
        self.lanes.serve(&targets.cloned().collect());
        self.rules.store(Arc::new(rules));
    }

    /// The rules that it goes by.
    pub fn rules(&self) -> Arc<Rules<C>> {
        self.rules.load_full()
    }

    async fn carry_out(
        &self,
        (route, instance): (&'static Route, &Instance),
        rules: &Rules<C>,
        parts: &Parts,
        body: CallerBody,
        line: &mut Line,
        alarm: &mut Alarm,
    ) -> Answer {
        let deadline = line.started + self.deadline;
        let operation = request::operation(route, parts, body, &rules.limits, deadline);
        let operation = tokio::select! {
            biased;
            operation = operation => operation,
            () = self.lanes.until_cut() => {
                line.ended_by = "gateway";
                Err(Refusal::Unavailable("the gateway is stopping; nothing was changed"))
            }
        };
        let answer = match operation {
            Ok(operation) => {
                let (lanes, target) = (&self.lanes, &instance.target);
                line.operation = Some((operation, Instant::now()));
                let outcome = lanes.carry_out(target, operation, deadline, alarm, &line.trace);
                let outcome = outcome.await;
                line.ended_by = self.ended_by(&outcome, deadline);
                match (&outcome, operation) {
                    (Err(failure), _) => line.failed(failure.kind()),
                    (Ok(_), Operation::Change(_)) => line.succeeded("confirmed"),
                    (Ok(_), Operation::Read) => line.succeeded("read"),
                }
                response::outcome(&operation, &outcome)
            }
            Err(refusal) => self.refuse(&refusal, line),
        };
        instance.note(line.outcome);
        answer
    }

    /// Whose doing an outcome is.
    fn ended_by(&self, outcome: &Outcome, deadline: Instant) -> &'static str {
        match outcome {
            Err(Failure::Budget { .. } | Failure::BudgetUnavailable { .. } | Failure::NotSent) => {
                "gateway"
            }
            // It was given up here, and may be answered still.
            Err(Failure::Unknown) if deadline <= Instant::now() || self.lanes.is_cut() => "gateway",
            Ok(_)
            | Err(
                Failure::Throttled { .. }
                | Failure::NotConnected
                | Failure::Denied { .. }
                | Failure::Refused { .. }
                | Failure::Upstream { .. }
                | Failure::Unknown,
            ) => "ryze",
        }
    }

    fn refuse(&self, refusal: &Refusal, line: &mut Line) -> Answer {
        line.failed(refusal.kind());
        if refusal.is_unsupported() {
            self.lanes.metrics().unsupported(refusal.kind());
        }
        response::refusal(refusal)
    }

    async fn forward(
        &self,
        fallback: &Fallback<C>,
        request: Request<CallerBody>,
    ) -> Result<Response<Download>, Refusal> {
        let (method, begun) = (request.method().clone(), Instant::now());
        let answer = tokio::select! {
            biased;
            answer = fallback.forward(request) => answer,
            () = self.lanes.until_cut() => Err(Refusal::GatewayTimeout(
                "the gateway is stopping and the fallback has not answered; it may have carried \
                 the call out",
            )),
        };
        self.lanes.metrics().called(Called {
            upstream: "fallback",
            method: &method,
            status: answer.as_ref().ok().map(Response::status),
            error: answer.as_ref().err().map_or("", Refusal::kind),
            duration: begun.elapsed(),
        });
        answer
    }
}

impl<C: Connect> Handler for Gateway<C> {
    type Body = AnswerBody;

    async fn answer(
        &self,
        request: Request<CallerBody>,
        alarm: &mut Alarm,
    ) -> Response<AnswerBody> {
        let rules = self.rules();
        let (parts, body) = request.into_parts();
        let trace = Arc::new(Trace::of(&parts, accounts::tells));
        let metrics = Arc::clone(self.lanes.metrics());
        let mut line = Line::begin(parts.method.clone(), Arc::clone(&trace), metrics);
        let answer = match route(&rules, &parts, &mut line) {
            Ok(Destination::Ryze { route, instance }) => {
                let call = (route, &rules.instances()[instance]);
                let answer = self.carry_out(call, &rules, &parts, body, &mut line, alarm);
                answer.await
            }
            Ok(Destination::Fallback(fallback)) => {
                let request = Request::from_parts(parts, body);
                // Boxed, for it is large, and most calls have no use for it.
                match Box::pin(self.forward(fallback, request)).await {
                    Ok(mut answer) => {
                        line.status = Some(answer.status());
                        let id = answer.headers_mut().entry(X_REQUEST_ID);
                        id.or_insert_with(|| trace.id().clone());
                        return answer.map(|body| Either::Right(Logged::new(body, line)));
                    }
                    Err(refusal) => {
                        if let Refusal::BadGateway(_) | Refusal::GatewayTimeout(_) = refusal {
                            line.ended_by = "fallback";
                        }
                        self.refuse(&refusal, &mut line)
                    }
                }
            }
            Err(refusal) => self.refuse(&refusal, &mut line),
        };
        line.status = Some(answer.status());
        let mut answer = answer.map(Either::Left);
        answer
            .headers_mut()
            .insert(X_REQUEST_ID, trace.id().clone());
        answer
    }
}

/// Who answers a call, if its head is sound.
fn route<'r, C: Connect>(
    rules: &'r Rules<C>,
    parts: &Parts,
    line: &mut Line,
) -> Result<Destination<'r, Arc<Fallback<C>>>, Refusal> {
    let routed = rules.route(parts)?;
    match (routed.route, &routed.destination) {
        (Some(route), _) => line.route = route.template,
        (None, Ok(Destination::Fallback(_))) => line.route = "fallback",
        _ => (),
    }
    let instance = routed.instance.map(|place| &rules.instances()[place]);
    line.target = instance.map(|instance| Arc::clone(instance.target()));
    routed.destination
}
