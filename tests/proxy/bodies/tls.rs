//! TLS to the fallback. `tests/tls.rs` has the kinds of invalid certificates.

use crate::{
    harness::{Setup, Upstream, answers},
    tls::{Authority, certificate, terminate_tls},
};

use super::{GET, NOWHERE};

#[tokio::test]
async fn trusted_and_untrusted_certificates() {
    let authority = Authority::new();
    let (_file, trusted) = authority.trusted();
    let sound = certificate(&["localhost"]);
    let cases = [
        (authority.certify(&sound), trusted.as_str(), true),
        (Authority::new().certify(&sound), trusted.as_str(), false),
        (
            authority.certify(&certificate(&["z-api.example"])),
            trusted.as_str(),
            false,
        ),
        (authority.certify(&sound), "", false),
    ];
    for (server, ca_file, is_trusted) in cases {
        let upstream = Upstream::start(answers(200, "{}")).await;
        let port = terminate_tls(server, &upstream).await;
        let setup = Setup {
            fallback: format!("base_url = \"https://localhost:{port}\"\n{ca_file}"),
            ..Setup::default()
        };
        let gateway = setup.start(NOWHERE).await;
        let answer = gateway.send(GET).await;
        if is_trusted {
            assert_eq!((answer.status, answer.message.body.as_str()), (200, "{}"));
            let host = format!("localhost:{port}");
            assert_eq!(upstream.seen()[0].header("host"), Some(host.as_str()));
        } else {
            answer.assert_failure(502, "BAD_GATEWAY");
            assert!(answer.text("message").contains("fallback"));
            assert_eq!(upstream.seen(), []);
        }
    }
}
