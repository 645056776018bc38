//! Files that `include` names, as TOML and as CSV: their instances, and mistakes with their own file and
//! line.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use tempfile::TempDir;
use zapi_to_ryze::config::{self, Loaded, Mode, Problem};

use crate::process::{Process, program};

const MAIN: &str = r#"
include = ["instances.d/*.toml", "more.csv"]
[fallback]
base_url = "https://api.z-api.io"
[zapi]
client_token = "client-hunter2"
[ryze]
token = "ryze-hunter2"
"#;

fn instance(id: &str) -> String {
    format!(
        "[[instances]]\nzapi_instance = \"{id}\"\nzapi_token = \"zapi-hunter2\"\nryze_instance = \"{id}\"\n"
    )
}

/// A folder with a configuration and other files.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path("instances.d")).unwrap();
        for (name, text) in files {
            fs::write(folder.path(name), text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Loaded, Vec<Problem>> {
        config::load(&self.path("gateway.toml"))
    }

    /// The instances in their order, if there is no problem.
    fn ids(&self) -> Vec<String> {
        let loaded = self.load().unwrap_or_else(|it| panic!("{it:#?}"));
        let instances = loaded.config.instances.into_iter();
        instances.map(|it| it.zapi_instance.to_string()).collect()
    }

    /// Each problem as `file:line: key: message`, with the name of the file alone.
    fn problems(&self) -> Vec<String> {
        let problems = self.load().unwrap_err().into_iter();
        let told = problems.map(|it| {
            let file = it.file.as_ref().map_or("gateway.toml".into(), |path| {
                path.file_name().unwrap().to_string_lossy().into_owned()
            });
            let line = it.line.map_or(String::new(), |line| line.to_string());
            format!("{file}:{line}: {}: {}", it.key, it.message)
        });
        let told: Vec<_> = told.collect();
        assert!(!told.join("\n").contains("hunter2"), "{told:#?}");
        told
    }
}

/// Checks that each problem begins so, and that there are no others.
#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let problems = Folder::new(files).problems();
    let fit = problems.iter().zip(expected);
    let all = fit.filter(|(problem, begin)| problem.starts_with(**begin));
    assert!(
        all.count() == expected.len() && problems.len() == expected.len(),
        "{problems:#?}\n{expected:#?}"
    );
}

#[test]
fn the_files_are_read_in_order_and_have_the_defaults_of_the_configuration() {
    let own = instance("own");
    let folder = Folder::new(&[
        ("gateway.toml", &format!("{MAIN}{own}")),
        ("instances.d/20.toml", &(instance("c") + &instance("d"))),
        (
            "instances.d/10.toml",
            &(instance("b") + "mode = \"observe\"\n"),
        ),
        ("instances.d/.10.toml.swp.toml", "not TOML"),
        ("instances.d/README", "not TOML"),
        ("instances.d/30.toml", ""),
        (
            "more.csv",
            "zapi_instance,zapi_token,ryze_instance\ne,zapi-hunter2,e\n",
        ),
    ]);
    assert_eq!(folder.ids(), ["own", "b", "c", "d", "e"]);
    let config = folder.load().unwrap().config;
    for instance in &config.instances {
        assert_eq!(instance.ryze_token.expose(), "ryze-hunter2");
        assert_eq!(
            instance.client_token.as_ref().unwrap().expose(),
            "client-hunter2"
        );
    }
    assert_eq!(config.instances[1].mode, Mode::Observe);
}

#[test]
fn a_file_that_two_patterns_name_is_read_once_and_a_pattern_may_name_none() {
    let include = "include = [\"instances.d/a.toml\", \"instances.d/*.toml\", \"none.d/*.csv\"]\n";
    let folder = Folder::new(&[
        ("gateway.toml", &(include.to_owned() + &instance("own"))),
        ("instances.d/a.toml", &instance("a")),
        ("instances.d/b.toml", &instance("b")),
    ]);
    let problems = folder.problems();
    assert_eq!(problems.len(), 3, "no Ryze token: {problems:#?}");
    assert!(problems[1].starts_with("a.toml:1: instances[1].ryze_token: there is none"));
}

