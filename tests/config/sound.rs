//! Files without a mistake: what they become, what is warned of and what is printed.

use std::{
    fs::{self, Permissions},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

use proptest::prelude::*;
use zapi_to_ryze::config::{
    self, ContactsBlacklist, Listen, LogFormat, Mode, print, routing, sandbox,
};

use super::{INSTANCE, sound};

/// No key has its default.
const OTHERWISE: &str = r#"
[server]
listen = "[::1]:9420"
deadline = "250ms"
max_connections = 1_000
max_body = 0x400
header_timeout = "2s"
body_timeout = "3m"
idle_timeout = "24h"
drain = { delay = "5s", limit = "1ms" }
[admin]
listen = "0.0.0.0:9421"
allow_remote = true
[zapi]
client_token = { env = "ZAPI_CLIENT_TOKEN" }
[ryze]
base_url = "http://ryze.internal:8080/prefix/"
token = { env = "RYZE_TOKEN" }
connect_timeout = "1s"
request_timeout = "90s"
[budget]
requests_per_minute = 250
burst = 7
max_wait = "0s"
replicas = 4
redis = "rediss://gateway:hunter2@redis.internal:6380/7"
[policy]
contacts_blacklist = "mode_only"
[fallback]
base_url = "https://old.internal:8443/z-api/"
connect_timeout = "4s"
idle_timeout = "5m"
[log]
level = "debug"
format = "text"
[[instances]]
zapi_instance = "A"
zapi_token = "a-hunter2"
ryze_instance = "\"quoted\" ü"
[[instances]]
zapi_instance = "B"
zapi_token = "b-hunter2"
client_token = "client-hunter2"
ryze_instance = "other"
ryze_token = "own-hunter2"
mode = "observe"
"#;

#[test]
fn every_key_reaches_its_place() {
    let config = sound(OTHERWISE).config;
    assert_eq!(
        config.server.listen,
        Listen::Tcp("[::1]:9420".parse().unwrap())
    );
    assert_eq!(config.server.deadline, Duration::from_millis(250));
    assert_eq!(config.server.max_connections, 1_000);
    assert_eq!(config.server.max_body, 1_024);
    assert_eq!(config.server.header_timeout, Duration::from_secs(2));
    assert_eq!(config.server.body_timeout, Duration::from_secs(180));
    assert_eq!(config.server.idle_timeout, Duration::from_secs(86_400));
    assert_eq!(config.server.drain.delay, Duration::from_secs(5));
    assert_eq!(config.server.drain.limit, Duration::from_millis(1));
    assert_eq!(config.admin.listen.to_string(), "0.0.0.0:9421");
    assert!(config.admin.allow_remote && !config.admin.is_optional);
    assert_eq!(config.ryze.base_url, "http://ryze.internal:8080/prefix");
    assert_eq!(config.ryze.connect_timeout, Duration::from_secs(1));
    assert_eq!(config.ryze.request_timeout, Duration::from_secs(90));
    assert_eq!((config.budget.share(), config.budget.burst), (62, 7));
    assert_eq!(config.budget.requests_per_minute, 250);
    assert_eq!(config.budget.replicas, 4);
    let redis = config.budget.redis.as_ref().unwrap();
    let url = b"rediss://gateway:hunter2@redis.internal:6380/7";
    assert!(redis.matches(url));
    assert_eq!(config.budget.max_wait, Duration::ZERO);
    assert_eq!(
        config.policy.contacts_blacklist,
        ContactsBlacklist::ModeOnly
    );
    let fallback = config.fallback.as_ref().unwrap();
    assert_eq!(fallback.base_url, "https://old.internal:8443/z-api");
    assert_eq!(fallback.connect_timeout, Duration::from_secs(4));
    assert_eq!(fallback.idle_timeout, Duration::from_secs(300));
    assert_eq!(config.log.level.to_string(), "debug");
    assert_eq!(config.log.format, LogFormat::Text);
    let [first, second] = &config.instances[..] else {
        panic!("two instances")
    };
    assert_eq!(
        (&*first.zapi_instance, &*first.ryze_instance),
        ("A", "\"quoted\" ü")
    );
    assert!(first.zapi_token.matches(b"a-hunter2"));
    assert!(
        first
            .client_token
            .as_ref()
            .unwrap()
            .matches(b"ZAPI_CLIENT_TOKEN-hunter2")
    );
    assert!(first.ryze_token.matches(b"RYZE_TOKEN-hunter2"));
    assert!(
        second
            .client_token
            .as_ref()
            .unwrap()
            .matches(b"client-hunter2")
    );
    assert!(second.ryze_token.matches(b"own-hunter2"));
    assert_eq!([first.mode, second.mode], [Mode::Translate, Mode::Observe]);
}

#[test]
fn the_default_burst_is_never_above_the_share() {
    let share_and_burst = |budget: &str| {
        let budget = sound(&format!("[budget]\n{budget}\n{INSTANCE}"))
            .config
            .budget;
        (budget.share(), budget.burst)
    };
    assert_eq!(share_and_burst("replicas = 3"), (33, 20));
    assert_eq!(share_and_burst("replicas = 6"), (16, 16));
    assert_eq!(share_and_burst("replicas = 100"), (1, 1));
    assert_eq!(share_and_burst("burst = 100"), (100, 100));
}

#[test]
fn a_limit_shared_through_redis_is_not_divided_while_it_is_there() {
    let budget = |lines: &str| {
        let loaded = sound(&format!(
            "[budget]\nredis = \"redis://[::1]\"\n{lines}{INSTANCE}"
        ));
        (loaded.config.budget, loaded.warnings.len())
    };
    let (divided, warnings) = budget("replicas = 10");
    assert_eq!((divided.share(), divided.burst, warnings), (10, 20, 0));
    assert_eq!(budget("replicas = 4\nburst = 100").0.burst, 100);
    let (whole, warnings) = budget("");
    assert_eq!((whole.share(), warnings), (100, 1));
}

#[test]
fn the_password_of_redis_is_masked() {
    for (written, printed) in [
        ("redis://host", "redis://host"),
        ("redis://user@host:1/2", "redis://user@host:1/2"),
        ("rediss://:hunter2@host/0", "rediss://:********@host/0"),
        ("redis://a:hunt%40r2@[::1]", "redis://a:********@[::1]"),
    ] {
        let text = format!("[budget]\nreplicas = 2\nredis = {written:?}{INSTANCE}");
        let page = print(&sound(&text).config);
        assert!(page.contains(&format!("redis = {printed:?}\n")), "{page}");
    }
}

#[test]
fn no_client_token_means_that_none_is_asked_for() {
    let config = sound(INSTANCE).config;
    assert!(config.instances[0].client_token.is_none());
    assert!(config.fallback.is_none());
    assert!(config.admin.is_optional);
}

#[test]
fn one_line_end_of_a_file_or_a_variable_is_not_part_of_the_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    for (held, secret) in [("x", "x"), ("x\n", "x"), ("x\r\n", "x")] {
        fs::write(&path, held).unwrap();
        for place in [
            format!("{{ file = {path:?} }}"),
            "{ env = \"X\" }".to_owned(),
        ] {
            let text = INSTANCE.replace("\"zapi-hunter2\"", &place);
            let text = text.replace("\"ryze-hunter2\"", &place);
            let loaded = config::parse(&text, &|_| Some(held.to_owned())).unwrap();
            let instance = &loaded.config.instances[0];
            assert_eq!(instance.zapi_token.expose(), secret, "{held:?}");
            assert_eq!(instance.ryze_token.expose(), secret, "{held:?}");
        }
    }
}

