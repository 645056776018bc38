//! The file as TOML. What is not TOML is reported and blanked, so that the rest can still be read.
//! What the TOML says belongs in `report.rs`.

use toml::de::{DeTable, Error};
use zeroize::Zeroizing;

/// A statement of more lines than this is found only in a file without a fault.
const MOST_LINES: usize = 100;

/// A text that is TOML but for what contradicts itself, as a key that is written twice.
pub(super) struct Readable {
    /// The text, in which everything has kept its place.
    pub(super) text: Zeroizing<String>,
    /// Where in it something was blanked, and why.
    pub(super) faults: Vec<(usize, String)>,
}

impl Readable {
    /// Blanks what is not TOML in `text`.
    pub(super) fn new(text: &str) -> Self {
        let mut readable = Self {
            text: Zeroizing::new(String::new()),
            faults: Vec::new(),
        };
        if errors(text).is_empty() {
            readable.text.push_str(text);
            return readable;
        }
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let mut rest = lines.as_slice();
        while let Some(first) = rest.first() {
            let sound = (1..=rest.len().min(MOST_LINES))
                .find(|length| is_sound(rest.iter().take(*length).copied()));
            // Neither is more than the lines that are left.
            let (statement, others) = rest.split_at(sound.unwrap_or_else(|| extent(rest)));
            let statement = statement.concat();
            if sound.is_some() {
                readable.text.push_str(&statement);
            } else {
                let message = errors(first)
                    .first()
                    .map(|error| error.message().to_owned());
                readable
                    .faults
                    .push((readable.text.len(), message.unwrap_or_default()));
                readable.text.extend(
                    statement
                        .bytes()
                        .map(|byte| if byte == b'\n' { '\n' } else { ' ' }),
                );
            }
            rest = others;
        }
        readable
    }
}

fn is_sound<'l>(lines: impl Iterator<Item = &'l str>) -> bool {
    errors(&lines.collect::<String>()).is_empty()
}

fn errors(text: &str) -> Vec<Error> {
    DeTable::parse_recoverable(text).1
}

/// How many lines the fault of the first one spoils: one, but that of a table's head the whole table.
fn extent(lines: &[&str]) -> usize {
    let is_head = |line: &&&str| line.trim_start().starts_with('[');
    match lines.split_first() {
        Some((first, others)) if is_head(&first) => {
            1 + others.iter().take_while(|line| !is_head(line)).count()
        }
        _ => 1,
    }
}