#[test]
fn a_csv_row_is_an_instance() {
    let folder = Folder::new(&[
        ("gateway.toml", MAIN),
        ("token", "from-file\n"),
        (
            "more.csv",
            "\u{feff}# Customers\r\n\r\nryze_instance; zapi_instance;zapi_token;ryze_token;mode;shared\r\n\
             \"a; \"\"b\"\"\";A;plain;env:PATH;;true\r\n\r\n# none\r\nb;B;env:PATH;plain;observe;\r\n",
        ),
    ]);
    let config = folder.load().unwrap().config;
    let path = std::env::var("PATH").unwrap();
    let shared: Vec<_> = config.instances.iter().map(|it| it.shared).collect();
    assert_eq!(shared, [true, false]);
    let shown: Vec<_> = config
        .instances
        .iter()
        .map(|it| {
            let tokens = [&it.zapi_token, &it.ryze_token].map(|token| token.expose());
            (&*it.zapi_instance, &*it.ryze_instance, tokens, it.mode)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("A", "a; \"b\"", ["plain", &path], Mode::Translate),
            ("B", "b", [&*path, "plain"], Mode::Observe),
        ]
    );
}

#[test]
fn a_csv_token_may_be_in_a_file() {
    let folder = Folder::new(&[("token", "from-file\n")]);
    let csv = format!(
        "zapi_instance\tzapi_token\tryze_instance\nA\tfile:{}\ta\n",
        folder.path("token").display()
    );
    fs::write(folder.path("gateway.toml"), MAIN).unwrap();
    fs::write(folder.path("more.csv"), csv).unwrap();
    let config = folder.load().unwrap().config;
    assert_eq!(config.instances[0].zapi_token.expose(), "from-file");
}

#[test]
fn mistakes_in_included_files_have_their_own_file_and_line() {
    let wrong = "\n[[instances]]\nzapi_instance = \"b\"\nzapi_token = 1\nunheard = 1\n";
    let csv = "zapi_instance,zapi_token,ryze_instance,mode\n\
               c,zapi-hunter2,c,\n\n# comment\n\
               own,zapi-hunter2,d,watch\n\
               e,env:UNHEARD_OF\n\
               \"f\ng\",zapi-hunter2,f,translate\n\
               g,env:UNHEARD_OF,,\n";
    check(
        &[
            ("gateway.toml", &(MAIN.to_owned() + &instance("own"))),
            (
                "instances.d/1.toml",
                "[server]\ninclude = []\n[[instances]]\n= 1\n",
            ),
            ("instances.d/2.toml", wrong),
            ("instances.d/3.toml", "[server]\n[[instance]]\n"),
            ("instances.d/4.toml", &instance("own")),
            ("instances.d/5.toml", "include = [\"x\"]\n"),
            ("more.csv", csv),
        ],
        &[
            "1.toml:4: : not TOML",
            "2.toml:2: instances[1].ryze_instance: missing",
            "2.toml:4: instances[1].zapi_token: must be a secret",
            "2.toml:5: instances[1].unheard: unknown key",
            "3.toml:1: server: unknown key; remove it, or write one of instances",
            "3.toml:2: instance: unknown key; did you mean `instances`?",
            "4.toml:2: instances[2].zapi_instance: is instances[0].zapi_instance (line 10) too",
            "4.toml:4: instances[2].ryze_instance: write `shared = true` in both tables if it is meant: \
             instances[0].ryze_instance (line 12) is the same",
            "5.toml:1: include: unknown key; remove it, or write one of instances",
            "more.csv:5: instances[4].mode: must be \"translate\" or \"observe\"",
            "more.csv:5: instances[4].zapi_instance: is instances[2].zapi_instance (",
            "more.csv:6: : the row has 2 cells and the header 4",
            "more.csv:7: instances[5].zapi_instance: ",
            "more.csv:9: instances[6].zapi_token: the environment variable \"UNHEARD_OF\" is not set",
            "more.csv:9: instances[6].ryze_instance: missing",
        ],
    );
}

