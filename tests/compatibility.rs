//! The tables of `docs/compatibility.md`, made by explaining the calls in them: they are up to date,
//! and no call or value is left out. With `UPDATE_DOCS=1` they are written anew.

use std::collections::HashSet;

use zapi_to_ryze::{
    config::{self, Config},
    explain::{Explanation, explain},
    zapi::routes,
};

use crate::{document, harness::post};

const INSTANCE: &str = "/instances/I1/token/T1";
const CONTACTS: &str = r#"[{"action":"add","phone":"554411111111"}]"#;

/// A call with its documented input.
struct Call {
    path: &'static str,
    /// The field of its body, or its query's parameter after a `?`.
    field: &'static str,
    values: &'static [&'static str],
}

const AUDIENCES: &[&str] = &["ALL", "NONE", "CONTACTS", "CONTACT_BLACKLIST"];

/// The documented calls that change what Ryze can change.
const CALLS: [Call; 6] = [
    call("privacy/photo", "visualizationType", AUDIENCES),
    call("privacy/last-seen", "visualizationType", AUDIENCES),
    call("privacy/description", "visualizationType", AUDIENCES),
    call(
        "privacy/online",
        "visualizationType",
        &["ALL", "SAME_LAST_SEEN"],
    ),
    call(
        "privacy/group-add",
        "type",
        &["ALL", "CONTACTS", "CONTACT_BLACKLIST"],
    ),
    call("privacy/read-receipts", "?value", &["enable", "disable"]),
];

const fn call(path: &'static str, field: &'static str, values: &'static [&'static str]) -> Call {
    Call {
        path,
        field,
        values,
    }
}

impl Call {
    fn row(&self, value: &str) -> Row {
        match self.field.strip_prefix('?') {
            Some(parameter) => Row::new("POST", &format!("{}?{parameter}={value}", self.path)),
            None => {
                Row::new("POST", self.path).json(&format!("{{\"{}\":\"{value}\"}}", self.field))
            }
        }
    }
}

/// A row of a table: a request, and what the reader sees of it.
struct Row {
    method: &'static str,
    path: String,
    input: String,
    request: String,
}

impl Row {
    /// A call of the instance that is configured, or of another path that begins with a slash.
    fn new(method: &'static str, path: &str) -> Self {
        let whole = match path.strip_prefix('/') {
            Some(_) => path.to_owned(),
            None => format!("{INSTANCE}/{path}"),
        };
        Self {
            method,
            path: path.to_owned(),
            input: String::new(),
            request: format!("{method} {whole} HTTP/1.1\r\nHost: gateway\r\n\r\n"),
        }
    }

    fn json(self, body: &str) -> Self {
        self.sends(
            &format!("`{body}`"),
            "Content-Type: application/json\r\n",
            body,
        )
    }

    fn sends(mut self, input: &str, headers: &str, body: &str) -> Self {
        let line = self.request.lines().next().unwrap();
        let path = line.split(' ').nth(1).unwrap();
        let request = post(path, body).replacen("POST", self.method, 1);
        self.request = request.replace("Content-Type: application/json\r\n", headers);
        input.clone_into(&mut self.input);
        self
    }

    /// Method and path, as the table of routes has them.
    fn route(&self) -> (String, String) {
        let path = self.path.split('?').next().unwrap();
        let template = format!("/instances/{{id}}/token/{{token}}/{path}");
        (self.method.to_owned(), template)
    }
}

struct Table {
    name: &'static str,
    head: &'static [&'static str],
    /// More lines of the configuration, for each column of results.
    configurations: &'static [&'static str],
    rows: Vec<Row>,
}

const FALLBACK: &str = "[fallback]\nbase_url = \"https://api.z-api.io\"";
const MODE_ONLY: &str = "[policy]\ncontacts_blacklist = \"mode_only\"";
const CLIENT_TOKEN: &str = "[zapi]\nclient_token = \"C1\"";
const CLIENT_TOKEN_AND_FALLBACK: &str =
    "[zapi]\nclient_token = \"C1\"\n[fallback]\nbase_url = \"https://api.z-api.io\"";

