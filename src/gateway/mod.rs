//! The handler of a request: joins its steps, from the head to the response, in the order of the checks
//! that the README promises, and fills in the access log entry. Each step is a module of its own.

mod access_log;
mod rules;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{Either, Full};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::access_log::{AccessLogEntry, Logged};
pub use self::rules::{Instance, Last, Rules};
use crate::{
    config::Config,
    net::ConnectFault,
    privacy::{Failure, NoAnswer, Operation, Outcome},
    proxy::{self, Download, Proxy},
    queue::Queues,
    server::{Handler, RequestBody},
    telemetry::{Called, EndedBy, Metrics, OutcomeLabel, Reason, Trace, Upstream, X_REQUEST_ID},
    zapi::{
        auth,
        rejection::{Rejection, Unavailable},
        request::{self, ReadCall},
        response::{self, Answer},
        router::Destination,
        routes::Route,
        templates,
    },
};

pub struct Gateway {
    rules: ArcSwap<Rules>,
    queues: Arc<Queues>,
    metrics: Arc<Metrics>,
    abort: CancellationToken,
    deadline: Duration,
}

/// An extension of the response to a call whose list of contacts was dropped.
#[derive(Clone, Copy, Debug)]
pub struct ContactsDropped;

/// The body of a response: the gateway's own, or the fallback's, streamed.
pub type AnswerBody = Either<Full<Bytes>, Logged<Download>>;

impl Gateway {
    /// Also configures the queues with the instances and secrets. Cancelling `abort` ends all requests in
    /// flight, here and in the queues.
    ///
    /// # Errors
    /// If an instance's name or token is not valid in a request.
    pub fn new(
        config: &Config,
        queues: Arc<Queues>,
        proxy: Option<Arc<Proxy>>,
        metrics: Arc<Metrics>,
        abort: CancellationToken,
    ) -> Result<Self, http::Error> {
        let rules = Rules::new(config, proxy)?;
        queues.configure(&rules.targets());
        queues.redact(Arc::clone(&rules.secrets));
        Ok(Self {
            rules: ArcSwap::from_pointee(rules),
            queues,
            metrics,
            abort,
            deadline: config.server.deadline,
        })
    }

    /// The rules of another configuration, to [`replace`](Self::replace) those in force.
    ///
    /// # Errors
    /// If an instance's name or token is not valid in a request.
    pub fn prepare(
        &self,
        config: &Config,
        proxy: Option<Arc<Proxy>>,
    ) -> Result<Rules, http::Error> {
        Rules::following(config, proxy, self.rules.load().instances())
    }

