//! Reads a CSV file with instances: a header with the names of the keys, and a row an instance.
//!
//! The separator is the one of comma, semicolon and tab that the header has most of. An empty cell is a
//! key that is not written. A token is a literal, `env:NAME` or `file:PATH`. Each row becomes the table
//! that it would be in TOML, so that the same rules hold.

use csv::{ByteRecord, ReaderBuilder, Trim};
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    Instance,
    keys::{INSTANCES, Owner as _},
    table::{Reader, instead},
};

/// Columns whose cells are `true` or `false` and not text.
const FLAGS: [&str; 1] = ["shared"];
/// Begins a line that is skipped.
const COMMENT: u8 = b'#';

/// Reads the rows and adds their instances, each with its path.
pub(super) fn read(
    reader: &mut Reader<'_, '_>,
    text: &str,
    instances: &mut Vec<(String, Instance)>,
) {
    // Excel begins a file with a byte order mark. The library skips it and counts its bytes.
    let mut rows = ReaderBuilder::new()
        .delimiter(separator(text.trim_start_matches('\u{feff}')))
        .comment(Some(COMMENT))
        .trim(Trim::All)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut header = ByteRecord::new();
    // Reading a slice does not fail, and rows of any length are accepted.
    if !rows.read_byte_record(&mut header).unwrap_or_default() {
        return;
    }
    let columns: Vec<_> = header.iter().map(cell).collect();
    if !check_header(reader, &columns, at(text, &header)) {
        return;
    }
    let mut row = ByteRecord::new();
    while rows.read_byte_record(&mut row).unwrap_or_default() {
        let at = at(text, &row);
        if row.len() != columns.len() {
            let message = format!(
                "the row has {} cells and the header {}; write as many",
                row.len(),
                columns.len()
            );
            reader.report.problem_at(Some(at), "", message);
            continue;
        }
        let mut entries = DeTable::new();
        for (name, value) in columns.iter().zip(row.iter().map(cell)) {
            if !value.is_empty() {
                let name = Spanned::new(at..at, DeString::Borrowed(name));
                let value = value_of(name.get_ref(), value, at);
                entries.insert(name, Spanned::new(at..at, value));
            }
        }
        instances.push(reader.element(INSTANCES, at, entries));
    }
}

/// Whether the header has each column that must be there, and no others. A name that is not known is not
/// quoted: in a file without a header it may be a secret.
fn check_header(reader: &mut Reader<'_, '_>, columns: &[&str], at: usize) -> bool {
    let name = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
    let known: Vec<_> = Instance::ROWS.iter().map(|row| name(row.path())).collect();
    let mut problems = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        if !known.contains(column) {
            let instead = instead(column, &known);
            let message = format!("column {} has an unknown name; {instead}", index + 1);
            problems.push(("", message));
        } else if columns[..index].contains(column) {
            problems.push((column, "stands twice; write each column once".to_owned()));
        }
    }
    for row in Instance::ROWS {
        let name = name(row.path());
        if row.is_required(&mut Instance::default()) && !columns.contains(&name) {
            problems.push((name, "the header has no such column; write it".to_owned()));
        }
    }
    let is_sound = problems.is_empty();
    for (column, message) in problems {
        reader.report.problem_at(Some(at), column, message);
    }
    is_sound
}

/// The value as it would be in TOML.
fn value_of<'c>(name: &str, cell: &'c str, at: usize) -> DeValue<'c> {
    let place = ["env", "file"].into_iter().find_map(|source| {
        let place = cell.strip_prefix(source)?.strip_prefix(':')?;
        name.ends_with("_token").then_some((source, place))
    });
    let string = |text: &'c str| DeValue::String(DeString::Borrowed(text));
    match (place, cell) {
        (Some((source, place)), _) => {
            let source = Spanned::new(at..at, DeString::Borrowed(source));
            let place = Spanned::new(at..at, string(place));
            DeValue::Table(DeTable::from_iter([(source, place)]))
        }
        (None, "true") if FLAGS.contains(&name) => DeValue::Boolean(true),
        (None, "false") if FLAGS.contains(&name) => DeValue::Boolean(false),
        (None, text) => string(text),
    }
}

/// The byte offset of a row. The library has that of the lines that it skipped before it.
fn at(text: &str, row: &ByteRecord) -> usize {
    let from = row.position().map_or(0, |position| position.byte());
    let from = usize::try_from(from).unwrap_or_default();
    let lines = text.get(from..).unwrap_or_default().split_inclusive('\n');
    let skipped = lines.take_while(|line| is_skipped(line));
    from + skipped.map(str::len).sum::<usize>()
}

fn is_skipped(line: &str) -> bool {
    line.starts_with(char::from(COMMENT)) || line.trim_end_matches(['\r', '\n']).is_empty()
}

/// Every cell is a part of the text, which is UTF-8.
fn cell(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

fn separator(text: &str) -> u8 {
    let mut lines = text.lines();
    let header = lines.find(|line| !is_skipped(line));
    let count = |separator: &u8| {
        let header = header.unwrap_or_default();
        header.bytes().filter(|byte| byte == separator).count()
    };
    // Of several with as many, the last one counts.
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(count)
        .unwrap_or(b',')
}