fn configuration(more: &str) -> Config {
    let text = format!(
        "{more}\n[[instances]]\nzapi_instance = \"I1\"\nzapi_token = \"T1\"\n\
         ryze_instance = \"main\"\nryze_token = \"secret\"\n"
    );
    config::parse(&text, &|_| None).unwrap().config
}

fn tables() -> Vec<Table> {
    vec![
        Table {
            name: "values",
            head: &["Call", "Input", "Becomes", "Success"],
            configurations: &[""],
            rows: values(),
        },
        Table {
            name: "contactsBlacklist",
            head: &["Call", "Input", "`refuse`", "`mode_only`"],
            configurations: &["", MODE_ONLY],
            rows: contacts_blacklist(),
        },
        Table {
            name: "no counterpart",
            head: &["Call", "Without a fallback", "With `[fallback]`"],
            configurations: &["", FALLBACK],
            rows: no_counterpart(),
        },
        Table {
            name: "wrong values",
            head: &["Call", "Input", "Answer"],
            configurations: &[""],
            rows: wrong_values(),
        },
        Table {
            name: "content types",
            head: &["Call", "Input", "Result"],
            configurations: &[""],
            rows: content_types(),
        },
        Table {
            name: "methods and paths",
            head: &["Call", "Without a fallback", "With `[fallback]`"],
            configurations: &["", FALLBACK],
            rows: methods_and_paths(),
        },
        Table {
            name: "credentials",
            head: &["Call", "Input", "Without a fallback", "With `[fallback]`"],
            configurations: &[CLIENT_TOKEN, CLIENT_TOKEN_AND_FALLBACK],
            rows: credentials(),
        },
    ]
}

fn values() -> Vec<Row> {
    let changes = CALLS
        .iter()
        .flat_map(|call| call.values.iter().map(|value| call.row(value)));
    changes.chain([Row::new("GET", "privacy")]).collect()
}

