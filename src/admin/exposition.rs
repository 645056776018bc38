//! The two text formats of `/metrics`, and which of them a request asks for (RFC 9110, 12.5.1).
//!
//! OpenMetrics is the default. The classic format differs in the names of counters and infos, which have their
//! suffix in `HELP` and `TYPE` as well, and in that it has neither units nor an end.

use std::{borrow::Cow, fmt::Write as _};

use http::{HeaderMap, header};
use prometheus_client::{encoding::text, registry::Registry};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposition {
    OpenMetrics,
    Classic,
}

impl Exposition {
    /// The format with the higher quality in `Accept`; OpenMetrics if they are equal.
    pub(super) fn negotiate(headers: &HeaderMap) -> Self {
        let accept = headers.get_all(header::ACCEPT).into_iter();
        let accept: Vec<_> = accept.filter_map(|value| value.to_str().ok()).collect();
        let quality = |format: Self| {
            let (kind, version) = format.kind();
            quality(accept.iter().flat_map(|it| it.split(',')), kind, version)
        };
        if quality(Self::Classic) > quality(Self::OpenMetrics) {
            Self::Classic
        } else {
            Self::OpenMetrics
        }
    }

    fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenMetrics => ("application/openmetrics-text", "1.0.0"),
            Self::Classic => ("text/plain", "0.0.4"),
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    pub(super) fn encode(self, registry: &Registry) -> String {
        let mut page = String::new();
        // A String takes whatever is written.
        let _ = text::encode(&mut page, registry);
        match self {
            Self::OpenMetrics => page,
            Self::Classic => classic(&page),
        }
    }
}

/// The quality, in thousandths, of the most specific range that matches; 0 if none does. A range with another
/// `version` does not match, other parameters have no effect.
fn quality<'a>(ranges: impl Iterator<Item = &'a str>, kind: &str, version: &str) -> u16 {
    let (group, _) = kind.split_once('/').unwrap_or_default();
    let mut best = (0, 0);
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let mut specificity = if media.eq_ignore_ascii_case(kind) {
            3
        } else if media
            .strip_suffix("/*")
            .is_some_and(|it| it.eq_ignore_ascii_case(group))
        {
            2
        } else if media == "*/*" {
            1
        } else {
            continue;
        };
        let (mut quality, mut is_other_version) = (1000, false);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            if name.eq_ignore_ascii_case("version") {
                is_other_version = value.trim_matches('"') != version;
                specificity += 1;
            } else if name.eq_ignore_ascii_case("q") {
                quality = thousandths(value);
            }
        }
        if !is_other_version && specificity > best.0 {
            best = (specificity, quality);
        }
    }
    best.1
}

/// A `qvalue` in thousandths; 0 for anything else.
fn thousandths(value: &str) -> u16 {
    match value.parse::<f32>() {
        // In range, so the cast is exact to a thousandth.
        Ok(value) if (0.0..=1.0).contains(&value) => (value * 1000.0).round() as u16,
        _ => 0,
    }
}

/// OpenMetrics as `prometheus-client` writes it, in the classic format.
fn classic(open_metrics: &str) -> String {
    let mut page = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(text) = line.strip_prefix("# HELP ") {
            // The name has its suffix only with the type, which follows.
            help = text.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap_or((described, "untyped"));
            let (name, kind) = match kind {
                "counter" => (Cow::from(format!("{name}_total")), "counter"),
                "info" => (Cow::from(format!("{name}_info")), "gauge"),
                "unknown" => (name.into(), "untyped"),
                kind => (name.into(), kind),
            };
            // A String takes whatever is written.
            let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
        } else if !line.starts_with('#') {
            page.push_str(line);
            page.push('\n');
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_format_is_the_one_with_the_higher_quality() {
        use Exposition::{Classic, OpenMetrics};
        for (accept, expected) in [
            (&[][..], OpenMetrics),
            (&[""], OpenMetrics),
            (&["*/*"], OpenMetrics),
            (&["text/html"], OpenMetrics),
            (&["text/plain"], Classic),
            (&["TEXT/Plain"], Classic),
            (&["text/*"], Classic),
            (&["text/plain; version=0.0.4"], Classic),
            (&["text/plain;version=\"0.0.4\";charset=utf-8"], Classic),
            (&["text/plain; version=1.0.0"], OpenMetrics),
            (&["text/plain;q=0"], OpenMetrics),
            (&["text/plain;q=0.001"], Classic),
            (&["text/plain;q=2"], OpenMetrics),
            (&["text/plain;q=0.5, */*;q=0.1"], Classic),
            (&["text/plain;q=0.5, */*"], OpenMetrics),
            (&["application/openmetrics-text"], OpenMetrics),
            (&["application/openmetrics-text, text/plain"], OpenMetrics),
            (&["application/openmetrics-text;q=0, */*;q=0.1"], Classic),
            (
                &["application/openmetrics-text;version=0.0.1, text/plain;q=0.4"],
                Classic,
            ),
            (&["text/html", "text/plain;q=0.3"], Classic),
            // Prometheus 2.
            (
                &["application/openmetrics-text;version=1.0.0,\
                   application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1"],
                OpenMetrics,
            ),
            // Prometheus 3.
            (
                &[
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                   application/openmetrics-text;version=0.0.1;q=0.4,\
                   text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                   text/plain;version=0.0.4;q=0.2,/;q=0.1",
                ],
                OpenMetrics,
            ),
            // Prometheus 3 with `scrape_protocols: [PrometheusText0.0.4]`.
            (&["text/plain;version=0.0.4;q=0.2,*/*;q=0.1"], Classic),
        ] {
            let values = accept.iter().map(|it| HeaderValue::from_static(it));
            let headers = values.map(|value| (header::ACCEPT, value)).collect();
            assert_eq!(Exposition::negotiate(&headers), expected, "{accept:?}");
        }
    }

    #[test]
    fn the_classic_format_names_counters_and_infos_as_their_samples() {
        let open_metrics = "# HELP a_seconds Waits.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
            a_seconds_sum{l=\"# TYPE\"} 1.5\na_seconds_count{l=\"x\"} 1\na_seconds_bucket{le=\"+Inf\"} 1\n\
            # HELP b Calls, of all.\n# TYPE b counter\nb_total 7\n\
            # HELP c Program.\n# TYPE c info\nc_info{version=\"1\"} 1\n\
            # HELP d Now.\n# TYPE d gauge\nd 0\n# EOF\n";
        assert_eq!(
            classic(open_metrics),
            "# HELP a_seconds Waits.\n# TYPE a_seconds histogram\n\
             a_seconds_sum{l=\"# TYPE\"} 1.5\na_seconds_count{l=\"x\"} 1\na_seconds_bucket{le=\"+Inf\"} 1\n\
             # HELP b_total Calls, of all.\n# TYPE b_total counter\nb_total 7\n\
             # HELP c_info Program.\n# TYPE c_info gauge\nc_info{version=\"1\"} 1\n\
             # HELP d Now.\n# TYPE d gauge\nd 0\n"
        );
    }
}
