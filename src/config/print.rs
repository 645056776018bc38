//! Writes a configuration as a file, for `check --print` and the admin listener.

use super::{
    Config, Instance,
    keys::{Draft, Owner},
};

/// The configuration as TOML: every key that has a value, with secrets masked.
///
/// The tokens of `[zapi]` and `[ryze]` are shown with each instance that uses them.
#[must_use]
pub fn print(config: &Config) -> String {
    let mut draft = Draft::from(config.clone());
    let mut page = String::new();
    write(&mut page, &mut draft);
    for instance in &mut draft.config.instances {
        write::<Instance>(&mut page, instance);
    }
    page
}

fn write<O: Owner>(page: &mut String, owner: &mut O) {
    let mut current = "";
    for row in O::ROWS {
        let (Some((table, name)), Some(value)) = (row.path().rsplit_once('.'), row.show(owner))
        else {
            continue;
        };
        if table != current {
            current = table;
            let separator = if page.is_empty() { "" } else { "\n" };
            *page += &match table.strip_suffix("[]") {
                Some(array) => format!("{separator}[[{array}]]\n"),
                None => format!("{separator}[{table}]\n"),
            };
        }
        *page += &format!("{name} = {value}\n");
    }
}
