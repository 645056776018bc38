//! A Z-API that has the lists of contacts of one account, for the client's calls that go to it.

use std::{
    collections::{BTreeSet, HashMap},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use serde_json::{Value, json};

/// Lists by the word of `disallowed-contacts`.
type Lists = HashMap<String, BTreeSet<String>>;

/// Starts it and returns its base URL. It ends with the process of the test.
pub fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut lists = Lists::new();
        for stream in listener.incoming() {
            serve(stream.unwrap(), &mut lists);
        }
    });
    base_url
}

/// Answers one request and closes the connection.
fn serve(stream: TcpStream, lists: &mut Lists) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let target = line.split(' ').nth(1).unwrap().to_owned();
    let (mut length, mut has_token) = (0, false);
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let header = line.trim_end().to_ascii_lowercase();
        match header.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("client-token", value)) => has_token = value == "client-token",
            Some(_) => (),
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = match target.strip_prefix("/instances/zapi-instance/token/zapi-token/privacy/") {
        Some(call) if has_token => answer(call, &body, lists),
        _ => json!({"error": "NOT_FOUND"}),
    };
    let (answer, mut stream) = (answer.to_string(), reader.into_inner());
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    write!(
        stream,
        "{head}\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    )
    .unwrap();
}

fn answer(call: &str, body: &[u8], lists: &mut Lists) -> Value {
    if let Some(list) = call.strip_prefix("disallowed-contacts?type=") {
        let contacts = lists.get(list).cloned().unwrap_or_default();
        return json!({"disallowedContacts": contacts});
    }
    let list = match call {
        "photo" => "photo",
        "last-seen" => "lastSeen",
        "description" => "description",
        "group-add" => "groupAdd",
        _ => return json!({"error": "NOT_FOUND"}),
    };
    let body: Value = serde_json::from_slice(body).unwrap();
    let list = lists.entry(list.into()).or_default();
    for contact in body["contactsBlacklist"].as_array().unwrap() {
        let phone = contact["phone"].as_str().unwrap();
        if phone == "0" {
            return json!({"error": "Invalid phone"});
        }
        match contact["action"].as_str().unwrap() {
            "add" => drop(list.insert(phone.into())),
            _ => drop(list.remove(phone)),
        }
    }
    json!({"success": true})
}
