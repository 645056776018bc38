//! The text that introduces the sandbox.

use zapi_to_ryze::sandbox::{Options, Sandbox, usage};

use super::client::{Caller, HIDE_PHOTO, listen};

#[tokio::test]
async fn the_printed_lines_do_what_they_say() {
    let sandbox = Sandbox::new(Options::default());
    let (address, _) = listen(&sandbox).await;
    let caller = Caller::Socket(address);
    let text = usage(address);
    let mut statuses = Vec::new();
    for line in text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("curl "))
    {
        // Shell words: only what is between quotes has blanks in it.
        let words: Vec<_> = line
            .split('\'')
            .enumerate()
            .flat_map(|(part, text)| match part % 2 {
                0 => text.split_whitespace().collect(),
                _ => vec![text],
            })
            .collect();
        let after = |flag: &str| {
            let pairs = words.windows(2).filter(move |pair| pair[0] == flag);
            pairs.map(|pair| pair[1]).collect::<Vec<_>>()
        };
        let url = words
            .iter()
            .find(|word| word.starts_with("http://"))
            .unwrap();
        let path = url.strip_prefix(&format!("http://{address}")).unwrap();
        let method = after("-X").pop().unwrap_or("GET");
        let body = after("-d").concat();
        let got = caller
            .call(&format!("{method} {path}"), &after("-H").join("\n"), &body)
            .await;
        statuses.push((method.to_owned(), got.unwrap().status));
    }
    let expected = ["POST", "GET", "POST", "GET"].map(|method| (method.to_owned(), 200));
    assert_eq!(statuses, expected);
    assert_eq!(
        sandbox.settings("main").unwrap()["visibility"]["profile"],
        "contacts"
    );
    assert_eq!(caller.update(HIDE_PHOTO).await.status, 500);
}