#[test]
fn a_file_with_certificates_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let made = rcgen::generate_simple_self_signed(["ryze.internal".to_owned()]).unwrap();
    fs::write(&path, made.cert.pem()).unwrap();
    let config = sound(&format!("[ryze]\nca_file = {path:?}\n{INSTANCE}")).config;
    let found = config.ryze.ca_file.as_ref().map(|file| &file.path);
    assert_eq!(found, Some(&path));
    assert_eq!(print(&sound(&print(&config)).config), print(&config));
}

#[test]
fn ports_chosen_by_the_system_do_not_clash() {
    let text = "server.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"";
    assert_eq!(sound(&format!("{text}{INSTANCE}")).warnings, []);
}

#[test]
fn a_unix_socket_has_a_path_and_a_mode() {
    for (written, expected) in [("", 0o660), ("socket_mode = \"0600\"", 0o600)] {
        let text = format!("[server]\nlisten = \"unix:/run/a b.sock\"\n{written}\n{INSTANCE}");
        let config = sound(&text).config;
        let Listen::Unix { path, mode } = &config.server.listen else {
            panic!("a Unix socket")
        };
        assert_eq!((path.to_str(), *mode), (Some("/run/a b.sock"), expected));
        assert_eq!(
            sound(&print(&config)).config.server.listen,
            config.server.listen
        );
    }
    let longest = format!("unix:/{}", "x".repeat(106));
    sound(&format!("server.listen = {longest:?}{INSTANCE}"));
    assert!(super::parse(&format!("server.listen = \"{longest}x\"{INSTANCE}")).is_err());
}

