//! Reads the documents: metrics with their labels in any text, the queries of a dashboard, and the
//! tables of a guide.

use std::collections::BTreeSet;

use serde_json::Value;

/// How the names of metrics begin.
const PREFIXES: [&str; 3] = ["zapi_to_ryze_", "http_server_", "http_client_"];

/// The names and values in `{name="value",other=~"value"}`, with which the text may begin.
pub fn labels(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return found;
    };
    while let Some((name, after)) = rest.split_once('"') {
        let name = name
            .trim_start_matches([',', ' '])
            .trim_end_matches(['=', '~', '!']);
        let mut is_escaped = false;
        let end = after.find(|char| {
            let is_end = char == '"' && !is_escaped;
            is_escaped = char == '\\' && !is_escaped;
            is_end
        });
        let (value, after) = after.split_at(end.unwrap());
        found.push((name.to_owned(), value.to_owned()));
        rest = &after[1..];
        if rest.starts_with('}') {
            break;
        }
    }
    found
}

/// Every metric that the text names, with where its name ends.
pub fn named(text: &str) -> Vec<(&str, usize)> {
    let is_part = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    let mut found = Vec::new();
    for prefix in PREFIXES {
        for (start, _) in text.match_indices(prefix) {
            let is_word = !text[..start].ends_with(|char| is_part(char) || char == ':');
            let length = text[start..].find(|char| !is_part(char));
            let end = length.map_or(text.len(), |length| start + length);
            if is_word {
                found.push((&text[start..end], end));
            }
        }
    }
    found.sort_by_key(|(_, end)| *end);
    found
}

/// The names in each `by (…)`, with the metric that follows, which is what is grouped.
pub fn grouped(text: &str) -> Vec<(&str, Vec<(String, String)>)> {
    let metrics = named(text);
    let mut found = Vec::new();
    for (start, by) in text.match_indices(" by (") {
        let (names, _) = text[start + by.len()..].split_once(')').unwrap();
        let metric = metrics.iter().find(|(_, end)| *end > start);
        if let Some((metric, _)) = metric {
            let label = |name: &str| (name.to_owned(), String::new());
            found.push((*metric, names.split(", ").map(label).collect()));
        }
    }
    found
}

/// The queries of a dashboard.
pub fn queries(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| match (name.as_str(), field) {
                ("expr" | "query" | "definition", Value::String(query)) => vec![query.as_str()],
                _ => queries(field),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(queries).collect(),
        _ => Vec::new(),
    }
}

/// The cells of the rows of every table whose header has this first cell.
pub fn rows<'text>(text: &'text str, first: &str) -> Vec<Vec<&'text str>> {
    let cells = |line: &'text str| -> Vec<_> { line.split('|').map(str::trim).skip(1).collect() };
    let mut lines = text.lines();
    let header = lines.find(|line| cells(line).first() == Some(&first));
    assert!(header.is_some(), "a table that begins with {first:?}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(cells).collect()
}

/// The words of a cell that are code.
pub fn code(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
