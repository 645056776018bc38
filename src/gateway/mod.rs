//! The way of one request: from the caller's head to its answer, in the order of the checks that
//! the README promises. Each step is a module of its own; this one only joins them and tells the
//! log how it went.

mod access_log;
mod rules;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{Either, Full};
use tokio::time::Instant;

use self::access_log::{Line, Logged};
pub use self::rules::{Instance, Last, Rules};
use crate::{
    config::Config,
    net::Connect,
    privacy::{Failure, Operation, Outcome},
    proxy::{self, Download, Proxy},
    queue::Lanes,
    server::{Handler, RequestBody},
    telemetry::{Called, EndedBy, OutcomeLabel, Trace, Upstream, X_REQUEST_ID},
    zapi::{
        auth,
        rejection::{Rejection, Unavailable},
        request::{self, ReadCall},
        response::{self, Answer},
        router::Destination,
        routes::Route,
    },
};

/// What stands between the callers and the vendors.
pub struct Gateway<C> {
    rules: ArcSwap<Rules<C>>,
    lanes: Arc<Lanes<C>>,
    deadline: Duration,
}

/// An extension of the response to a call whose list of contacts was dropped.
#[derive(Clone, Copy, Debug)]
pub struct ContactsDropped;

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
        proxy: Option<Arc<Proxy<C>>>,
    ) -> Result<Self, http::Error> {
        let rules = Rules::new(config, proxy)?;
        lanes.serve(&rules.targets());
        lanes.redact(Arc::clone(&rules.secrets));
        Ok(Self {
            rules: ArcSwap::from_pointee(rules),
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
        proxy: Option<Arc<Proxy<C>>>,
    ) -> Result<Rules<C>, http::Error> {
        Rules::following(config, proxy, self.rules.load().instances())
    }

    /// Goes by these rules from the next request on. Requests in progress keep the rules that they
    /// began with, but for the tokens: what was not sent yet is sent with the new one.
    pub fn replace(&self, rules: Rules<C>) {
        self.lanes.redact(Arc::clone(&rules.secrets));
        self.lanes.serve(&rules.targets());
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
        body: RequestBody,
        line: &mut Line,
    ) -> Answer {
        let deadline = line.started + self.deadline;
        let call = request::operation(route, parts, body, &rules.limits, deadline);
        let call = tokio::select! {
            biased;
            call = call => call,
            () = self.lanes.until_cut() => {
                line.ended_by = EndedBy::Gateway;
                Err(Unavailable::Stopping.into())
            }
        };
        let answer = match call {
            Ok(ReadCall {
                operation,
                drops_contacts,
            }) => {
                let (lanes, target) = (&self.lanes, &instance.target);
                line.operation = Some((operation, Instant::now()));
                let outcome = lanes.carry_out(target, operation, deadline, &line.trace);
                let outcome = outcome.await;
                line.ended_by = self.ended_by(&outcome, deadline);
                match (&outcome, operation) {
                    (Err(failure), _) => line.failed(failure.into()),
                    (Ok(_), Operation::Change(_)) => line.succeeded(OutcomeLabel::Confirmed),
                    (Ok(_), Operation::Read) => line.succeeded(OutcomeLabel::Read),
                }
                let mut answer = response::outcome(&operation, &outcome);
                if drops_contacts {
                    answer.extensions_mut().insert(ContactsDropped);
                }
                answer
            }
            Err(rejection) => self.reject(&rejection, line),
        };
        instance.note(line.outcome);
        answer
    }

    /// Who ended an operation.
    fn ended_by(&self, outcome: &Outcome, deadline: Instant) -> EndedBy {
        match outcome {
            Err(
                Failure::Budget { .. }
                | Failure::BudgetUnavailable { .. }
                | Failure::NotSent
                | Failure::QueueFull,
            ) => EndedBy::Gateway,
            // It was given up here, and may be answered still.
            Err(Failure::Unknown) if deadline <= Instant::now() || self.lanes.is_cut() => {
                EndedBy::Gateway
            }
            Ok(_)
            | Err(
                Failure::Throttled { .. }
                | Failure::NotConnected
                | Failure::Denied { .. }
                | Failure::Refused { .. }
                | Failure::Upstream { .. }
                | Failure::Unknown,
            ) => EndedBy::Ryze,
        }
    }

    fn reject(&self, rejection: &Rejection, line: &mut Line) -> Answer {
        line.failed(rejection.label());
        if rejection.is_unsupported() {
            self.lanes.metrics().unsupported(rejection.label());
        }
        response::rejection(rejection)
    }

    async fn forward(
        &self,
        rules: &Rules<C>,
        request: Request<RequestBody>,
    ) -> Result<Response<Download>, proxy::Error> {
        // The router has this destination only if there is a fallback.
        let proxy = rules.proxy().ok_or(proxy::Error::Unreachable)?;
        let (method, begun) = (request.method().clone(), Instant::now());
        let answer = tokio::select! {
            biased;
            answer = proxy.forward(request) => answer,
            () = self.lanes.until_cut() => Err(proxy::Error::Stopping),
        };
        self.lanes.metrics().called(Called {
            upstream: Upstream::Fallback,
            method: &method,
            status: answer.as_ref().ok().map(Response::status),
            error: answer.as_ref().err().map(|error| error.label()),
            duration: begun.elapsed(),
        });
        answer
    }
}

impl<C: Connect> Handler for Gateway<C> {
    type Body = AnswerBody;

    async fn handle(&self, request: Request<RequestBody>) -> Response<AnswerBody> {
        let rules = self.rules();
        let (parts, body) = request.into_parts();
        let trace = Arc::new(Trace::of(&parts, auth::contains_credentials));
        let metrics = Arc::clone(self.lanes.metrics());
        let mut line = Line::begin(parts.method.clone(), Arc::clone(&trace), metrics);
        let answer = match route(&rules, &parts, &mut line) {
            Ok(Destination::Ryze { route, instance }) => {
                let call = (route, &rules.instances()[instance]);
                let answer = self.carry_out(call, &rules, &parts, body, &mut line);
                answer.await
            }
            Ok(Destination::Fallback) => {
                let request = Request::from_parts(parts, body);
                // Boxed, for it is large, and most calls have no use for it.
                match Box::pin(self.forward(&rules, request)).await {
                    Ok(mut answer) => {
                        line.status = Some(answer.status());
                        let id = answer.headers_mut().entry(X_REQUEST_ID);
                        id.or_insert_with(|| trace.id().clone());
                        return answer.map(|body| Either::Right(Logged::new(body, line)));
                    }
                    Err(error) => {
                        if error.is_of_fallback() {
                            line.ended_by = EndedBy::Fallback;
                        }
                        self.reject(&error.into(), &mut line)
                    }
                }
            }
            Err(rejection) => self.reject(&rejection, &mut line),
        };
        line.status = Some(answer.status());
        let mut answer = answer.map(Either::Left);
        answer
            .headers_mut()
            .insert(X_REQUEST_ID, trace.id().clone());
        answer
    }

    fn overloaded(&self) -> Response<AnswerBody> {
        response::rejection(&Unavailable::TooManyConnections.into()).map(Either::Left)
    }
}

/// Who answers a call, if its head is sound.
fn route<C: Connect>(
    rules: &Rules<C>,
    parts: &Parts,
    line: &mut Line,
) -> Result<Destination, Rejection> {
    let routed = rules.route(parts)?;
    match (routed.route, &routed.destination) {
        (Some(route), _) => line.route = route.template,
        (None, Ok(Destination::Fallback)) => line.route = "fallback",
        _ => (),
    }
    let instance = routed.instance.map(|place| &rules.instances()[place]);
    line.target = instance.map(|instance| Arc::clone(instance.target()));
    routed.destination
}
