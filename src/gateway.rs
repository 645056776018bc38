//! The way of one request: from the caller's head to its answer, in the order of the checks that
//! the README promises. Each step is a module of its own; this one only joins them and tells the
//! log how it went.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{Either, Full};

use crate::{
    access_log::{Line, Logged},
    alarm::Alarm,
    config::Config,
    fallback::{Download, Fallback},
    lane::Lanes,
    network::Connect,
    privacy::{Failure, Outcome},
    ryze::Target,
    server::{CallerBody, Handler, head},
    zapi::{
        accounts::{Accounts, CLIENT_TOKEN},
        request::{self, Limits},
        response::{self, Answer, Refusal},
        route::Route,
        router::{Destination, Router},
    },
};

/// What stands between the callers and the vendors.
pub struct Gateway<C> {
    router: Router<Fallback<C>>,
    /// In the order of the configuration, which is that of [`Accounts`].
    targets: Vec<Arc<Target>>,
    lanes: Arc<Lanes<C>>,
    limits: Limits,
    deadline: Duration,
}

/// Who ends an answer that is passed on: the old vendor with it, or before it is complete.
const FALLBACK: [&str; 2] = ["fallback", "fallback, cut short"];

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
        fallback: Option<Fallback<C>>,
    ) -> Result<Self, http::Error> {
        let base_url = &config.ryze.base_url;
        let targets = config
            .instances
            .iter()
            .map(|instance| Target::new(base_url, &instance.ryze_instance, &instance.ryze_token))
            .map(|target| target.map(Arc::new));
        Ok(Self {
            router: Router::new(Accounts::new(&config.instances), fallback),
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

    fn route(
        &self,
        parts: &Parts,
        line: &mut Line,
    ) -> Result<Destination<'_, Fallback<C>>, Refusal> {
        head::check(parts, &CLIENT_TOKEN).map_err(Refusal::BadRequest)?;
        let routed = self.router.route(parts);
        if let Some(route) = routed.route {
            line.route = route.template;
        }
        routed.destination
    }

    async fn carry_out(
        &self,
        (route, target): (&'static Route, &Arc<Target>),
        parts: &Parts,
        body: CallerBody,
        line: &mut Line,
        alarm: &mut Alarm,
    ) -> Answer {
        line.target = Some(Arc::clone(target));
        let deadline = line.started + self.deadline;
        let operation = request::operation(route, parts, body, &self.limits, deadline);
        let operation = tokio::select! {
            biased;
            operation = operation => operation,
            () = self.lanes.until_cut() => {
                line.ended_by = "gateway";
                Err(Refusal::Unavailable("the gateway is stopping; nothing was changed"))
            }
        };
        match operation {
            Ok(operation) => {
                let lanes = &self.lanes;
                let outcome = lanes.carry_out(target, operation, deadline, alarm).await;
                line.ended_by = ended_by(&outcome);
                response::outcome(&operation, &outcome)
            }
            Err(refusal) => response::refusal(&refusal),
        }
    }

    async fn forward(
        &self,
        fallback: &Fallback<C>,
        request: Request<CallerBody>,
    ) -> Result<Response<Download>, Refusal> {
        tokio::select! {
            biased;
            answer = fallback.forward(request) => answer,
            () = self.lanes.until_cut() => Err(Refusal::GatewayTimeout(
                "the gateway is stopping and the fallback has not answered; it may have carried \
                 the call out",
            )),
        }
    }
}

impl<C: Connect> Handler for Gateway<C> {
    type Body = AnswerBody;

    async fn answer(
        &self,
        request: Request<CallerBody>,
        alarm: &mut Alarm,
    ) -> Response<AnswerBody> {
        let mut line = Line::begin();
        let (parts, body) = request.into_parts();
        let answer = match self.route(&parts, &mut line) {
            Ok(Destination::Ryze { route, instance }) => {
                let call = (route, &self.targets[instance]);
                self.carry_out(call, &parts, body, &mut line, alarm).await
            }
            Ok(Destination::Fallback(fallback)) => {
                let request = Request::from_parts(parts, body);
                // Boxed, for it is large, and most calls have no use for it.
                match Box::pin(self.forward(fallback, request)).await {
                    Ok(answer) => {
                        line.status = answer.status().as_u16();
                        return answer.map(|body| Either::Right(Logged::new(body, FALLBACK, line)));
                    }
                    Err(refusal) => {
                        if let Refusal::BadGateway(_) | Refusal::GatewayTimeout(_) = refusal {
                            line.ended_by = "fallback";
                        }
                        response::refusal(&refusal)
                    }
                }
            }
            Err(refusal) => response::refusal(&refusal),
        };
        line.status = answer.status().as_u16();
        answer.map(Either::Left)
    }
}

/// Whose doing an outcome is.
fn ended_by(outcome: &Outcome) -> &'static str {
    match outcome {
        Err(Failure::Budget { .. } | Failure::NotSent) => "gateway",
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
