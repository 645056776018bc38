//! Rules between the keys of `[server]`, `[admin]`, `[budget]`, `[policy]` and `[fallback]`.

use std::net::IpAddr;

use http::{Uri, uri::Scheme};

use super::{
    Budget, Config, ContactsBlacklist, Fallback, Listen, Problem, key::Environment, report::Report,
};

/// Requests a minute that Ryze accepts of a token.
const DOCUMENTED_LIMIT: u32 = 100;

/// Checks the rules, and completes the values that depend on other keys.
pub(super) fn check(config: &mut Config, has_tls: bool, report: &mut Report) {
    server(&config.server.listen, has_tls, report);
    admin(config, report);
    budget(&mut config.budget, report);
    if report.is_written("budget.max_wait")
        && config.budget.max_wait > config.server.deadline * 3 / 4
    {
        report.warn(
            "budget.max_wait",
            "is above three quarters of server.deadline, after which nothing is sent; write less",
        );
    }
    vendors(config, report);
    if config.policy.contacts_blacklist == ContactsBlacklist::Fallback && config.fallback.is_none()
    {
        report.conflict(
            "policy.contacts_blacklist",
            &["fallback"],
            "is \"fallback\", and there is none; add [fallback] with the URL of Z-API, or write \
             \"refuse\" or \"mode_only\"",
        );
    }
    if let Some(fallback) = &config.fallback
        && leads_to(fallback, &config.server.listen)
    {
        report.conflict(
            "fallback.base_url",
            &["server.listen"],
            "is server.listen, so it leads back here; write the URL of Z-API",
        );
    }
}

/// Advises of what is allowed and has a consequence that one may not expect.
pub(super) fn advise(config: &Config, report: &mut Report) {
    if config.fallback.is_none() {
        report.advise(
            "fallback",
            "write [fallback] with base_url = \"https://api.z-api.io\": without it all calls but the \
             translated ones are refused with 404",
        );
    }
    if !config.instances.is_empty() && config.instances.iter().all(|it| it.client_token.is_none()) {
        report.advise(
            "zapi.client_token",
            "write the Client-Token of your account: without it the header is not checked, and the id \
             and the token in a URL are enough for a call",
        );
    }
    if config.budget.requests_per_minute > DOCUMENTED_LIMIT {
        report.advise(
            "budget.requests_per_minute",
            format!(
                "write at most {DOCUMENTED_LIMIT}, unless Ryze allows you more: it documents \
                 {DOCUMENTED_LIMIT} requests a minute and refuses the others"
            ),
        );
    }
}

/// Base URLs with a part of the path of a call, or with the host of the other vendor.
fn vendors(config: &Config, report: &mut Report) {
    let ryze = &config.ryze.base_url;
    if ryze.path().ends_with("/api") || ryze.path().contains("/api/profile") {
        report.warn(
            "ryze.base_url",
            "remove the path at its end: the gateway adds /api/profile/… to it",
        );
    }
    let fallback = config.fallback.as_ref().map(|it| &it.base_url);
    if fallback.is_some_and(|url| url.path().ends_with("/instances")) {
        report.warn(
            "fallback.base_url",
            "remove /instances at its end: the gateway adds the whole path of a call to it",
        );
    }
    let urls = [
        (
            "ryze.base_url",
            Some(ryze),
            "z-api.io",
            "Z-API's; write Ryze's, https://ryzeapi.cloud",
        ),
        (
            "fallback.base_url",
            fallback,
            "ryzeapi.cloud",
            "Ryze's; write Z-API's, https://api.z-api.io",
        ),
    ];
    for (key, url, other, whose) in urls {
        let Some(url) = url else { continue };
        if ["/instances/", "/token/"]
            .iter()
            .any(|it| url.path().contains(it))
        {
            report.warn(key, "remove the path: it is that of one instance's calls");
        }
        let host = url.host().unwrap_or_default().to_ascii_lowercase();
        if host
            .strip_suffix(other)
            .is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
        {
            report.warn(key, format!("the host is {whose}"));
        }
    }
}

/// Warns of variables that name a proxy, which other programs connect through.
pub(super) fn proxies(environment: Environment<'_>) -> Option<Problem> {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let is_set = |name: &&str| environment(name).is_some_and(|value| !value.is_empty());
    let name = names.into_iter().find(is_set)?;
    Some(Problem::of_file(format!(
        "allow direct connections to Ryze and the fallback: {name} is set, and the gateway uses no proxy"
    )))
}

fn server(listen: &Listen, has_tls: bool, report: &mut Report) {
    let is_unix = matches!(listen, Listen::Unix { .. });
    if is_unix && has_tls {
        report.conflict(
            "server.listen",
            &[],
            "is a Unix socket, where no TLS is spoken; remove [server.tls], or write an address",
        );
    }
    if !is_unix && report.is_written("server.socket_mode") {
        report.conflict(
            "server.socket_mode",
            &["server.listen"],
            "is for a Unix socket; remove it, or write one in server.listen",
        );
    }
}

fn admin(config: &mut Config, report: &mut Report) {
    let admin = &mut config.admin;
    admin.is_optional = !report.is_written("admin.listen");
    if !admin.listen.ip().is_loopback() && !admin.allow_remote {
        report.conflict(
            "admin.listen",
            &["admin.allow_remote"],
            "can be reached from other machines; write a loopback address, or allow_remote = true",
        );
    }
    if config.server.listen == Listen::Tcp(admin.listen) && admin.listen.port() != 0 {
        report.conflict(
            "admin.listen",
            &["server.listen"],
            "is server.listen too; write another port",
        );
    }
}

fn budget(budget: &mut Budget, report: &mut Report) {
    let limit = budget.requests_per_minute;
    let share = budget.share();
    if share == 0 {
        report.conflict(
            "budget.replicas",
            &["budget.requests_per_minute"],
            format!("leaves each replica no request a minute; write at most {limit}"),
        );
    }
    let has_redis = report.is_written("budget.redis");
    let most = if has_redis { limit } else { share };
    if !report.is_written("budget.burst") {
        budget.burst = budget.burst.min(most);
    }
    if budget.burst > most {
        report.conflict(
            "budget.burst",
            &["budget.requests_per_minute", "budget.replicas"],
            format!(
                "{} is above the share of {most}; write at most {most}",
                budget.burst
            ),
        );
    }
    if has_redis && !report.is_written("budget.replicas") {
        report.warn(
            "budget.redis",
            "while Redis is away each gateway would use all of requests_per_minute; write in \
             replicas how many gateways there are",
        );
    }
}

/// Whether the fallback's URL names the address `listen`. Names are not resolved.
pub(super) fn leads_to(fallback: &Fallback, listen: &Listen) -> bool {
    let url = &fallback.base_url;
    matches!(listen, Listen::Tcp(at) if port(url) == at.port() && is_at(url, at.ip()))
}

fn port(url: &Uri) -> u16 {
    let default = if url.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    url.port_u16().unwrap_or(default)
}

/// Whether a listener at this address is reachable through the host of the URL.
fn is_at(url: &Uri, listener: IpAddr) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>().ok();
    let is_loopback = host == "localhost" || address.is_some_and(|ip| ip.is_loopback());
    address == Some(listener)
        || (is_loopback && (listener.is_loopback() || listener.is_unspecified()))
}