#[test]
fn a_csv_header_is_checked_once() {
    let rows = "1,2,3\n".repeat(100);
    let header = |header: &str| header.to_owned() + "\n" + &rows;
    let with = |text: &str, expected: &[&str]| {
        check(&[("gateway.toml", MAIN), ("more.csv", text)], expected);
    };
    with(
        &header("zapi_instace,zapi_token,zapi_token"),
        &[
            "more.csv:1: : column 1 has an unknown name; did you mean `zapi_instance`?",
            "more.csv:1: zapi_token: stands twice",
            "more.csv:1: zapi_instance: the header has no such column",
            "more.csv:1: ryze_instance: the header has no such column",
        ],
    );
    // A file without a header.
    with(
        "id,zapi-hunter2,hunter2\n",
        &[
            "more.csv:1: : column 1 has an unknown name; remove it, or write one of zapi_instance, ",
            "more.csv:1: : column 2 has an unknown name",
            "more.csv:1: : column 3 has an unknown name",
            "more.csv:1: zapi_instance: the header",
            "more.csv:1: zapi_token: the header",
            "more.csv:1: ryze_instance: the header",
        ],
    );
}

#[test]
fn mistakes_in_the_list_are_at_its_line() {
    let with = |include: &str, expected: &str| {
        let text = format!("\n{include}\n{}", instance("own") + "ryze_token = \"t\"\n");
        check(&[("gateway.toml", &text)], &[expected]);
    };
    with(
        "include = \"instances.d/*.toml\"",
        "gateway.toml:2: include: must be a list of files with instances; write [",
    );
    with(
        "include = [1]",
        "gateway.toml:2: include: must be a list of files",
    );
    with(
        "include = [\"a[\"]",
        "gateway.toml:2: include: must be a list of files",
    );
    with(
        "include = [\"/**/x.toml\"]",
        "gateway.toml:2: include: `**` would search whole folders",
    );
    with(
        "include = [\"nowhere.toml\"]",
        "gateway.toml:2: include: the file ",
    );
    with(
        "include = [\"instances.?\"]",
        "gateway.toml:2: include: the file ",
    );
    with(
        "[server]\ninclude = [\"x\"]",
        "gateway.toml:3: server.include: stands in a table; write it above the first table",
    );
    check(
        &[("gateway.toml", "include = [\"none/*\"]\n")],
        &["gateway.toml:1: include: no file has an instance; write `[[instances]]` there, or"],
    );
    let folder = Folder::new(&[(
        "gateway.toml",
        "include = [\"none/*\"]\n[fallback]\nbase_url = \"http://x\"",
    )]);
    assert_eq!(folder.ids(), [""; 0]);
}

#[tokio::test]
async fn check_names_the_included_file() {
    let folder = Folder::new(&[
        ("gateway.toml", MAIN),
        ("instances.d/a.toml", "\nunheard = 1\n"),
        ("more.csv", ""),
    ]);
    let mut command = program(["check", "--config"]);
    let ended = Process::start(command.arg(folder.path("gateway.toml")))
        .ended()
        .await;
    assert_eq!(ended.code, Some(64), "{ended:?}");
    let file = folder.path("instances.d/a.toml").display().to_string();
    assert!(
        ended.stderr.starts_with(&format!("{file}:2: ✗ unheard: ")),
        "{ended:?}"
    );
}

#[test]
fn secrets_in_an_included_file_that_others_can_read_are_warned_of() {
    let folder = Folder::new(&[
        ("gateway.toml", MAIN),
        ("instances.d/a.toml", &instance("a")),
        (
            "more.csv",
            "zapi_instance,zapi_token,ryze_instance\nb,env:PATH,b\n",
        ),
    ]);
    for name in ["gateway.toml", "instances.d/a.toml", "more.csv"] {
        fs::set_permissions(folder.path(name), Permissions::from_mode(0o644)).unwrap();
    }
    let warned = folder.load().unwrap().warnings.into_iter();
    let warned: Vec<_> = warned
        .filter(|it| it.message.starts_with("chmod 640"))
        .map(|it| it.file.and_then(|file| Some(file.file_name()?.to_owned())))
        .collect();
    assert_eq!(warned, [Some("a.toml".into()), None]);
}
