//! Hostile peers: `callers` exhaust time, connections and places in a queue, `guesses` guess
//! credentials, `ryze` and `fallback` are broken upstreams. The damage of each is bounded, and other
//! clients are served meanwhile. This file has their helper: an upstream that plays a script.

mod callers;
mod fallback;
mod guesses;
mod ryze;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

use crate::harness::Message;

/// Between the bytes of a peer that is slow on purpose.
const PAUSE: Duration = Duration::from_millis(20);
/// More than any peer may send unread: what the gateway and both systems buffer of one message.
const MOST_IN_VAIN: usize = 16 * 1024 * 1024;

/// What an upstream does with a request.
#[derive(Clone, Debug)]
enum Play {
    /// Sends these bytes and waits for the next request.
    Send(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Close(Vec<u8>),
    /// Sends these bytes one by one.
    Trickle(Vec<u8>),
    /// Sends the first bytes, then the others without end.
    Flood(Vec<u8>, &'static [u8]),
}

fn send(text: impl AsRef<[u8]>) -> Play {
    Play::Send(text.as_ref().to_vec())
}

fn close(text: impl AsRef<[u8]>) -> Play {
    Play::Close(text.as_ref().to_vec())
}

/// An upstream that plays, by the number of the request, from 0.
struct Player {
    base_url: String,
    connections: Arc<AtomicUsize>,
    /// Bytes of the longest flood.
    flooded: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Player {
    async fn start(play: impl Fn(usize, &Message) -> Play + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", socket.local_addr().unwrap());
        let (connections, flooded) = (Arc::<AtomicUsize>::default(), Arc::default());
        let (accepted, flood) = (Arc::clone(&connections), Arc::clone(&flooded));
        let (play, requests) = (Arc::new(play), Arc::new(AtomicUsize::new(0)));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = socket.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                let (play, requests) = (Arc::clone(&play), Arc::clone(&requests));
                let flood = Arc::clone(&flood);
                tokio::spawn(async move {
                    while let Some(request) = Message::read(&mut stream).await {
                        let number = requests.fetch_add(1, Ordering::Relaxed);
                        if !perform(&mut stream, play(number, &request), &flood).await {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            base_url,
            connections,
            flooded,
            task,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn flooded(&self) -> usize {
        self.flooded.load(Ordering::Relaxed)
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Plays, and tells whether the connection goes on. The gateway may hang up at any time.
async fn perform(stream: &mut TcpStream, play: Play, flooded: &AtomicUsize) -> bool {
    stream.set_nodelay(true).unwrap();
    match play {
        Play::Send(bytes) => stream.write_all(&bytes).await.is_ok(),
        Play::Close(bytes) => {
            let _ = stream.write_all(&bytes).await;
            false
        }
        Play::Trickle(bytes) => {
            for byte in bytes {
                if stream.write_all(&[byte]).await.is_err() {
                    return false;
                }
                sleep(PAUSE).await;
            }
            true
        }
        Play::Flood(first, others) => {
            let others = others.repeat(4096 / others.len());
            if stream.write_all(&first).await.is_err() {
                return false;
            }
            let mut written = first.len();
            while stream.write_all(&others).await.is_ok() {
                written += others.len();
                flooded.fetch_max(written, Ordering::Relaxed);
            }
            false
        }
    }
}
