//! The counts of judged calls, as a table and as JSON.

use std::{
    collections::HashMap,
    fmt::{self, Display, Formatter},
};

use serde_json::{Value, json};

use crate::explain::{Explained, Verdict};

/// Different rows that are kept. Reasons are few; only the place of a mistake in a body varies.
const MAX_ROWS: usize = 10_000;
/// The prefix of most paths, left out in the table.
const PREFIX: &str = "/instances/{id}/token/{token}";

/// The calls of a file, by how they would be handled and why.
#[derive(Debug, Default)]
pub struct Tally {
    rows: HashMap<Row, u64>,
    /// Calls beyond [`MAX_ROWS`] rows.
    rest: HashMap<Verdict, u64>,
    /// Calls or lines that are not Z-API's.
    skipped: u64,
}

/// Calls that are handled alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) verdict: Verdict,
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    pub(super) why: String,
}

impl Row {
    pub(super) fn of(explained: Explained) -> Self {
        Self {
            verdict: explained.explanation.verdict(),
            method: explained.method,
            route: explained.route,
            why: explained.why,
        }
    }

    pub(super) fn not_judged(why: &str) -> Self {
        Self {
            verdict: Verdict::NotJudged,
            method: "",
            route: "",
            why: why.to_owned(),
        }
    }
}

impl Tally {
    pub(super) fn add(&mut self, row: Row, count: u64) {
        if self.rows.len() < MAX_ROWS || self.rows.contains_key(&row) {
            *self.rows.entry(row).or_default() += count;
        } else {
            *self.rest.entry(row.verdict).or_default() += count;
        }
    }

    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    /// Whether every call would be carried out or passed on.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.count(Verdict::Refused) + self.count(Verdict::NotJudged) == 0
    }

    fn count(&self, verdict: Verdict) -> u64 {
        let rows = self.rows.iter().filter(|(row, _)| row.verdict == verdict);
        let rest = self.rest.get(&verdict).copied().unwrap_or_default();
        rows.map(|(_, count)| count).sum::<u64>() + rest
    }

    /// Refused ones first, and the most frequent.
    fn sorted(&self) -> Vec<(&Row, u64)> {
        let mut rows: Vec<_> = self.rows.iter().map(|(row, count)| (row, *count)).collect();
        let rank = |verdict| Verdict::ALL.iter().position(|it| *it == verdict);
        rows.sort_unstable_by_key(|(row, count)| {
            (
                rank(row.verdict),
                u64::MAX - count,
                row.route,
                row.method,
                &row.why,
            )
        });
        rows
    }

    /// The counts of each verdict and the rows. `skipped` are calls that are not Z-API's.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rows = self.sorted().into_iter().map(|(row, count)| {
            json!({
                "verdict": row.verdict.as_str(),
                "method": row.method,
                "route": row.route,
                "count": count,
                "why": row.why,
            })
        });
        let rows: Vec<_> = rows.collect();
        let mut counts: serde_json::Map<_, _> = Verdict::ALL
            .iter()
            .map(|verdict| (verdict.as_str().to_owned(), self.count(*verdict).into()))
            .collect();
        counts.insert("skipped".to_owned(), self.skipped.into());
        counts.insert("calls".to_owned(), rows.into());
        counts.into()
    }
}

impl Display for Tally {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let mut total = 0;
        let mut parts = Vec::new();
        for verdict in Verdict::ALL.iter().rev() {
            let count = self.count(*verdict);
            total += count;
            if count > 0 || *verdict != Verdict::NotJudged {
                parts.push(format!("{count} {}", verdict.phrase()));
            }
        }
        writeln!(out, "{total} calls of Z-API: {}", parts.join(", "))?;
        if self.skipped > 0 {
            writeln!(
                out,
                "left out: {} that are not calls of Z-API",
                self.skipped
            )?;
        }
        let rows = self.sorted();
        if rows.is_empty() {
            return Ok(());
        }
        let call = |row: &Row| {
            let path = row.route.strip_prefix(PREFIX).unwrap_or(row.route);
            format!("{} {path}", row.method)
        };
        let width = rows.iter().map(|(row, _)| call(row).len()).max();
        let width = width.unwrap_or_default();
        writeln!(out, "\n{:>8}  {:<10}  {:<width$}  why", "count", "", "call")?;
        for (row, count) in rows {
            let (verdict, call) = (row.verdict.phrase(), call(row));
            writeln!(
                out,
                "{count:>8}  {verdict:<10}  {call:<width$}  {}",
                row.why
            )?;
        }
        Ok(())
    }
}
