//! `README.pt-BR.md` says what `README.md` says: heading by heading, block by block and row by row the
//! same code, numbers and links. The quality of the Portuguese is not tested.

use std::{fs, iter, path::Path};

/// A heading, a block of code, a row of a table, an item of a list or a paragraph.
struct Part<'text> {
    line: usize,
    heading: &'text str,
    kind: &'text str,
    /// What no translation changes.
    facts: Vec<String>,
}

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut heading = "";
    let mut lines = (1..).zip(text.lines()).peekable();
    while let Some((line, begin)) = lines.next() {
        let kind = kind_of(begin);
        let facts = match kind {
            "" => continue,
            "```" => {
                let block = lines.by_ref().map(|(_, code)| code);
                let block = block.take_while(|code| *code != "```");
                iter::once(begin).chain(block).map(uncommented).collect()
            }
            "|" => facts(begin),
            "text" | "-" => {
                let mut whole = begin.to_owned();
                while let Some((_, more)) = lines.next_if(|(_, more)| kind_of(more) == "text") {
                    whole = whole + " " + more;
                }
                facts(&whole)
            }
            _ => {
                heading = begin;
                Vec::new()
            }
        };
        parts.push(Part {
            line,
            heading,
            kind,
            facts,
        });
    }
    parts
}

/// The marks that a line begins with, `text` without any.
fn kind_of(line: &str) -> &str {
    let marks = line.len() - line.trim_start_matches('#').len();
    match line {
        "" => "",
        _ if marks > 0 => &line[..marks],
        _ => ["```", "|", "-"]
            .into_iter()
            .find(|mark| line.starts_with(mark))
            .unwrap_or("text"),
    }
}

/// A line of code without the words of its comment.
fn uncommented(code: &str) -> String {
    match code.find(" #") {
        _ if code.starts_with('#') => "#".to_owned(),
        Some(at) => code[..at].trim_end().to_owned() + " #",
        None => code.to_owned(),
    }
}

/// Its spans of code, its links without their anchors, and its numbers, in no order. Points and commas
/// in numbers are left out: the languages exchange them.
fn facts(text: &str) -> Vec<String> {
    let pieces: Vec<_> = text.split('`').collect();
    let prose: String = pieces.iter().step_by(2).copied().collect();
    let spans = pieces.iter().skip(1).step_by(2);
    let mut facts: Vec<_> = spans.map(|code| format!("`{code}`")).collect();
    let mut links = prose.split("](");
    let mut words = links.next().unwrap().to_owned();
    for link in links {
        let (target, after) = link.split_once(')').unwrap();
        let file = target.split('#').next().unwrap();
        if !["README.md", "README.pt-BR.md"].contains(&file) {
            facts.push(format!("]({file})"));
        }
        words = words + " " + after;
    }
    let words = words.replace(['.', ','], "");
    let numbers = words.split(|char: char| !char.is_ascii_digit());
    facts.extend(numbers.filter(|it| !it.is_empty()).map(str::to_owned));
    facts.sort_unstable();
    facts
}

#[test]
fn both_languages_say_the_same() {
    let (english, portuguese) = (text("README.md"), text("README.pt-BR.md"));
    let (english, portuguese) = (parts(&english), parts(&portuguese));
    for (one, other) in english.iter().zip(&portuguese) {
        assert_eq!(
            (one.kind, &one.facts),
            (other.kind, &other.facts),
            "README.md:{} ({}) and README.pt-BR.md:{} ({})",
            one.line,
            one.heading,
            other.line,
            other.heading
        );
    }
    assert_eq!(english.len(), portuguese.len(), "one of them ends too soon");
}

#[test]
fn links_within_the_page_lead_to_a_heading() {
    for file in ["README.md", "README.pt-BR.md"] {
        let text = text(file);
        let headings: Vec<_> = text.lines().filter_map(anchor).collect();
        for link in text.split("](#").skip(1) {
            let link = link.split(')').next().unwrap();
            assert!(headings.iter().any(|it| it == link), "{file}: #{link}");
        }
    }
}

/// The anchor that GitHub gives to a heading.
fn anchor(line: &str) -> Option<String> {
    let words = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let kept = words
        .chars()
        .filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    let kept: String = kept.collect();
    Some(kept.to_lowercase().replace(' ', "-"))
}
