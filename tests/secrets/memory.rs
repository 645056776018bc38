//! Memory of a running gateway: it has the secrets that it needs, and nothing else of the files that it
//! read.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

use super::{PLANTED, Planted, photo, secret, stop};
use crate::{
    harness::{Upstream, confirms},
    process::send,
};

/// What a process can write, piece by piece.
fn memory(process: u32) -> Vec<Vec<u8>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let writable = maps.lines().filter(|line| line.contains(" rw"));
    let pieces = writable.map(|line| {
        let (begin, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [begin, end] = [begin, end].map(|at| u64::from_str_radix(at, 16).unwrap());
        let mut piece = vec![0; usize::try_from(end - begin).unwrap()];
        memory.read_exact_at(&mut piece, begin).unwrap();
        piece
    });
    pieces.collect()
}

#[tokio::test]
async fn what_is_not_needed_any_more_is_wiped() {
    let upstream = Upstream::start(confirms(r#"{"visibility":{"profile":"all"}}"#)).await;
    let planted = Planted::new(&upstream.base_url, "json", "");
    let path = planted.0.path().join("gateway.toml");
    let text = fs::read_to_string(&path).unwrap();
    // An escape makes a copy of the text; a comment is never copied.
    let escaped = text.replacen("planted-", "planted\\u002d", 1);
    assert_ne!(escaped, text);
    fs::write(&path, escaped + "# comment-that-stays\n").unwrap();

    let (gateway, address) = planted.serve().await;
    assert!(send(address, photo("1")).await.is_success());
    let pieces = memory(gateway.id());
    let count = |text: &str| -> usize {
        let count = |piece| memchr::memmem::find_iter(piece, text).count();
        pieces.iter().map(|piece| count(piece)).sum()
    };
    // Where the others could be seen if they were there.
    for name in ["zapi1", "client1", "ryze1"] {
        assert!(count(&secret(name)) > 0, "{name}");
    }
    for gone in [
        "comment-that-stays",
        "\\u002d",
        &format!("token = \"{PLANTED}"),
    ] {
        assert_eq!(count(gone), 0, "{gone}");
    }
    stop(gateway).await;
}
