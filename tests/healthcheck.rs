//! `healthcheck`, as a probe runs it: its request, its output and its exit code, with valid, broken and
//! missing configurations.

use std::{net::SocketAddr, path::Path};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket},
};

use crate::{
    harness::{Message, Setup, soon},
    process::{Ended, Process, fifo, file, program},
};

const VARIABLE: &str = "ZAPI_TO_RYZE_CONFIG";

/// A gateway without calls, with more lines for its table `server`, and its admin listener.
async fn gateway(server: &'static str) -> (Process, SocketAddr) {
    let setup = Setup {
        server,
        ..Setup::default()
    };
    let (mut gateway, _) = Process::serve(&setup.toml("http://127.0.0.1:9")).await;
    let admin = gateway.admin_address().await;
    (gateway, admin)
}

/// Asks with a file that holds this text.
async fn ask(text: &str, more: &[&str]) -> Ended {
    let file = file(text);
    let mut command = program(["healthcheck"]);
    command.args(more).arg("--config").arg(file.path());
    Process::start(&mut command).ended().await
}

fn at(listen: impl std::fmt::Display) -> String {
    format!("[admin]\nlisten = \"{listen}\"\n")
}

/// The exit code, and what was told on stdout and then on stderr.
fn told(ended: Ended) -> (i32, String) {
    (ended.code.unwrap(), ended.stdout + &ended.stderr)
}

#[tokio::test]
async fn a_gateway_that_takes_calls_and_one_that_stops() {
    let (gateway, admin) = gateway("[server.drain]\ndelay = \"1h\"").await;
    for (more, path) in [(&[][..], "ready"), (&["--live"], "live")] {
        let answered = format!("http://{admin}/{path} answered 200 OK\n");
        assert_eq!(told(ask(&at(admin), more).await), (0, answered));
    }
    gateway.signal("TERM");
    let refused = format!("http://{admin}/ready answered 503 Service Unavailable\n");
    soon(async { while told(ask(&at(admin), &[]).await) != (1, refused.clone()) {} }).await;
    assert_eq!(ask(&at(admin), &["--live"]).await.code, Some(0));
}

#[tokio::test]
async fn a_file_with_mistakes_elsewhere_is_enough() {
    let (_gateway, admin) = gateway("").await;
    let listen = at(admin);
    for text in [
        format!("[server]\nlisten = 8420\nunheard-of = 1\n{listen}"),
        format!("{listen}allow_remote = 1\n[zapi]\nclient_token = {{ env = \"NOT_SET\" }}\n"),
    ] {
        let answered = format!("http://{admin}/ready answered 200 OK\n");
        assert_eq!(told(ask(&text, &[]).await), (0, answered), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_toml_is_read_as_far_as_possible_and_that_is_said() {
    let (_gateway, admin) = gateway("").await;
    let listen = at(admin);
    for text in [
        format!("[server\n{listen}"),
        format!("{listen}allow_remote = maybe\n[[instances]]\nzapi_instance = \"I1\n"),
        format!("{listen}{listen}"),
    ] {
        let ended = ask(&text, &[]).await;
        let doubt = format!("asking {admin}: the file is not TOML; this is what could be read\n");
        assert_eq!(ended.code, Some(0), "{text}: {ended:?}");
        assert!(ended.stderr.ends_with(&doubt), "{text}: {ended:?}");
    }
}

#[tokio::test]
async fn an_address_of_every_interface_is_asked_on_this_machine() {
    let (_gateway, admin) = gateway("").await;
    let everywhere = at(format_args!("0.0.0.0:{}", admin.port()));
    assert_eq!(ask(&everywhere, &[]).await.code, Some(0));
    let (_, told) = told(ask(&at(format_args!("[::]:{}", admin.port())), &[]).await);
    let address = format!("http://[::1]:{}/ready", admin.port());
    assert!(told.contains(&address), "{told}");
}

#[tokio::test]
async fn without_an_address_the_default_is_asked() {
    const DEFAULT: &str = "127.0.0.1:8421";
    let no_address = "admin.listen in the file is not an address; ";
    let cases = [
        ("", ""),
        ("[admin]\n", ""),
        ("[admin]\nlisten = 8421\n", no_address),
        ("[admin]\nlisten = \"localhost:8421\"\n", no_address),
        ("[[admin]]\n", no_address),
        (
            "[admin]\nlisen = \"127.0.0.1:1\"\n",
            "[admin] in the file has an error; ",
        ),
        ("admin = {\n", "the file is not TOML; "),
        ("{\"admin\": {}}", "the file is not TOML; "),
    ];
    for (text, doubt) in cases {
        let (_, told) = told(ask(text, &[]).await);
        let asked = format!("http://{DEFAULT}/ready ");
        assert!(told.contains(&asked), "{text}: {told}");
        let asking = format!("asking {DEFAULT}: {doubt}this is the default of admin.listen\n");
        assert_eq!(told.contains(&asking), !doubt.is_empty(), "{text}: {told}");
    }
    let (_, told) = told(Process::start(&mut program(["healthcheck"])).ended().await);
    let asking = "asking 127.0.0.1:8421: no configuration file is named; this is the default";
    // A gateway may run there, such as a sandbox in another terminal, whose answer is first.
    assert!(told.contains(asking), "{told}");
}

#[tokio::test]
async fn the_default_does_not_stand_for_a_file_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    for path in [Path::new("/nowhere/gateway.toml"), &fifo(&directory)] {
        let by_flag = &mut program(["healthcheck", "--config"]);
        let by_variable = &mut program(["healthcheck"]);
        for command in [by_flag.arg(path), by_variable.env(VARIABLE, path)] {
            let (code, told) = told(Process::start(command).ended().await);
            let start = format!("{}: error: the file cannot be read", path.display());
            assert!(code == 1 && told.starts_with(&start), "{code}: {told}");
            assert_eq!(told.lines().count(), 1, "{told}");
        }
    }
}

#[tokio::test]
async fn the_variable_names_the_file() {
    let (_gateway, admin) = gateway("").await;
    let file = file(&at(admin));
    let by = |variable: &Path| {
        let mut command = program(["healthcheck"]);
        Process::start(command.env(VARIABLE, variable)).ended()
    };
    assert_eq!(by(file.path()).await.code, Some(0));
}

#[tokio::test]
async fn nobody_there() {
    let socket = TcpSocket::new_v4().unwrap();
    // A bound socket reserves the port, and connections to it are refused.
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (code, told) = told(ask(&at(socket.local_addr().unwrap()), &[]).await);
    assert_eq!(code, 1);
    assert!(told.contains("did not answer: "), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[tokio::test]
async fn somebody_who_is_silent_or_says_something_else() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (code, told_of_silence) = told(ask(&at(silent.local_addr().unwrap()), &[]).await);
    assert_eq!(code, 1);
    assert!(
        told_of_silence.contains("did not answer"),
        "{told_of_silence}"
    );
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = at(other.local_addr().unwrap());
    let answer = async {
        let (mut probe, _) = soon(other.accept()).await.unwrap();
        let request = soon(Message::read(&mut probe)).await.unwrap();
        assert!(request.head.starts_with("GET /ready HTTP/1.1"));
        let not_found = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        probe.write_all(not_found.as_bytes()).await.unwrap();
    };
    let (ended, ()) = tokio::join!(ask(&listen, &[]), answer);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("answered 404"), "{ended:?}");
}
