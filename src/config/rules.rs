//! Rules between the keys of `[server]`, `[admin]`, `[budget]`, `[policy]` and `[fallback]`.

use std::net::IpAddr;

use http::{Uri, uri::Scheme};

use super::{Budget, Config, ContactsBlacklist, Fallback, Listen, report::Report};

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
