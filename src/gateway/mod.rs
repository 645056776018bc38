//! The handler of a request: joins its steps, from the head to the response, in the order of the checks
//! that docs/responses.md promises, and fills in the access log entry. Each step is a module of its own.

mod access_log;
mod forward;
mod observation;
mod rules;
mod tally;
mod tee;

use std::{pin::pin, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{Either, Full};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    access_log::{AccessLogEntry, Logged},
    forward::Forwarder,
    observation::Observation,
};
pub use self::{
    rules::{Instance, Last, Observed, Recorded, Rules},
    tally::{LastFailure, Recent},
};
use crate::{
    config::Config,
    net::ConnectFault,
    privacy::{Failure, NoAnswer, Operation},
    proxy::{self, Download, Proxy},
    queue::Queues,
    server::{Handler, RequestBody},
    telemetry::{EndedBy, Metrics, OutcomeLabel, Reason, Trace, X_REQUEST_ID},
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

/// An extension of the response to a call with a list of contacts that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactsList {
    Dropped,
    /// To the fallback, in the turn of its instance.
    Forwarded,
}

/// An extension of the fallback's response to a privacy call of an observed instance.
#[derive(Clone, Copy, Debug)]
pub struct CallObserved;

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
        let call = {
            // Pinned here, because `select!` would move it.
            let call = pin!(request::operation(
                route,
                parts,
                body,
                &rules.limits,
                deadline
            ));
            tokio::select! {
                biased;
                call = call => call,
                () = self.abort.cancelled() => {
                    entry.ended_by = EndedBy::Gateway;
                    Err(Unavailable::Stopping.into())
                }
            }
        };
        let answer = match call {
            Ok(ReadCall::Operation {
                operation,
                drops_contacts,
            }) => {
                let (queues, target) = (&self.queues, &instance.target);
                entry.operation = Some((operation, Instant::now()));
                let outcome = queues.submit(target, operation, deadline, &entry.trace);
                let outcome = outcome.await;
                entry.ended_by = match &outcome {
                    Ok(_) => EndedBy::Ryze,
                    Err(failure) => self.ended_by(failure, deadline, EndedBy::Ryze),
                };
                match (&outcome, operation) {
                    (Err(failure), _) => entry.failed(failure.into(), self.reason(failure)),
                    (Ok(_), Operation::Change(_)) => entry.succeeded(OutcomeLabel::Confirmed),
                    (Ok(_), Operation::Read) => entry.succeeded(OutcomeLabel::Read),
                }
                let mut answer = response::outcome(&operation, &outcome);
                if drops_contacts {
                    answer.extensions_mut().insert(ContactsList::Dropped);
                }
                answer
            }
            Ok(ReadCall::Contacts { change, body }) => {
                let (operation, request) = (Operation::Change(change), (parts.clone(), body));
                // Boxed, because it is large and few calls need it.
                let answer = self.change_contacts(rules, instance, operation, request, entry);
                Box::pin(answer).await
            }
            Err(rejection) => self.reject(&rejection, entry),
        };
        entry.is_answered = true;
        answer
    }

    /// Has the fallback change a list of contacts, in the turn of the instance.
    async fn change_contacts(
        &self,
        rules: &Rules,
        instance: &Instance,
        operation: Operation,
        (parts, body): (Parts, Bytes),
        entry: &mut AccessLogEntry,
    ) -> Answer {
        let deadline = entry.started + self.deadline;
        entry.is_forwarded = true;
        entry.operation = Some((operation, Instant::now()));
        let outcome = match self.forwarder(rules) {
            Ok(forwarder) => {
                let (trace, secrets) = (Arc::clone(&entry.trace), Arc::clone(&rules.secrets));
                let work = forwarder.change_contacts(parts, body, trace, secrets);
                let (target, timeout) = (&instance.target, rules.contacts_timeout);
                let outcome = self.queues.run_in_turn(target, deadline, timeout, work);
                outcome.await
            }
            Err(error) => Ok(Err(error.into())),
        };
        let mut answer = match outcome {
            Ok(Ok(answer)) => {
                entry.ended_by = EndedBy::Fallback;
                entry.succeeded(OutcomeLabel::Forwarded);
                answer
            }
            Ok(Err(rejection)) => self.reject(&rejection, entry),
            Err(failure) => {
                entry.ended_by = self.ended_by(&failure, deadline, EndedBy::Fallback);
                entry.failed((&failure).into(), self.reason(&failure));
                response::outcome(&operation, &Err(failure))
            }
        };
        answer.extensions_mut().insert(ContactsList::Forwarded);
        answer
    }

    /// The side that ended a call with this failure, where `upstream` is the one that carries it out.
    fn ended_by(&self, failure: &Failure, deadline: Instant, upstream: EndedBy) -> EndedBy {
        match failure {
            Failure::Budget { .. }
            | Failure::BudgetUnavailable { .. }
            | Failure::NotSent
            | Failure::QueueFull => EndedBy::Gateway,
            // The gateway timed out or was aborted; the upstream may still respond.
            Failure::Unknown(_) if deadline <= Instant::now() || self.abort.is_cancelled() => {
                EndedBy::Gateway
            }
            Failure::Throttled { .. }
            | Failure::NotConnected
            | Failure::Denied { .. }
            | Failure::Refused { .. }
            | Failure::Upstream(_)
            | Failure::Unknown(_) => upstream,
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
        if rejection.is_of_fallback() {
            entry.ended_by = EndedBy::Fallback;
        }
        if rejection.is_unsupported() {
            self.metrics.unsupported(rejection.label());
        }
        response::rejection(rejection)
    }

    /// The proxy to the fallback, with its metrics. The router and the rules of the configuration lead
    /// here only if there is a fallback.
    fn forwarder(&self, rules: &Rules) -> Result<Forwarder, proxy::Error> {
        Ok(Forwarder {
            proxy: Arc::clone(
                rules
                    .proxy()
                    .ok_or(proxy::Error::Unreachable(ConnectFault::Other))?,
            ),
            metrics: Arc::clone(&self.metrics),
            abort: self.abort.clone(),
        })
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
                let body = match &entry.observation {
                    Some((observation, _)) => observation.tee(body),
                    None => Either::Left(body),
                };
                let request = Request::from_parts(parts, body);
                let answer = match self.forwarder(&rules) {
                    Ok(forwarder) => forwarder.forward(request).await,
                    Err(error) => Err(error),
                };
                match answer {
                    Ok(mut answer) => {
                        entry.status = Some(answer.status());
                        if entry.observation.is_some() {
                            answer.extensions_mut().insert(CallObserved);
                        }
                        let id = answer.headers_mut().entry(X_REQUEST_ID);
                        id.or_insert_with(|| trace.id().clone());
                        return answer.map(|body| Either::Right(Logged::new(body, entry)));
                    }
                    Err(error) => self.reject(&error.into(), &mut entry),
                }
            }
            Err(rejection) => self.reject(&rejection, &mut entry),
        };
        finish(answer, &mut entry)
    }

    fn overloaded(&self) -> Response<AnswerBody> {
        response::rejection(&Unavailable::TooManyConnections.into()).map(Either::Left)
    }

    fn tls_required(&self, request: Request<RequestBody>) -> Response<AnswerBody> {
        let (parts, _) = request.into_parts();
        let trace = Arc::new(Trace::of(&parts, auth::contains_credentials));
        let mut entry = AccessLogEntry::begin(parts.method, trace, Arc::clone(&self.metrics));
        let answer = self.reject(&Rejection::TlsRequired, &mut entry);
        finish(answer, &mut entry)
    }
}

/// Records the gateway's own answer and adds the request id.
fn finish(answer: Answer, entry: &mut AccessLogEntry) -> Response<AnswerBody> {
    entry.status = Some(answer.status());
    let mut answer = answer.map(Either::Left);
    let id = answer.headers_mut().entry(X_REQUEST_ID);
    id.or_insert_with(|| entry.trace.id().clone());
    answer
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
    let instance = routed.instance.map(|place| &rules.instances()[place]);
    entry.target = instance.map(|instance| Arc::clone(instance.target()));
    let named = routed.named.map(|place| &rules.instances()[place]);
    entry.named = named.map(|instance| Arc::clone(instance.target()));
    entry.record = named.map(|instance| Arc::clone(&instance.record));
    if let Some(decided) = routed.observed {
        let observation = Observation::begin(decided, parts, &rules.limits);
        let record = instance.map(|instance| Arc::clone(&instance.record));
        entry.observation = Some((Box::new(observation), record));
    }
    routed.destination
}
