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
const ROW: &str =
    "[...document.querySelector('#rows tr').cells].map(cell => cell.textContent.trim())";
/// Places of its cells.
const NAME: usize = 0;
const DONE: usize = 1;
const FAILED: usize = 2;
const MISTAKES: usize = 3;
const STATE: usize = 5;

/// A gateway, its address for clients, and a browser that shows its page.
struct Shown {
    gateway: Process,
    address: SocketAddr,
    browser: Browser,
}

impl Shown {
    async fn start(configuration: &str) -> Self {
        Self::start_in("en", configuration).await
    }

    /// With a browser of this `Accept-Language`.
    async fn start_in(language: &str, configuration: &str) -> Self {
        let (mut gateway, address) = Process::serve(configuration).await;
        let admin = gateway.admin_address().await;
        let browser = Browser::start().await;
        browser.accept_language(language).await;
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
        let expression = format!("{ROW}[{index}]");
        self.browser.wait_for(&expression, text).await;
    }

    /// Waits for these cells of the first row of a table.
    async fn first_row<const N: usize>(&self, table: &str, cells: [usize; N], text: [&str; N]) {
        let expression = format!(
            "(row => row && {cells:?}.map(cell => row.cells[cell].textContent.trim()).join('|'))\
             (document.querySelector('#{table} tr'))"
        );
        self.browser.wait_for(&expression, text.join("|")).await;
    }
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn the_page_follows_the_gateway_until_it_is_gone() {
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let shown = Shown::start(&Setup::default().toml(&upstream.base_url)).await;
    let title = shown.browser.evaluate("document.title").await;
    let host = shown
        .browser
        .evaluate("document.getElementById('host').textContent")
        .await;
    let host = host.as_str().unwrap();
    assert_eq!(title, format!("✓ {host}: Serving – zapi-to-ryze"));
    shown.text("version", env!("CARGO_PKG_VERSION")).await;
    shown.cell(NAME, "main I1").await;
    shown.cell(DONE, "0").await;
    shown
        .text("in-use", "0 of 100 used in the last minute")
        .await;
    shown.text("ryze-state", "Not called yet").await;
    let no_fallback = "No fallback is configured: these calls are rejected";
    shown.text("fallback-state", no_fallback).await;
    shown.text("forwarded-note", no_fallback).await;

    assert!(send(shown.address, photo("CONTACTS")).await.is_success());
    shown.cell(DONE, "1").await;
    shown
        .text("in-use", "1 of 100 used in the last minute")
        .await;
    shown.text("ryze-state", "Responds").await;
    let recent = ["POST /privacy/photo", "main", "Change confirmed"];
    shown.first_row("recent", [0, 1, 2], recent).await;
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
    let note = format!("to {}/ since the start: 3", fallback.base_url);
    shown.text("forwarded-note", &note).await;
    let cells = "[...document.querySelectorAll('#calls tr')].map(row => \
                 [0, 1, 3].map(cell => row.cells[cell].textContent.trim()).join(' | ')).join()";
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
    let suspended = "Suspended for \\d+ s: Ryze refuses it Ryze refuses the token, \\d+ s ago";
    let suspended = format!("/^{suspended}$/.test({ROW}[{STATE}])");
    shown.browser.wait_for(&suspended, true).await;
    shown
        .text("count", "1 in all, 1 suspended, 0 failing")
        .await;
    shown.cell(NAME, &format!("{name} I1")).await;
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
    shown.cell(STATE, "Observed: 0 would be translated").await;
    assert_eq!(send(shown.address, photo("ALL")).await.status, 200);
    assert_eq!(send(shown.address, photo("all")).await.status, 200);
    shown
        .cell(
            STATE,
            "Observed: 1 would be translated, 1 refused (last: Malformed request)",
        )
        .await;
    let count = "1 in all, 0 suspended, 0 failing";
    shown.text("count", count).await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn the_header_is_the_worst_of_all_parts() {
    let setup = Setup {
        fallback: "base_url = \"http://127.0.0.1:9\"".to_owned(),
        ..Setup::default()
    };
    let ryze = Upstream::start(confirms(CONFIRMED)).await;
    let shown = Shown::start(&setup.toml(&ryze.base_url)).await;
    let header = "[...document.querySelectorAll('#state, #problems:not([hidden]) li')]\
                  .map(node => `${node.className}: ${node.textContent}`).join('|')";
    shown.browser.wait_for(header, "good: Serving").await;

    let message = post("/instances/I1/token/T1/send-text", "{}");
    assert_eq!(send(shown.address, message).await.status, 502);
    let dead = "bad: Z-API cannot be reached";
    shown.browser.wait_for(header, dead).await;
    let note = "/^Last failure: Connection refused, \\d+ s ago/\
                .test(document.getElementById('fallback-note').textContent)";
    shown.browser.wait_for(note, true).await;

    drop(ryze);
    assert_eq!(send(shown.address, photo("CONTACTS")).await.status, 502);
    let worse = "bad: Ryze cannot be reached (and 2 more)|bad: Ryze cannot be reached|\
                 bad: Z-API cannot be reached|bad: 1 of 1 instances failing or suspended";
    shown.browser.wait_for(header, worse).await;
    let title = shown.browser.evaluate("document.title").await;
    assert!(title.as_str().unwrap().starts_with("✕ "), "{title}");
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn a_clients_mistake_makes_nothing_red_also_in_portuguese() {
    let setup = Setup::default().toml("http://127.0.0.1:9");
    let shown = Shown::start_in("pt-BR,pt;q=0.9,en;q=0.8", &setup).await;
    let lang = shown
        .browser
        .evaluate("document.documentElement.lang")
        .await;
    assert_eq!(lang, "pt-BR");
    assert_eq!(send(shown.address, photo("planted")).await.status, 400);
    shown.cell(MISTAKES, "1").await;
    shown.cell(FAILED, "0").await;
    shown.cell(STATE, "").await;
    shown.text("state", "Em operação").await;
    let reason = "O campo visualizationType está ausente ou não é válido HTTP 400";
    shown.first_row("recent", [2], [reason]).await;
    let texts = "[...document.querySelectorAll('[data-text]')].every(node => node.textContent)";
    assert_eq!(shown.browser.evaluate(texts).await, true);
    assert_eq!(shown.browser.console().await, serde_json::json!([]));
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn the_plot_has_the_value_under_the_pointer() {
    let shown = Shown::start(&Setup::default().toml("http://127.0.0.1:9")).await;
    shown.text("plot-text", "0 now, at most 0").await;
    let event = |name, x| {
        format!(
            "(plot => plot.dispatchEvent(new PointerEvent('{name}', {{clientX: \
             plot.getBoundingClientRect().{x}}})))(document.getElementById('plot'))"
        )
    };
    shown.browser.evaluate(&event("pointermove", "right")).await;
    shown.text("plot-text", "now: 0").await;
    shown
        .browser
        .evaluate(&event("pointerleave", "right"))
        .await;
    shown.text("plot-text", "0 now, at most 0").await;
}
