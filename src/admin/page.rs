//! The operator's page: `page/` has its parts, which are served as one document. Names and reasons may
//! contain any characters, so the script sets text by `textContent` alone.

use super::language::Language;

/// Everything after the start tag of `html`.
const REST: &str = concat!(
    include_str!("page/head.html"),
    "<style>\n",
    include_str!("page/style.css"),
    include_str!("page/tables.css"),
    "</style>\n</head>\n",
    include_str!("page/body.html"),
    "<script>\n",
    include_str!("page/texts.js"),
    include_str!("page/reasons.js"),
    include_str!("page/basics.js"),
    include_str!("page/health.js"),
    include_str!("page/budget.js"),
    include_str!("page/tables.js"),
    include_str!("page/poll.js"),
    "</script>\n</html>\n",
);

/// The page's own style and script, and its requests for `/status`; nothing else, wherever it comes from.
pub(super) const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-wtrYgZIyBm4ouQzT52PibsOvbQyPo2BDCWnbCqF4YWM='; \
    script-src 'sha256-S87Hrh99OAsmGny/7Ta8wbynV8UTtfxHKJmjHBsdCgA='; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page. Its script takes the language from `lang`.
pub(super) fn html(language: Language) -> String {
    format!(
        "<!doctype html>\n<html lang=\"{}\">\n{REST}",
        language.tag()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use ring::digest;

    use super::*;
    use crate::telemetry::Reason;

    #[test]
    fn the_policy_allows_the_style_and_the_script_of_the_page_and_nothing_else() {
        let page = html(Language::English);
        for (element, directive) in [("style", "style-src"), ("script", "script-src")] {
            let (open, close) = (format!("<{element}>"), format!("</{element}>"));
            let pieces: Vec<_> = page.split(&open).collect();
            assert_eq!(pieces.len(), 2, "one {element}");
            let content = pieces[1].split(&close).next().unwrap_or_default();
            let hash = digest::digest(&digest::SHA256, content.as_bytes());
            let source = format!("{directive} 'sha256-{}';", BASE64_STANDARD.encode(hash));
            assert!(POLICY.contains(&source), "write {source}");
        }
    }

    /// The keys of the rows `key: ["English", "Portuguese"],` of a script.
    fn keys(script: &'static str) -> Vec<&'static str> {
        let key = |line: &'static str| {
            let (key, texts) = line.trim().split_once(": [\"")?;
            let (english, portuguese) = texts.strip_suffix("\"],")?.split_once("\", \"")?;
            assert!(!english.is_empty() && !portuguese.is_empty(), "{line}");
            Some(key.trim_matches('"'))
        };
        script.lines().filter_map(key).collect()
    }

    #[test]
    fn each_reason_has_its_text_in_both_languages() {
        let of_fields = |reason: &&str| reason.starts_with("field:");
        let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
        // One text with the field's name serves all of them.
        let reasons: Vec<_> = reasons.filter(|reason| !of_fields(reason)).collect();
        assert_eq!(keys(include_str!("page/reasons.js")), reasons);
    }

    #[test]
    fn each_text_that_the_page_uses_is_in_the_table_and_no_other() {
        let known: BTreeSet<_> = keys(include_str!("page/texts.js")).into_iter().collect();
        let after = |mark: &'static str| {
            let rest = REST.split(mark).skip(1);
            rest.filter_map(|rest| rest.split(['"', '\'']).next())
        };
        let used: BTreeSet<_> = after("text(\"").chain(after("data-text=\"")).collect();
        assert_eq!(used, known);
    }
}
