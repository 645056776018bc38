//! Cuts a long TOML text before some of its `[[instances]]`, so that the parser reads a piece at a time.
//!
//! The parser first lists the tokens of its text, some MiB for 5,000 instances. When so large an allocation is
//! freed, glibc's allocator adapts: it returns memory to the system only when twice as much is free. That
//! was 1.1 KiB of the 2.4 KiB of an instance.

use toml::de::DeTable;

use super::{Instance, keys::INSTANCES, table::Reader};

/// Bytes after which a piece ends. The tokens of a piece stay below the 128 KiB from which the allocator
/// adapts.
const LENGTH: usize = 4 * 1024;
const HEADER: &str = "[[instances]]";

/// A text as one piece, or as a first piece without instances and others that have nothing else.
pub(super) struct Pieces<'t> {
    pub(super) first: &'t str,
    /// The others, each with the byte offset where it begins.
    pub(super) rest: Vec<(usize, &'t str)>,
}

impl<'t> Pieces<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let cut = (text.len() > LENGTH).then(|| Self::cut(text));
        cut.filter(Self::is_sound).unwrap_or(Self {
            first: text,
            rest: Vec::new(),
        })
    }

    fn cut(text: &'t str) -> Self {
        let mut cuts: Vec<usize> = Vec::new();
        for (at, _) in text.match_indices(HEADER) {
            let begins_line = at == 0 || text.as_bytes()[at - 1] == b'\n';
            if begins_line && cuts.last().is_none_or(|last| at - last >= LENGTH) {
                cuts.push(at);
            }
        }
        let ends = cuts.iter().skip(1).copied().chain([text.len()]);
        Self {
            first: &text[..cuts.first().copied().unwrap_or(text.len())],
            rest: cuts
                .iter()
                .zip(ends)
                .map(|(&at, end)| (at, &text[at..end]))
                .collect(),
        }
    }

    /// Whether the pieces mean what the text means. A cut within a string or an array leaves a piece that is
    /// not TOML, and a table other than an instance may be one that another piece has too.
    fn is_sound(&self) -> bool {
        let (tree, errors) = DeTable::parse_recoverable(self.first);
        let is_first_sound = errors.is_empty() && !tree.get_ref().contains_key(INSTANCES);
        is_first_sound
            && self.rest.iter().all(|(_, piece)| {
                let (tree, errors) = DeTable::parse_recoverable(piece);
                errors.is_empty() && tree.get_ref().keys().all(|key| key.get_ref() == INSTANCES)
            })
    }

    /// Reads all pieces but the first, and adds their instances, each with its path.
    pub(super) fn read(self, reader: &mut Reader<'_, '_>, instances: &mut Vec<(String, Instance)>) {
        for (begin, piece) in self.rest {
            reader.report.piece(begin);
            let (tree, _) = DeTable::parse_recoverable(piece);
            let array = tree.into_inner().remove_entry(INSTANCES);
            instances.extend(reader.array(INSTANCES, array, false));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::parse;

    fn instances(count: usize) -> String {
        let one = |number| {
            format!(
                "[[instances]]\nzapi_instance = \"I{number}\"\nzapi_token = \"token-{number}\"\n\
                 ryze_instance = \"R{number}\"\nryze_token = \"at-ryze-{number}\"\n\n"
            )
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn the_instances_of_the_pieces_are_those_of_the_text_and_problems_have_its_lines() {
        // As an included file may begin.
        assert!(Pieces::of(&instances(300)).rest.len() > 5);
        let text = format!("log.level = \"warn\"\n\n{}", instances(300));
        let pieces = Pieces::of(&text);
        assert!(pieces.rest.len() > 5);
        for (begin, piece) in &pieces.rest {
            assert!(text[*begin..].starts_with(piece));
        }
        let config = parse(&text, &|_| None).unwrap().config;
        let ids = config.instances.iter().map(|it| &*it.zapi_instance);
        assert!(ids.eq((0..300).map(|number| format!("I{number}"))));
        for number in [0, 150, 299] {
            let right = format!("zapi_token = \"token-{number}\"");
            let line = text[..text.find(&right).unwrap()].lines().count() + 1;
            let text = text.replace(&right, "zapi_token = 1");
            let problems = parse(&text, &|_| None).unwrap_err();
            assert_eq!(problems.len(), 1);
            let problem = &problems[0];
            let key = format!("instances[{number}].zapi_token");
            assert_eq!((&problem.key, problem.line), (&key, Some(line)));
        }
    }

    #[test]
    fn a_text_that_means_something_else_than_its_pieces_is_read_as_a_whole() {
        let many = format!("\n{}", instances(300));
        for (before, after) in [
            ("x = '''", "'''"),
            ("x = [", "]"),
            ("instances = []", ""),
            ("[[ instances ]]", ""),
            ("[log]", "[log]"),
            ("", "[server]\nlisten = \"127.0.0.1:1\""),
            ("", "not TOML"),
        ] {
            let text = format!("{before}{many}{after}\n");
            let pieces = Pieces::of(&text);
            assert_eq!(pieces.first, text);
            assert!(pieces.rest.is_empty());
        }
    }
}