    /// Swaps the rules. In-flight requests keep the old ones, except for the tokens: a queued call is sent
    /// with the new token.
    pub fn replace(&self, rules: Rules) {
        self.queues.redact(Arc::clone(&rules.secrets));
        self.queues.configure(&rules.targets());
        self.rules.store(Arc::new(rules));
    }

    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    async fn submit(
        &self,
        (route, instance): (&'static Route, &Instance),
        rules: &Rules,
        parts: &Parts,
        body: RequestBody,
        entry: &mut AccessLogEntry,
    ) -> Answer {
        let deadline = entry.started + self.deadline;
        let call = request::operation(route, parts, body, &rules.limits, deadline);
        let call = tokio::select! {
            biased;
            call = call => call,
            () = self.abort.cancelled() => {
                entry.ended_by = EndedBy::Gateway;
                Err(Unavailable::Stopping.into())
            }
        };
        let answer = match call {
            Ok(ReadCall {
                operation,
                drops_contacts,
            }) => {
                let (queues, target) = (&self.queues, &instance.target);
                entry.operation = Some((operation, Instant::now()));
                let outcome = queues.submit(target, operation, deadline, &entry.trace);
                let outcome = outcome.await;
                entry.ended_by = self.ended_by(&outcome, deadline);
                match (&outcome, operation) {
                    (Err(failure), _) => entry.failed(failure.into(), self.reason(failure)),
                    (Ok(_), Operation::Change(_)) => entry.succeeded(OutcomeLabel::Confirmed),
                    (Ok(_), Operation::Read) => entry.succeeded(OutcomeLabel::Read),
                }
                let mut answer = response::outcome(&operation, &outcome);
                if drops_contacts {
                    answer.extensions_mut().insert(ContactsDropped);
                }
                answer
            }
            Err(rejection) => self.reject(&rejection, entry),
        };
        instance.record_outcome(entry.outcome);
        answer
    }

    fn ended_by(&self, outcome: &Outcome, deadline: Instant) -> EndedBy {
        match outcome {
            Err(
                Failure::Budget { .. }
                | Failure::BudgetUnavailable { .. }
                | Failure::NotSent
                | Failure::QueueFull,
            ) => EndedBy::Gateway,
            // The gateway timed out or was aborted; Ryze may still respond.
            Err(Failure::Unknown(_)) if deadline <= Instant::now() || self.abort.is_cancelled() => {
                EndedBy::Gateway
            }
            Ok(_)
            | Err(
                Failure::Throttled { .. }
                | Failure::NotConnected
                | Failure::Denied { .. }
                | Failure::Refused { .. }
                | Failure::Upstream(_)
                | Failure::Unknown(_),
            ) => EndedBy::Ryze,
        }
    }

    fn reason(&self, failure: &Failure) -> Reason {
        match failure {
            Failure::NotSent | Failure::Unknown(NoAnswer::TimedOut)
                if self.abort.is_cancelled() =>
            {
                Reason::Stopping
            }
            failure => failure.into(),
        }
    }

    fn reject(&self, rejection: &Rejection, entry: &mut AccessLogEntry) -> Answer {
        entry.failed(rejection.label(), rejection.reason());
        if rejection.is_unsupported() {
            self.metrics.unsupported(rejection.label());
        }
        response::rejection(rejection)
    }

    async fn forward(
        &self,
        rules: &Rules,
        request: Request<RequestBody>,
    ) -> Result<Response<Download>, proxy::Error> {
        // The router has this destination only if there is a fallback.
        let proxy = rules
            .proxy()
            .ok_or(proxy::Error::Unreachable(ConnectFault::Other))?;
        let (method, begun) = (request.method().clone(), Instant::now());
        let answer = tokio::select! {
            biased;
            answer = proxy.forward(request) => answer,
            () = self.abort.cancelled() => Err(proxy::Error::Stopping),
        };
        self.metrics.called(Called {
            upstream: Upstream::Fallback,
            method: &method,
            status: answer.as_ref().ok().map(Response::status),
            error: answer.as_ref().err().map(|error| error.label()),
            duration: begun.elapsed(),
        });
        answer
    }
}

impl Handler for Gateway {
    type Body = AnswerBody;

    async fn handle(&self, request: Request<RequestBody>) -> Response<AnswerBody> {
        let rules = self.rules();
        let (parts, body) = request.into_parts();
        let trace = Arc::new(Trace::of(&parts, auth::contains_credentials));
        let metrics = Arc::clone(&self.metrics);
        let mut entry = AccessLogEntry::begin(parts.method.clone(), Arc::clone(&trace), metrics);
        let answer = match route(&rules, &parts, &mut entry) {
            Ok(Destination::Ryze { route, instance }) => {
                let call = (route, &rules.instances()[instance]);
                let answer = self.submit(call, &rules, &parts, body, &mut entry);
                answer.await
            }
            Ok(Destination::Fallback) => {
                entry.is_forwarded = true;
                let request = Request::from_parts(parts, body);
                // Boxed, because it is large and most calls do not need it.
                match Box::pin(self.forward(&rules, request)).await {
                    Ok(mut answer) => {
                        entry.status = Some(answer.status());
                        let id = answer.headers_mut().entry(X_REQUEST_ID);
                        id.or_insert_with(|| trace.id().clone());
                        return answer.map(|body| Either::Right(Logged::new(body, entry)));
                    }
                    Err(error) => {
                        if error.is_of_fallback() {
                            entry.ended_by = EndedBy::Fallback;
                        }
                        self.reject(&error.into(), &mut entry)
                    }
                }
            }
            Err(rejection) => self.reject(&rejection, &mut entry),
        };
        entry.status = Some(answer.status());
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

/// The destination of a request with a valid head. Records route and instance in the log entry.
fn route(
    rules: &Rules,
    parts: &Parts,
    entry: &mut AccessLogEntry,
) -> Result<Destination, Rejection> {
    let routed = rules.route(parts)?;
    match (routed.route, &routed.destination) {
        (Some(route), _) => entry.route = route.template,
        (None, Ok(Destination::Fallback)) => {
            entry.route = templates::find(&parts.method, parts.uri.path());
        }
        _ => (),
    }
    let target = |place: usize| Arc::clone(rules.instances()[place].target());
    entry.target = routed.instance.map(target);
    entry.named = routed.named.map(target);
    routed.destination
}
