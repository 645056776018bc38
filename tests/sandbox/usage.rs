//! The text that introduces the sandbox.

use zapi_to_ryze::sandbox::{Options, Sandbox, usage};

use super::client::{Caller, HIDE_PHOTO, listen};
use crate::pasted::{by_socket, curl_lines};

#[tokio::test]
async fn the_printed_lines_do_what_they_say() {
    let sandbox = Sandbox::new(Options::default());
    let (address, _) = listen(&sandbox).await;
    let lines = curl_lines(&usage(address));
    assert_eq!(lines.len(), 4);
    for line in lines {
        assert_eq!(by_socket(&line).await[0].status, 200, "{line}");
    }
    let settings = sandbox.settings("main").unwrap();
    assert_eq!(settings["visibility"]["profile"], "contacts");
    let caller = Caller::Socket(address);
    assert_eq!(caller.update(HIDE_PHOTO).await.status, 500);
}
