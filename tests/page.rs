//! The operator's page in a real browser: its texts, that it updates itself, and that it works under
//! its Content-Security-Policy and on a phone. The tests of `/status` check the numbers.

use std::net::SocketAddr;

use crate::{
    harness::{Setup, Upstream, answers, confirms, photo, post, refuses},
    process::{Process, send},
    webdriver::Browser,
};

const CONFIRMED: &str = r#"{"visibility":{"profile":"contacts"}}"#;
/// The cells of the first row.
const ROW: &str = "[...document.querySelector('#rows tr').cells].map(cell => cell.textContent)";

/// A gateway, its address for clients, and a browser that shows its page.
struct Shown {
    gateway: Process,
    address: SocketAddr,
    browser: Browser,
}

impl Shown {
    async fn start(configuration: &str) -> Self {
        let (mut gateway, address) = Process::serve(configuration).await;
        let admin = gateway.admin_address().await;
        let browser = Browser::start().await;
        browser.open(&format!("http://{admin}/")).await;
        browser
            .wait_for("document.getElementById('main').hidden", false)
            .await;
        Self {
            gateway,
            address,
            browser,
        }
    }

    /// Waits for the text of an element.
    async fn text(&self, id: &str, text: &str) {
        let expression = format!("document.getElementById('{id}').textContent");
        self.browser.wait_for(&expression, text).await;
    }

    /// Waits for a cell of the first row.
    async fn cell(&self, index: usize, text: &str) {
        let expression = format!("{ROW}[{index}].trim()");
        self.browser.wait_for(&expression, text).await;
    }
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn the_page_follows_the_gateway_until_it_is_gone() {
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let shown = Shown::start(&Setup::default().toml(&upstream.base_url)).await;
    let title = shown.browser.evaluate("document.title").await;
    assert_eq!(title, "zapi-to-ryze: Serving");
    shown.text("version", env!("CARGO_PKG_VERSION")).await;
    shown.cell(0, "main I1").await;
    shown.cell(1, "Not called yet").await;
    shown.text("in-use", "0").await;
    let no_fallback = "No fallback is configured: these calls are rejected";
    shown.text("forwarded-note", no_fallback).await;

    assert!(send(shown.address, photo("CONTACTS")).await.is_success());
    shown.cell(1, "Change confirmed").await;
    shown.text("in-use", "1").await;
    shown.text("ryze", "Responds").await;
    assert_eq!(shown.browser.console().await, serde_json::json!([]));

    let Shown {
        gateway, browser, ..
    } = shown;
    drop(gateway);
    let message = "document.getElementById('message').textContent";
    browser
        .wait_for(
            &format!("{message}.startsWith('The gateway cannot be reached. Its last response')"),
            true,
        )
        .await;
    let is_stale = "document.getElementById('main').classList.contains('stale')";
    assert_eq!(browser.evaluate(is_stale).await, true);
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn calls_to_the_fallback_are_listed() {
    let fallback = Upstream::start(answers(200, "{}")).await;
    let setup = Setup {
        fallback: format!("base_url = \"{}\"", fallback.base_url),
        ..Setup::default()
    };
    let shown = Shown::start(&setup.toml("http://127.0.0.1:9")).await;
    for path in ["send-text", "planted", "send-text"] {
        let call = post(&format!("/instances/I1/token/T1/{path}"), "{}");
        assert_eq!(send(shown.address, call).await.status, 200);
    }
    let note = format!("3 calls to {}/ since the start", fallback.base_url);
    shown.text("forwarded-note", &note).await;
    let cells = "[...document.querySelectorAll('#calls tr')].map(row => \
                 [0, 1, 3].map(cell => row.cells[cell].textContent).join(' | ')).join()";
    let rows = "POST /send-text | 2 × 2xx | 2,POST (not in Z-API's documentation) | 1 × 2xx | 1";
    shown.browser.wait_for(cells, rows).await;
    assert_eq!(shown.browser.console().await, serde_json::json!([]));
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn a_denied_instance_is_shown_as_suspended_for_any_name_also_on_a_phone() {
    let name = "<img src=x onerror=alert(1)> of_a_shop_with_a_name_that_is_wider_than_a_phone_is";
    let upstream = Upstream::start(refuses(401, "Invalid token")).await;
    let configuration = Setup::default().toml(&upstream.base_url);
    let configuration = configuration.replace("\"main\"", &format!("\"{name}\""));
    let shown = Shown::start(&configuration).await;
    shown.browser.resize(360, 800).await;

    assert_eq!(
        send(shown.address, photo("CONTACTS")).await.status,
        424,
        "it is denied"
    );
    shown.cell(1, "Ryze refuses the token or instance").await;
    let suspended = format!("/^Suspended for \\d+ s: Ryze refuses it$/.test({ROW}[3])");
    shown.browser.wait_for(&suspended, true).await;
    shown
        .text("count", "1 in all, 1 suspended, 0 failing")
        .await;
    shown.cell(0, &format!("{name} I1")).await;
    let images = shown
        .browser
        .evaluate("document.querySelectorAll('img').length")
        .await;
    assert_eq!(images, 0);

    let widths = "[document.documentElement.scrollWidth, innerWidth]";
    let widths = shown.browser.evaluate(widths).await;
    assert_eq!(widths, serde_json::json!([360, 360]));
    assert_eq!(shown.browser.console().await, serde_json::json!([]));
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn an_observed_instance_shows_what_would_have_happened() {
    let fallback = Upstream::start(answers(200, "{}")).await;
    let setup = Setup {
        instance: "mode = \"observe\"",
        fallback: format!("base_url = \"{}\"", fallback.base_url),
        ..Setup::default()
    };
    let shown = Shown::start(&setup.toml("http://127.0.0.1:1")).await;
    shown.cell(1, "Observed: 0 would be translated").await;
    assert_eq!(send(shown.address, photo("ALL")).await.status, 200);
    assert_eq!(send(shown.address, photo("all")).await.status, 200);
    shown
        .cell(
            1,
            "Observed: 1 would be translated, 1 refused (last: Malformed request)",
        )
        .await;
    let count = "1 in all, 0 suspended, 0 failing";
    shown.text("count", count).await;
}