#[test]
fn what_may_not_be_meant_is_warned_of() {
    let shared = format!("{INSTANCE}shared = true\n");
    let same_name = shared
        .replace("\"A\"", "\"B\"")
        .replace("ryze-hunter2", "another-hunter2");
    let text = format!("server.deadline = \"5s\"\nbudget.max_wait = \"6s\"{shared}{same_name}");
    let warnings = sound(&text).warnings;
    let places: Vec<_> = warnings
        .iter()
        .map(|warning| (warning.line, &*warning.key))
        .collect();
    assert_eq!(
        places,
        [
            (Some(2), "budget.max_wait"),
            (Some(13), "instances[1].ryze_instance")
        ]
    );
    assert!(!format!("{warnings:?}").contains("hunter2"));

    let same_token = shared.replace("\"A\"", "\"B\"");
    assert_eq!(sound(&format!("{shared}{same_token}")).warnings, []);
}

#[test]
fn a_value_that_is_probably_another_is_warned_of() {
    for (line, key, part) in [
        (
            "ryze.token = \"${HUNTER2}\"",
            "ryze.token",
            "looks like a variable",
        ),
        (
            "zapi.client_token = \"env:hunter2\"",
            "zapi.client_token",
            "looks like the place",
        ),
        (
            "ryze.token = { env = \"LINE\" }",
            "ryze.token",
            "looks like a line of",
        ),
        (
            "ryze.base_url = \"https://r/v1/api\"",
            "ryze.base_url",
            "remove the path",
        ),
        (
            "ryze.base_url = \"https://r/api/profile/\"",
            "ryze.base_url",
            "remove the path",
        ),
        (
            "ryze.base_url = \"https://r/api/profile/privacy/main\"",
            "ryze.base_url",
            "remove the path",
        ),
        (
            "ryze.base_url = \"https://API.z-api.io\"",
            "ryze.base_url",
            "the host is Z-API's",
        ),
        (
            "fallback.base_url = \"https://z/instances/\"",
            "fallback.base_url",
            "remove /instances",
        ),
        (
            "fallback.base_url = \"https://z/instances/I/token/hunter2\"",
            "fallback.base_url",
            "remove the path",
        ),
        (
            "fallback.base_url = \"https://z/v1/token/hunter2\"",
            "fallback.base_url",
            "remove the path",
        ),
        (
            "fallback.base_url = \"https://ryzeapi.cloud\"",
            "fallback.base_url",
            "the host is Ryze's",
        ),
        (
            "budget = { replicas = 2, redis = \"redis://:${HUNTER2}@r\" }",
            "budget.redis",
            "looks like a variable",
        ),
        (
            "budget = { replicas = 2, redis = \"redis://%3Chunter2%3E:x@r\" }",
            "budget.redis",
            "looks like a placeholder",
        ),
    ] {
        let environment = |_: &str| Some("RYZE_TOKEN=hunter2\n".to_owned());
        let loaded = config::parse(&format!("{line}{INSTANCE}"), &environment).unwrap();
        let [warning] = &loaded.warnings[..] else {
            panic!("{line}: {:?}", loaded.warnings)
        };
        assert_eq!((warning.line, &*warning.key), (Some(1), key), "{line}");
        assert!(warning.message.contains(part), "{line}: {warning}");
        assert!(
            !warning.message.to_lowercase().contains("hunter2"),
            "{warning}"
        );
    }
    for (written, key) in [
        ("\"A\"", "zapi_instance"),
        ("\"main\"", "ryze_instance"),
        ("\"zapi-hunter2\"", "zapi_token"),
        ("\"ryze-hunter2\"", "ryze_token"),
    ] {
        for instead in ["<id>", "$HUNTER2", "YOUR_INSTANCE_ID", "changeme"] {
            let text = INSTANCE.replace(written, &format!("{instead:?}"));
            let warnings = sound(&text).warnings;
            let keys: Vec<_> = warnings.iter().map(|warning| &*warning.key).collect();
            assert_eq!(keys, [format!("instances[0].{key}")], "{instead}");
        }
    }
    for line in [
        "ryze.base_url = \"https://ryze.internal/apis\"",
        "fallback.base_url = \"https://z/my-instances\"",
        "fallback.base_url = \"https://notryzeapi.cloud\"",
        "fallback.base_url = \"https://api.z-api.io/\"",
    ] {
        assert_eq!(sound(&format!("{line}{INSTANCE}")).warnings, [], "{line}");
    }
}