fn contacts_blacklist() -> Vec<Row> {
    let lists = [
        "".to_owned(),
        r#","contactsBlacklist":null"#.to_owned(),
        r#","contactsBlacklist":[]"#.to_owned(),
        format!(",\"contactsBlacklist\":{CONTACTS}"),
    ];
    let mut rows = Vec::new();
    let mut add = |call: &Call, value: &str, list: &str| {
        let body = format!("{{\"{}\":\"{value}\"{list}}}", call.field);
        rows.push(Row::new("POST", call.path).json(&body));
    };
    let with_list = |call: &&Call| call.values.contains(&"CONTACT_BLACKLIST");
    for call in CALLS.iter().filter(with_list) {
        for list in &lists {
            add(call, "CONTACT_BLACKLIST", list);
        }
    }
    for value in ["ALL", "NONE", "CONTACTS"] {
        add(&CALLS[0], value, &lists[3]);
    }
    add(&CALLS[3], "ALL", &lists[3]);
    for value in ["CONTACT_BLACKLIST", "ALL"] {
        add(&CALLS[0], value, r#","contactsBlacklist":["554411111111"]"#);
    }
    rows
}

fn no_counterpart() -> Vec<Row> {
    let durations = ["days90", "days7", "hours24", "disable"];
    let settings = ["lastSeen", "photo", "description", "groupAdd"];
    let duration = |value| Row::new("POST", &format!("privacy/messages-duration?value={value}"));
    let contacts = |kind| Row::new("GET", &format!("privacy/disallowed-contacts?type={kind}"));
    let rows = durations.map(duration).into_iter();
    rows.chain(settings.map(contacts))
        .chain([Row::new("GET", "privacy/disallowed-contacts")])
        .collect()
}

fn wrong_values() -> Vec<Row> {
    let bodies = [
        ("privacy/photo", "{}"),
        ("privacy/photo", r#"{"visualizationType":"all"}"#),
        ("privacy/photo", r#"{"visualizationType":"SAME_LAST_SEEN"}"#),
        ("privacy/photo", r#"{"visualizationType":null}"#),
        ("privacy/photo", r#"{"type":"ALL"}"#),
        (
            "privacy/photo",
            r#"{"visualizationType":"ALL","visualizationType":"NONE"}"#,
        ),
        ("privacy/photo", r#"["ALL"]"#),
        ("privacy/photo", "visualizationType=ALL"),
        ("privacy/last-seen", r#"{"visualizationType":"CONTACT"}"#),
        ("privacy/description", r#"{"visualizationType":true}"#),
        ("privacy/online", r#"{"visualizationType":"NONE"}"#),
        ("privacy/group-add", r#"{"type":"NONE"}"#),
        ("privacy/group-add", r#"{"visualizationType":"ALL"}"#),
    ];
    let bodies = bodies.map(|(path, body)| Row::new("POST", path).json(body));
    let queries = [
        "",
        "?value=",
        "?value=ENABLE",
        "?value=enable&value=disable",
    ];
    let queries = queries.map(|query| Row::new("POST", &format!("privacy/read-receipts{query}")));
    let in_body = Row::new("POST", "privacy/read-receipts").json(r#"{"value":"enable"}"#);
    bodies.into_iter().chain(queries).chain([in_body]).collect()
}

fn content_types() -> Vec<Row> {
    let body = r#"{"visualizationType":"ALL"}"#;
    let types = [
        ("", "no `Content-Type`"),
        ("Content-Type: application/json\r\n", ""),
        ("Content-Type: application/json; charset=utf-8\r\n", ""),
        ("Content-Type: application/x-www-form-urlencoded\r\n", ""),
        ("Content-Type: text/plain;charset=UTF-8\r\n", ""),
        (
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            "`Content-Encoding: gzip`",
        ),
    ];
    let with_body = types.map(|(headers, shown)| {
        let header = format!("`{}`", headers.trim_end());
        let shown = if shown.is_empty() { &header } else { shown };
        Row::new("POST", "privacy/photo").sends(shown, headers, body)
    });
    let without_body = types[..4].iter().map(|(headers, shown)| {
        let header = format!("`{}`, no body", headers.trim_end());
        let shown = if shown.is_empty() {
            &header
        } else {
            "neither type nor body"
        };
        Row::new("POST", "privacy/read-receipts?value=enable").sends(shown, headers, "")
    });
    let ignored = Row::new("POST", "privacy/read-receipts?value=enable").sends(
        "`Content-Type: text/plain`, any body",
        "Content-Type: text/plain\r\n",
        "any",
    );
    with_body
        .into_iter()
        .chain(without_body)
        .chain([ignored])
        .collect()
}

fn methods_and_paths() -> Vec<Row> {
    let body = r#"{"visualizationType":"ALL"}"#;
    let with_body = [
        "privacy/photo-visualization",
        "privacy/photo/",
        "privacy/Photo",
        "privacy/call-add",
        "/privacy/photo",
        "//instances/I1/token/T1/privacy/photo",
        "/instances/%49%31/token/T1/privacy/photo",
    ];
    let others = [
        ("GET", "privacy/photo"),
        ("PUT", "privacy/photo"),
        ("OPTIONS", "privacy/photo"),
        ("GET", "privacy/read-receipts?value=enable"),
        ("GET", "privacy/messages-duration?value=days7"),
        ("POST", "privacy/disallowed-contacts?type=photo"),
        ("POST", "privacy"),
        ("POST", "send-text"),
        ("GET", "status"),
    ];
    let others = others.map(|(method, path)| Row::new(method, path));
    let with_body = with_body.map(|path| Row::new("POST", path).json(body));
    with_body.into_iter().chain(others).collect()
}

fn credentials() -> Vec<Row> {
    let row = |path: &str, headers: &str, shown: &str| {
        let headers = format!("{headers}Content-Type: application/json\r\n");
        let body = r#"{"visualizationType":"ALL"}"#;
        let mut row = Row::new("POST", path).sends(shown, &headers, body);
        "privacy/photo".clone_into(&mut row.path);
        row
    };
    let right = "Client-Token: C1\r\n";
    vec![
        row("privacy/photo", right, "all right"),
        row("privacy/photo", "", "no `Client-Token`"),
        row(
            "privacy/photo",
            "Client-Token:\r\n",
            "an empty `Client-Token`",
        ),
        row(
            "privacy/photo",
            "Client-Token: C2\r\n",
            "a wrong `Client-Token`",
        ),
        row(
            "/instances/I1/token/T2/privacy/photo",
            right,
            "a wrong token in the path",
        ),
        row(
            "/instances/I2/token/T1/privacy/photo",
            right,
            "an instance that is not configured",
        ),
    ]
}

/// What becomes of a row's request, in one cell or, where success is shown, in two.
async fn result(row: &Row, config: &Config, shows_success: bool) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match explain(config, row.request.as_bytes()).await.unwrap() {
        Explanation::Ryze {
            request, answer, ..
        } => {
            let body = text(request.body());
            let becomes = if body.is_empty() {
                format!(
                    "`{} {}`",
                    request.method(),
                    request.uri().path().replace("main", "{name}")
                )
            } else {
                format!("`{body}`")
            };
            let answer = answer.unwrap();
            let answer = format!("{} `{}`", answer.status().as_u16(), text(answer.body()));
            if shows_success {
                format!("{becomes} | {answer}")
            } else {
                becomes
            }
        }
        Explanation::Fallback { .. } => "the old vendor answers".to_owned(),
        Explanation::Refused { answer } => {
            let answer = answer.unwrap();
            let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
            let error = body["error"].as_str().unwrap();
            let status = answer.status().as_u16();
            let allow = answer.headers().get("allow");
            let allow = allow.map_or_else(String::new, |it| {
                format!(", `Allow: {}`", it.to_str().unwrap())
            });
            match body["message"].as_str() {
                Some(message) => format!("**{status}**{allow} `{error}` {message}"),
                None => format!("**{status}** `{error}`"),
            }
        }
    }
}

async fn markdown(table: &Table) -> String {
    let mut text = format!("| {} |\n", table.head.join(" | "));
    text += &"|---".repeat(table.head.len());
    text += "|\n";
    let shows_success = table.head.contains(&"Success");
    let configurations: Vec<_> = table
        .configurations
        .iter()
        .map(|it| configuration(it))
        .collect();
    for row in &table.rows {
        text += &format!("| `{} {}` ", row.method, row.path);
        if table.head.contains(&"Input") {
            text += &format!("| {} ", row.input);
        }
        let mut last = String::new();
        for config in &configurations {
            let result = result(row, config, shows_success).await;
            let shown = if result == last { "the same" } else { &result };
            text += &format!("| {shown} ");
            last = result;
        }
        text += "|\n";
    }
    text
}

/// The file with its tables made anew.
async fn up_to_date(file: &str) -> String {
    let mut file = file.to_owned();
    for table in tables() {
        let begin = format!("<!-- table: {} -->\n", table.name);
        let (before, rest) = file.split_once(&begin).expect("a marker for each table");
        let (_, after) = rest
            .split_once("<!-- end -->")
            .expect("an end of each table");
        file = format!(
            "{before}{begin}{}<!-- end -->{after}",
            markdown(&table).await
        );
    }
    file
}

#[tokio::test]
async fn the_tables_are_up_to_date() {
    document::is_up_to_date("compatibility", up_to_date).await;
}

#[test]
fn no_call_is_left_out() {
    let rows: Vec<_> = tables().into_iter().flat_map(|table| table.rows).collect();
    let told: HashSet<_> = rows.iter().map(Row::route).collect();
    for (method, template) in routes::calls() {
        let route = (method.to_owned(), template.to_owned());
        assert!(told.contains(&route), "{method} {template} is in no table");
    }
}

#[tokio::test]
async fn no_value_is_left_out() {
    let config = configuration("");
    for call in CALLS {
        let refused = result(&call.row("WRONG"), &config, false).await;
        let values = format!(" must be one of {}", call.values.join(", "));
        assert!(refused.ends_with(&values), "{}: {refused}", call.path);
    }
}
