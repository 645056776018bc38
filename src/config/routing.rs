//! One line that says which upstream answers which calls, for the log.

use http::Uri;

use super::Config;

/// As in `3 instances → https://ryzeapi.cloud; everything else → https://api.z-api.io`.
#[must_use]
pub fn routing(config: &Config) -> String {
    let rest = match &config.fallback {
        Some(fallback) => format!("→ {}", shown(&fallback.base_url)),
        None => "is refused with 404: no [fallback]".to_owned(),
    };
    let instances = match config.instances.len() {
        0 => return format!("everything {rest}"),
        1 => "1 instance".to_owned(),
        several => format!("{several} instances"),
    };
    let ryze = shown(&config.ryze.base_url);
    format!("{instances} → {ryze}; everything else {rest}")
}

fn shown(url: &Uri) -> String {
    url.to_string().trim_end_matches('/').to_owned()
}