#[test]
fn a_secret_in_a_file_that_others_may_read_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, "hunter2").unwrap();
    let text = INSTANCE.replace("\"zapi-hunter2\"", &format!("{{ file = {path:?} }}"));
    for (mode, is_warned_of) in [
        (0o400, false),
        (0o440, false),
        (0o640, false),
        (0o444, true),
        (0o604, true),
        (0o602, true),
        (0o620, true),
    ] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let warnings = sound(&text).warnings;
        let expected = format!(
            "line 4: instances[0].zapi_token: chmod 640 {path:?}: others may read or change the secret"
        );
        let told: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            Vec::from_iter(is_warned_of.then_some(expected)),
            "{mode:o}"
        );
    }
}

#[test]
fn relative_paths_are_looked_up_beside_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let made = rcgen::generate_simple_self_signed(["ryze.internal".to_owned()]).unwrap();
    fs::create_dir(path("secrets")).unwrap();
    fs::write(path("secrets/token"), "beside-hunter2\n").unwrap();
    fs::write(path("ca.pem"), made.cert.pem()).unwrap();
    fs::write(path("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let text = INSTANCE.replace("\"zapi-hunter2\"", "{ file = \"secrets/token\" }");
    let files = "ryze.ca_file = \"ca.pem\"\n\
                 server.tls = { cert_file = \"./ca.pem\", key_file = \"tls.key\" }";
    fs::write(path("gateway.toml"), format!("{files}{text}")).unwrap();
    let config = config::load(&path("gateway.toml")).unwrap().config;
    assert_eq!(config.instances[0].zapi_token.expose(), "beside-hunter2");
    assert_eq!(config.ryze.ca_file.as_ref().unwrap().path, path("ca.pem"));
    assert_eq!(
        config.server.tls.as_ref().unwrap().key_file,
        path("tls.key")
    );
    let problems = config::parse(&text, &|_| None).unwrap_err();
    assert!(
        problems[0]
            .message
            .contains("\"secrets/token\" cannot be read"),
        "{problems:?}"
    );
}

#[test]
fn advice_is_about_consequences() {
    let advice = |text: &str| -> Vec<_> {
        let advice = sound(text).advice.into_iter();
        advice.map(|it| (it.line, it.key)).collect()
    };
    let none = (None, "fallback".to_owned());
    let unchecked = (None, "zapi.client_token".to_owned());
    assert_eq!(advice(INSTANCE), [none.clone(), unchecked.clone()]);
    let fallback = "[fallback]\nbase_url = \"https://api.z-api.io\"";
    assert_eq!(advice(&format!("{fallback}{INSTANCE}")), [unchecked]);
    let own = format!("{fallback}{INSTANCE}client_token = \"hunter2\"");
    assert_eq!(advice(&own), []);
    let above = format!(
        "[zapi]\nclient_token = \"hunter2\"\n[budget]\nrequests_per_minute = 101{INSTANCE}"
    );
    let limit = (Some(4), "budget.requests_per_minute".to_owned());
    assert_eq!(advice(&above), [none.clone(), limit]);
    assert_eq!(advice(&above.replace("101", "100")), [none]);
}

