//! The log on a terminal: text with colours, unless the file or the environment says otherwise.

use std::{fs, net::SocketAddr, path::Path};

use tempfile::TempDir;

use crate::{process::send, terminal::Terminal};

const BASE: &str = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
                    [[instances]]\nzapi_instance = \"I1\"\nzapi_token = \"T1\"\nryze_instance = \"main\"\n\
                    ryze_token = \"t\"\n";

fn folder(log: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gateway.toml"), format!("{BASE}{log}")).unwrap();
    folder
}

/// A gateway on a terminal, whose log has this in its first line.
async fn started(folder: &Path, variables: &[(&str, &str)], first: &str) -> (Terminal, SocketAddr) {
    let mut terminal = Terminal::start(folder, &["serve", "gateway.toml"], variables);
    terminal.shows("listening on http://").await;
    terminal.shows("status page on http://").await;
    terminal.shows("everything else").await;
    let screen = terminal.so_far();
    let line = screen
        .lines()
        .find(|line| line.contains("the admin listener is ready"));
    assert!(line.is_some_and(|line| line.contains(first)), "{screen:?}");
    let (_, address) = screen.split_once("listening on http://").unwrap();
    let address = address.lines().next().unwrap().parse().unwrap();
    (terminal, address)
}

#[tokio::test]
async fn it_is_text_with_colours_on_a_terminal() {
    let sound = folder("");
    let green = "\x1b[32mINFO \x1b[0m the admin listener is ready";
    let (mut terminal, address) = started(sound.path(), &[], green).await;
    let request = "GET /instances/I1/token/T2/privacy HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(send(address, request).await.status, 400);
    let line = "\x1b[33m400\x1b[0m GET /instances/{id}/token/{token}/privacy - unknown_instance ";
    terminal.shows(line).await;
    terminal.shows(" ms ").await;
    terminal.shows("request_id=").await;

    let plain = "INFO  the admin listener is ready";
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        started(sound.path(), &[variable], plain).await;
    }
    let by_file = folder("[log]\nformat = \"text\"\n");
    started(by_file.path(), &[], green).await;
    let json = folder("[log]\nformat = \"json\"\n");
    let line = r#""level":"INFO","message":"the admin listener is ready""#;
    started(json.path(), &[], line).await;
}

#[tokio::test]
async fn a_reload_leaves_the_format() {
    let folder = folder("");
    let (mut terminal, _) = started(folder.path(), &[], "INFO").await;
    let hangup = |terminal: &Terminal| terminal.signal("HUP");
    hangup(&terminal);
    terminal.shows("the configuration was reloaded").await;
    assert!(!terminal.so_far().contains("waits for a restart"));
}
