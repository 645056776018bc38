//! Arbitrary files: reading one ends in a configuration or in problems, never in a panic.

use proptest::prelude::*;
use zapi_to_ryze::config::print;

use super::parse;

fn is_read(text: &str) -> Result<(), TestCaseError> {
    let lines = text.split('\n').count();
    match parse(text) {
        Ok(loaded) => {
            let printed = print(&loaded.config);
            prop_assert!(!printed.contains("hunter2"));
            prop_assert!(parse(&printed).is_ok(), "{}", printed);
        }
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(!problem.to_string().contains("hunter2"), "{}", problem);
                prop_assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)));
            }
        }
    }
    Ok(())
}

/// `gateway.toml` with some stretches replaced.
fn mutated() -> impl Strategy<Value = String> {
    let text = include_str!("../../config/gateway.toml");
    let piece = prop_oneof![
        "[\\[\\]{}\"'=#.,\\\\ \n\ra-z0-9_-]{0,6}",
        proptest::sample::select(text.split_inclusive('\n').collect::<Vec<_>>())
            .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    let edit = (any::<proptest::sample::Index>(), 0..20_usize, piece);
    proptest::collection::vec(edit, 1..6).prop_map(move |edits| {
        let mut text: Vec<char> = text.chars().collect();
        for (at, cut, piece) in edits {
            let at = at.index(text.len() + 1);
            let end = text.len().min(at + cut);
            text.splice(at..end, piece.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn any_text_is_read(text: String) {
        is_read(&text)?;
    }

    #[test]
    fn any_text_of_toml_characters_is_read(text in "[\\[\\]{}\"'=#.,\\\\ \n\ra-z0-9_-]{0,200}") {
        is_read(&text)?;
    }

    #[test]
    fn a_mutated_file_is_read(text in mutated()) {
        is_read(&text)?;
    }
}
