//! Documents that tests generate, whole or in part.

use std::{collections::HashSet, env, fs, path::Path};

/// Checks that a file in `docs/` is as it is made now from what it holds. With `UPDATE_DOCS=1` it is
/// rewritten instead.
pub async fn is_up_to_date(name: &str, make: impl AsyncFnOnce(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{name}.md"));
    let file = fs::read_to_string(&path).unwrap();
    let made = make(&file).await;
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, made).unwrap();
        return;
    }
    let old: HashSet<_> = file.lines().collect();
    let new: Vec<_> = made.lines().filter(|line| !old.contains(line)).collect();
    assert!(
        file == made,
        "docs/{name}.md is out of date; regenerate it with\n\n  \
         UPDATE_DOCS=1 tests/run {name}\n\nIts new lines: {new:#?}"
    );
}
