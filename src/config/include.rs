//! Reads the files with instances that `include` names: TOML, or CSV if the name ends in `.csv`.
//!
//! A relative pattern is looked up beside the configuration file. The files of a pattern are read in the
//! order of their names, and a file that several patterns name is read once. An included file cannot
//! include others.

use std::{
    collections::BTreeSet,
    mem,
    path::{Path, PathBuf},
};

use glob::{MatchOptions, Pattern};
use toml::de::DeTable;

use super::{
    Instance, csv_file,
    keys::{INSTANCES, Included},
    pieces::Pieces,
    source,
    table::Reader,
};

/// More files than this are probably not meant.
const MAX_FILES: usize = 20_000;
/// Bytes of all files together.
const MAX_BYTES: usize = 64 * 1024 * 1024;
const KEY: &str = "include";

/// Reads the files and adds their instances, each with its path.
pub(super) fn read(
    reader: &mut Reader<'_, '_>,
    patterns: &[String],
    instances: &mut Vec<(String, Instance)>,
) {
    let mut bytes = 0;
    for path in find(reader, patterns) {
        let (text, metadata) = match source::included(&path) {
            Ok(read) => read,
            Err(error) => {
                let message = format!(
                    "the file \"{}\" cannot be read ({error}); {}",
                    path.display(),
                    source::cure(&error)
                );
                reader.report.problem(KEY, message);
                continue;
            }
        };
        bytes += text.len();
        if bytes > MAX_BYTES {
            let message = format!("the files have more than {MAX_BYTES} bytes; name fewer");
            reader.report.problem(KEY, message);
            return;
        }
        reader.report.include(&path, &text);
        let had_literal = mem::take(&mut reader.context.has_literal);
        if path
            .extension()
            .is_some_and(|it| it.eq_ignore_ascii_case("csv"))
        {
            csv_file::read(reader, &text, instances);
        } else {
            read_toml(reader, &text, instances);
        }
        if reader.context.has_literal && source::is_open(&metadata) {
            reader.report.warn_of_file(source::OPEN_FILE);
        }
        reader.context.has_literal = had_literal;
    }
}

fn read_toml(reader: &mut Reader<'_, '_>, text: &str, instances: &mut Vec<(String, Instance)>) {
    let pieces = Pieces::of(text);
    let (tree, errors) = DeTable::parse_recoverable(pieces.first);
    if !errors.is_empty() {
        let problems = reader.report.not_toml(text, errors);
        reader.report.problems(problems);
        return;
    }
    let mut entries = tree.into_inner();
    let array = entries.remove_entry(INSTANCES);
    reader.root(entries, &[INSTANCES], &mut Included);
    instances.extend(reader.array(INSTANCES, array, false));
    pieces.read(reader, instances);
}

/// The files that the patterns name, in their order.
fn find(reader: &mut Reader<'_, '_>, patterns: &[String]) -> Vec<PathBuf> {
    let mut known = BTreeSet::new();
    let mut files = Vec::new();
    for pattern in patterns {
        let found = match matches(pattern, reader.context.directory) {
            Ok(found) => found,
            Err(message) => {
                reader.report.problem(KEY, message);
                continue;
            }
        };
        files.extend(found.into_iter().filter(|path| known.insert(path.clone())));
    }
    files
}

fn matches(pattern: &str, directory: &Path) -> Result<Vec<PathBuf>, String> {
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![directory.join(pattern)]);
    }
    let directory = Pattern::escape(&directory.to_string_lossy());
    let whole = Path::new(&directory).join(pattern);
    let options = MatchOptions {
        // Editors keep their temporary files under such names.
        require_literal_leading_dot: true,
        ..MatchOptions::default()
    };
    let found = glob::glob_with(&whole.to_string_lossy(), options);
    let found = found.map_err(|error| format!("\"{pattern}\" is no pattern: {}", error.msg))?;
    let mut files = Vec::new();
    for path in found {
        let path = path.map_err(|error| {
            let (path, error) = (error.path(), error.error());
            format!(
                "the folder \"{}\" cannot be read ({error}); {}",
                path.display(),
                source::cure(error)
            )
        })?;
        if files.len() == MAX_FILES {
            return Err(format!(
                "\"{pattern}\" names more than {MAX_FILES} files; name fewer"
            ));
        }
        files.push(path);
    }
    files.sort_unstable();
    Ok(files)
}
