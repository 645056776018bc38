//! `[server.tls]`: the files of the certificate and its key, and every way in which they do not go
//! together. How callers are served with them belongs in `https.rs`.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;
use zapi_to_ryze::config::{Problem, print};

use super::{INSTANCE, broken::check, parse, sound};

/// A certificate and its key, each in a file of its own.
struct Files {
    directory: TempDir,
    certificate: String,
    key: String,
}

impl Files {
    fn new() -> Self {
        Self::until(2130)
    }

    /// The certificate expires on 2 January of that year.
    fn until(year: i32) -> Self {
        let mut certificate = CertificateParams::new(["api.z-api.io".to_owned()]).unwrap();
        certificate.not_after = date_time_ymd(year, 1, 2);
        let key = KeyPair::generate().unwrap();
        let files = Self {
            directory: tempfile::tempdir().unwrap(),
            certificate: certificate.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        };
        files.write("tls.crt", &files.certificate);
        files.write("tls.key", &files.key);
        files
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A file that names both, with what its lines announce.
    fn text(&self, [of_certificate, of_key]: [&str; 2]) -> String {
        let path = self.directory.path().display();
        format!(
            "[server.tls]\ncert_file = \"{path}/tls.crt\"{of_certificate}\n\
             key_file = \"{path}/tls.key\"{of_key}\n{INSTANCE}"
        )
    }
}

#[test]
fn a_certificate_with_its_key() {
    let files = Files::new();
    let loaded = sound(&files.text(["", ""]));
    assert_eq!(loaded.warnings, []);
    let tls = loaded.config.server.tls.as_ref().unwrap();
    // 2130-01-02T00:00:00Z
    assert_eq!(tls.not_after, 5_049_216_000);
    assert_eq!(tls.cert_file, files.directory.path().join("tls.crt"));
    assert_eq!(tls.key_file, files.directory.path().join("tls.key"));
    assert_eq!(tls.server.alpn_protocols, [b"http/1.1"]);
    let printed = print(&loaded.config);
    assert_eq!(print(&sound(&printed).config), printed);
}

#[test]
fn nothing_of_the_key_is_printed() {
    let files = Files::new();
    let config = sound(&files.text(["", ""])).config;
    let printed = format!("{config:?} {config:#?} {}", print(&config));
    assert!(printed.contains("tls.key"), "{printed}");
    for line in files.key.lines() {
        assert!(!printed.contains(line), "{line}");
    }
    // What derives it shows the key as numbers.
    assert!(!printed.contains("SigningKey") && !printed.contains("ServerConfig"));
}

#[test]
fn a_key_that_others_may_read_is_warned_of() {
    let files = Files::new();
    let path = files.directory.path().join("tls.key");
    for (mode, is_warned_of) in [
        (0o400, false),
        (0o640, false),
        (0o660, true),
        (0o644, true),
        (0o601, true),
    ] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let warnings = sound(&files.text(["", ""])).warnings;
        let found: Vec<_> = warnings
            .iter()
            .map(|Problem { line, key, .. }| (*line, key.as_str()))
            .collect();
        let expected: &[_] = &[(Some(3), "server.tls.key_file")];
        assert_eq!(found, &expected[..usize::from(is_warned_of)], "{mode:o}");
    }
}

#[test]
fn a_certificate_that_has_expired_is_warned_of_wherever_it_is_in_the_chain() {
    // 2131-01-02T00:00:00Z and 2020-01-02T00:00:00Z
    let (late, past) = (5_080_752_000, 1_577_923_200);
    for (years, not_after, expired) in [
        ([2132, 2131], late, None),
        ([2020, 2131], past, Some(1)),
        ([2131, 2020], past, Some(2)),
    ] {
        let [files, issuer] = years.map(Files::until);
        files.write(
            "tls.crt",
            &(files.certificate.clone() + &issuer.certificate),
        );
        let loaded = sound(&files.text(["", ""]));
        assert_eq!(loaded.config.server.tls.unwrap().not_after, not_after);
        let told: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        let warning = expired.map(|number| {
            format!("line 2: server.tls.cert_file: certificate {number} of the file has expired; renew it")
        });
        assert_eq!(told, Vec::from_iter(warning), "{years:?}");
    }
}