#[test]
fn what_is_printed_means_the_same_and_holds_no_secret() {
    for text in [INSTANCE, OTHERWISE] {
        let printed = print(&sound(text).config);
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("zapi_token = \"********\""), "{printed}");
        let mut config = sound(text).config;
        config.admin.is_optional = false;
        let again = sound(&printed).config;
        assert_eq!(format!("{again:#?}"), format!("{config:#?}"));
    }
}

#[test]
fn a_file_is_loaded_and_a_missing_one_is_a_problem() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.toml");
    let problems = config::load(&path).unwrap_err();
    assert_eq!((problems.len(), problems[0].line), (1, None));
    assert!(
        problems[0]
            .to_string()
            .starts_with("the file cannot be read"),
        "{}",
        problems[0]
    );
    fs::write(&path, INSTANCE).unwrap();
    assert_eq!(config::load(&path).unwrap().config.instances.len(), 1);
}

#[test]
fn the_sandbox_has_two_instances_in_front_of_its_upstreams() {
    let [listen, ryze, fallback] = [8421, 9000, 9001].map(|port| ([127, 0, 0, 1], port).into());
    let config = sandbox(listen, ryze, fallback);
    assert_eq!(config.server.listen, Listen::Tcp(config.admin.listen));
    assert!(config.admin.is_optional);
    assert_eq!(config.ryze.base_url, "http://127.0.0.1:9000/");
    let fallback = config.fallback.unwrap();
    assert_eq!(fallback.base_url, "http://127.0.0.1:9001/");
    assert_eq!(config.policy.contacts_blacklist, ContactsBlacklist::Refuse);
    assert_eq!(
        (config.log.format, config.log.level.to_string()),
        (LogFormat::Text, "info".into())
    );
    let instances = config.instances.iter().map(|it| {
        let ids = (&*it.zapi_instance, it.zapi_token.expose());
        let ryze = (&*it.ryze_instance, it.ryze_token.expose());
        (ids, ryze, it.mode, it.client_token.is_some())
    });
    let instances: Vec<_> = instances.collect();
    let translated = (("SANDBOX", "sandbox"), ("main", "sandbox-token"));
    let observed = (("OBSERVED", "observed"), ("observed", "observed-token"));
    assert_eq!(
        instances,
        [
            (translated.0, translated.1, Mode::Translate, false),
            (observed.0, observed.1, Mode::Observe, false),
        ]
    );
}

proptest! {
    #[test]
    fn the_sandbox_takes_every_address(
        listen: SocketAddr,
        ryze: SocketAddr,
        fallback: SocketAddr,
    ) {
        let config = sandbox(listen, ryze, fallback);
        prop_assert_eq!(config.server.listen, Listen::Tcp(listen));
        prop_assert_eq!(config.ryze.base_url.port_u16(), Some(ryze.port()));
        let base_url = config.fallback.unwrap().base_url;
        prop_assert_eq!(base_url.port_u16(), Some(fallback.port()));
    }
}

#[test]
fn routing_says_which_upstream_answers_which_calls() {
    // A path is not shown.
    const FALLBACK: &str = "[fallback]\nbase_url = \"https://api.z-api.io/token/hunter2\"\n";
    let other = INSTANCE.replace("\"A\"", "\"B\"").replace("main", "b");
    for (text, line) in [
        (
            format!("{FALLBACK}{INSTANCE}{other}"),
            "2 instances → https://ryzeapi.cloud; everything else → https://api.z-api.io",
        ),
        (
            INSTANCE.to_owned(),
            "1 instance → https://ryzeapi.cloud; everything else is refused with 404: no [fallback]",
        ),
        (
            format!("{FALLBACK}{INSTANCE}{other}mode = \"observe\""),
            "1 instance → https://ryzeapi.cloud; 1 instance observed → https://api.z-api.io; \
             everything else → https://api.z-api.io",
        ),
        (FALLBACK.to_owned(), "everything → https://api.z-api.io"),
        (
            format!("instances = []\n{FALLBACK}"),
            "everything → https://api.z-api.io",
        ),
    ] {
        assert_eq!(routing(&sound(&text).config), line);
    }
}
