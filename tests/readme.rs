//! A page in Portuguese says what its English page says: heading by heading, block by block and row by row the
//! same code, numbers and links. The quality of the Portuguese is not tested. Links lead somewhere.

use std::{
    fs, iter,
    path::{Path, PathBuf},
};

/// The pages in two languages.
const PAGES: [&str; 6] = [
    "README",
    "docs/budget",
    "docs/commands",
    "docs/fallback",
    "docs/install",
    "docs/responses",
];

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
            "```text" => {
                // A drawing has words in it.
                let block = lines.by_ref().take_while(|(_, code)| *code != "```");
                vec![block.count().to_string()]
            }
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
        _ => ["```text", "```", "|", "-"]
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
        facts.push(format!("]({})", file.replace(".pt-BR", "")));
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
    for page in PAGES {
        let files = [format!("{page}.md"), format!("{page}.pt-BR.md")];
        let texts = files.each_ref().map(|file| text(file));
        let [english, portuguese] = texts.each_ref().map(|text| parts(text));
        for (one, other) in english.iter().zip(&portuguese) {
            assert_eq!(
                (one.kind, &one.facts),
                (other.kind, &other.facts),
                "{}:{} ({}) and {}:{} ({})",
                files[0],
                one.line,
                one.heading,
                files[1],
                other.line,
                other.heading
            );
        }
        let (english, portuguese) = (english.len(), portuguese.len());
        assert_eq!(english, portuguese, "{page}: one of them ends too soon");
    }
}

/// The Markdown files at the top and in the folders that describe the project.
fn documents() -> Vec<PathBuf> {
    let mut documents = Vec::new();
    for folder in ["", "docs", "deploy"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
        documents.extend(files.filter(|file| file.extension().is_some_and(|it| it == "md")));
    }
    assert!(documents.len() > 15, "{documents:?}");
    documents
}

#[test]
fn links_lead_to_files_and_headings() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let links = text.split("](").skip(1);
        for link in links.filter_map(|link| link.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            let place = document.display();
            assert!(target.exists(), "{place}: {link}");
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let mut headings = text.lines().filter_map(anchor);
                assert!(headings.any(|it| it == heading), "{place}: {link}");
            }
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
