//! The configuration through its library functions: what the user writes, what the program gets.
//!
//! `shipped` is about the files in `config/`, `sound` about files without a mistake, `broken` about
//! files with mistakes, `values` about mistakes within one value, `tls` about the files of
//! `[server.tls]`, `files` about what is at a path, `include` about files that it includes, and `arbitrary` about whatever else a file may hold.

mod arbitrary;
mod broken;
mod files;
mod include;
mod shipped;
mod sound;
mod tls;
mod values;

use zapi_to_ryze::config::{self, Loaded, Problem};

/// The shortest instance, as the end of a file.
const INSTANCE: &str = r#"
[[instances]]
zapi_instance = "A"
zapi_token = "zapi-hunter2"
ryze_instance = "main"
ryze_token = "ryze-hunter2"
"#;

/// Every secret of these tests has `hunter2` in it.
fn environment(name: &str) -> Option<String> {
    match name {
        "ZAPI_TOKEN" | "RYZE_TOKEN" | "ZAPI_CLIENT_TOKEN" => Some(format!("{name}-hunter2")),
        "EMPTY" => Some(String::new()),
        "CARRIAGE" => Some("hunter2\r".to_owned()),
        "SPACED" => Some("hunter2 hunter2".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Loaded, Vec<Problem>> {
    config::parse(text, &environment)
}

/// What a file without a mistake becomes.
#[track_caller]
fn sound(text: &str) -> Loaded {
    parse(text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}