#[test]
fn files_that_cannot_be_used() {
    let torn = "-----BEGIN X-----\naHVudGVyMg==\n-----END X-----\n";
    let certificate = torn.replace('X', "CERTIFICATE");
    let key = torn.replace('X', "PRIVATE KEY");
    let encrypted = torn.replace('X', "ENCRYPTED PRIVATE KEY");
    let other = KeyPair::generate().unwrap().serialize_pem();
    let files = Files::new();
    let broken_chain = files.certificate.clone() + &certificate;
    let cases = [
        ("tls.crt", "", "holds no certificate"),
        ("tls.crt", &*files.key, "holds no certificate"),
        (
            "tls.crt",
            &*certificate,
            "certificate 1 of the file is none",
        ),
        (
            "tls.crt",
            &*broken_chain,
            "certificate 2 of the file is none",
        ),
        (
            "tls.crt",
            &*torn.replace('X', "CERTIFICATE").replace('=', "!"),
            "cannot be read",
        ),
        ("tls.key", "", "holds no private key"),
        ("tls.key", &*files.certificate, "holds no private key"),
        ("tls.key", &*encrypted, "without a passphrase"),
        ("tls.key", &*key, "cannot be used"),
        ("tls.key", &*key.replace('=', "!"), "the file is broken"),
        (
            "tls.key",
            &*other,
            "does not belong to the first certificate of server.tls.cert_file",
        ),
    ];
    for (name, text, part) in cases {
        let files = Files::new();
        files.write(name, text);
        let (of_certificate, of_key) = match name {
            "tls.crt" => (format!(" #! server.tls.cert_file: {part}"), String::new()),
            _ => (String::new(), format!(" #! server.tls.key_file: {part}")),
        };
        check(&files.text([&of_certificate, &of_key]));
    }
    for (name, problem) in [
        ("tls.crt", [" #! server.tls.cert_file: cannot be read", ""]),
        ("tls.key", ["", " #! server.tls.key_file: cannot be read"]),
    ] {
        let files = Files::new();
        fs::remove_file(files.directory.path().join(name)).unwrap();
        check(&files.text(problem));
    }
}

#[test]
fn no_byte_of_a_key_is_in_an_error() {
    let files = Files::new();
    // Without line ends the whole file is one line, which the parser's error quotes.
    let line = files.key.replace('\n', "");
    for held in [
        line.clone(),
        line.replace("-----END", "x\n-----END"),
        files.key.replace("\n-----END", "\n-----END "),
    ] {
        for name in ["tls.crt", "tls.key", "ca.pem"] {
            let files = Files::new();
            let path = files.write(name, &held);
            let text = match name {
                "ca.pem" => format!("ryze.ca_file = {path:?}{INSTANCE}"),
                _ => files.text(["", ""]),
            };
            let problems = parse(&text).unwrap_err();
            let [problem] = &problems[..] else {
                panic!("{problems:#?}")
            };
            let known = [
                "the file cannot be read (it is not PEM); name a PEM file with the certificate",
                "the file cannot be read (it is not PEM); name a PEM file with certificates",
                "the file is broken; name a PEM file with the private key",
                "the file holds no certificate; name a PEM file that does",
                "the file holds no private key; name a PEM file that does, without a passphrase",
            ];
            assert!(known.contains(&&*problem.message), "{name}: {problem}");
        }
    }
}

#[test]
fn keys_that_are_missing_or_do_not_go_together() {
    check(&format!(
        "[server.tls] #! server.tls.cert_file: missing #! server.tls.key_file: missing{INSTANCE}"
    ));
    let files = Files::new();
    let text = files.text(["", ""]);
    for left_out in ["cert_file", "key_file"] {
        let lines = text.lines().filter(|line| !line.starts_with(left_out));
        let problems = parse(&lines.collect::<Vec<_>>().join("\n")).unwrap_err();
        let [problem] = &problems[..] else {
            panic!("{problems:#?}")
        };
        assert_eq!(problem.key, format!("server.tls.{left_out}"));
    }
    check(&format!(
        "server.listen = \"unix:/run/x.sock\" #! server.listen: remove [server.tls]\n{text}"
    ));
}
