//! One line that says which upstream answers which calls, for the log.

use http::Uri;

use super::{Config, Mode};

/// As in `3 instances → https://ryzeapi.cloud; everything else → https://api.z-api.io`.
#[must_use]
pub fn routing(config: &Config) -> String {
    let rest = match &config.fallback {
        Some(fallback) => format!("→ {}", shown(&fallback.base_url)),
        None => "is refused with 404: no [fallback]".to_owned(),
    };
    let instances = config.instances.iter();
    let observed = instances.filter(|it| it.mode == Mode::Observe).count();
    let translated = config.instances.len() - observed;
    let mut parts = Vec::new();
    if translated > 0 {
        let ryze = shown(&config.ryze.base_url);
        parts.push(format!("{} → {ryze}", count(translated)));
    }
    if observed > 0 {
        parts.push(format!("{} observed {rest}", count(observed)));
    }
    let everything = if parts.is_empty() {
        "everything"
    } else {
        "everything else"
    };
    parts.push(format!("{everything} {rest}"));
    parts.join("; ")
}

fn count(instances: usize) -> String {
    match instances {
        1 => "1 instance".to_owned(),
        several => format!("{several} instances"),
    }
}

/// The URL without its path, which may hold an id and a token by mistake.
fn shown(url: &Uri) -> String {
    let authority = url.authority().map_or("", |it| it.as_str());
    format!("{}://{authority}", url.scheme_str().unwrap_or_default())
}
