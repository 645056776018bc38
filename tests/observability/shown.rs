//! What `/metrics` of a gateway shows: metrics, their types, and their labels with the values.

use std::collections::{BTreeMap, BTreeSet};

use super::text::labels;

/// What Prometheus adds to every sample.
const OF_THE_TARGET: [&str; 2] = ["job", "instance"];

/// The values of each label of each sample, and of a histogram also under the name of the whole.
#[derive(Default)]
pub struct Shown {
    pub labels: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    pub types: BTreeMap<String, String>,
}

impl Shown {
    /// Adds what one gateway shows, in the OpenMetrics text format.
    pub fn add(&mut self, text: &str) {
        for line in text.lines() {
            if let Some(name_and_type) = line.strip_prefix("# TYPE ") {
                let (name, kind) = name_and_type.split_once(' ').unwrap();
                let name = match kind {
                    "counter" => format!("{name}_total"),
                    "info" => format!("{name}_info"),
                    _ => name.to_owned(),
                };
                self.types.insert(name, kind.to_owned());
            } else if !line.starts_with('#') {
                let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
                self.sample(name, labels(rest));
                if let Some(histogram) = name.strip_suffix("_bucket") {
                    let is_own = |(label, _): &(String, String)| label != "le";
                    self.sample(histogram, labels(rest).into_iter().filter(is_own));
                }
            }
        }
    }

    fn sample(&mut self, name: &str, labels: impl IntoIterator<Item = (String, String)>) {
        let known = self.labels.entry(name.into()).or_default();
        for (label, value) in labels {
            known.entry(label).or_default().insert(value);
        }
    }

    /// What is wrong with a metric that is said to have these labels. Of the gateway's own metrics all
    /// values are shown from the start.
    pub fn fault(&self, name: &str, labels: &[(String, String)]) -> Option<String> {
        let Some(known) = self.labels.get(name) else {
            return Some(format!("{name}: there is no such metric"));
        };
        for (label, value) in labels {
            if OF_THE_TARGET.contains(&label.as_str()) {
                continue;
            }
            let Some(values) = known.get(label) else {
                return Some(format!("{name}: it has no label {label:?}"));
            };
            let is_own = name.starts_with("zapi_to_ryze_");
            let is_known = |value: &str| value.is_empty() || values.contains(value);
            if is_own && !value.split('|').all(is_known) {
                return Some(format!("{name}: {label} is never all of {value:?}"));
            }
        }
        None
    }
}
