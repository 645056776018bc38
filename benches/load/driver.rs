//! Both ends of the load that `benches/load/run` puts on a proxy: the upstream behind it and the
//! callers in front of it.
//!
//! Made to cost less than what is measured. What that is, and how the numbers are read, is in the
//! script.

mod message;

use std::{
    io::{self, Read as _},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use clap::{Args, Parser};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What every caller asks for.
const REQUEST_BODY: &str = r#"{"visualizationType":"CONTACTS"}"#;

/// What the upstream answers: an update that confirms the [`REQUEST_BODY`].
const ANSWER_BODY: &str = r#"{"success":true,"message":"Privacy settings updated successfully","settings":{"visibility":{"lastSeen":"all","status":"all","profile":"contacts","online":"all"},"privacy":{"readReceipts":"all"},"permissions":{"callAdd":"all","groupAdd":"all"}}}"#;

#[derive(Parser)]
enum Command {
    /// Answers every request, whatever its path, with a confirmed update, until it is killed.
    Upstream {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Sends requests as fast as they are answered and prints one JSON line of results.
    Drive {
        #[command(flatten)]
        callers: Callers,
        #[arg(long)]
        requests: usize,
    },
    /// Sends one request on each connection, prints `held` and keeps them open until stdin ends.
    Hold {
        #[command(flatten)]
        callers: Callers,
    },
}

#[derive(Args)]
struct Callers {
    #[arg(long)]
    target: SocketAddr,
    #[arg(long)]
    connections: usize,
    /// How many instances the target serves, named I0/T0, I1/T1 and so on.
    #[arg(long)]
    instances: usize,
}

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    match Command::parse() {
        Command::Upstream { listen } => runtime.block_on(upstream(listen)),
        Command::Drive { callers, requests } => runtime.block_on(drive(&callers, requests)),
        Command::Hold { callers } => {
            let held = runtime.block_on(hold(&callers))?;
            println!("held");
            // Nothing is left to run: the runtime's only thread may block.
            io::stdin().read_to_end(&mut Vec::new())?;
            drop(held);
            Ok(())
        }
    }
}

async fn upstream(listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that fails shows as a failed request at the callers.
        tokio::spawn(answer_requests(stream));
    }
}

async fn answer_requests(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let (mut answer, mut formatted_in) = (Vec::new(), None);
    while message::read(&mut stream, &mut request).await? {
        let now = SystemTime::now();
        let second = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        if formatted_in.replace(second) != Some(second) {
            answer = format!(
                "HTTP/1.1 200 OK\r\nDate: {}\r\nContent-Type: application/json\r\n\
                 X-RateLimit-Limit: 1000000\r\nX-RateLimit-Remaining: 1000000\r\n\
                 X-RateLimit-Reset: {}\r\nContent-Length: {}\r\n\r\n{ANSWER_BODY}",
                httpdate::fmt_http_date(now),
                second + 60,
                ANSWER_BODY.len(),
            )
            .into_bytes();
        }
        stream.write_all(&answer).await?;
    }
    Ok(())
}

async fn drive(callers: &Callers, requests: usize) -> io::Result<()> {
    let Callers {
        target,
        connections,
        instances,
    } = *callers;
    if connections == 0 || instances < connections {
        return Err(io::Error::other(
            "each connection needs an instance of its own",
        ));
    }
    let mut connected = Vec::with_capacity(connections);
    for first in 0..connections {
        let own = (first..instances).step_by(connections);
        connected.push(Caller::connect(target, own).await?);
    }

    let remaining = Arc::new(AtomicUsize::new(requests));
    let started = Instant::now();
    let mut running: JoinSet<_> = connected
        .into_iter()
        .map(|caller| caller.run(Arc::clone(&remaining)))
        .collect();
    let (mut latencies, mut failed) = (Vec::with_capacity(requests), 0);
    while let Some(finished) = running.join_next().await {
        let (own_latencies, own_failed) = finished??;
        latencies.extend(own_latencies);
        failed += own_failed;
    }
    let elapsed = started.elapsed().as_secs_f64();

    latencies.sort_unstable();
    let percentile = |percent| {
        latencies
            .get(latencies.len() * percent / 100)
            .map_or(0, Duration::as_micros)
    };
    println!(
        r#"{{"failed":{failed},"per_second":{:.0},"p50_us":{},"p99_us":{}}}"#,
        latencies.len() as f64 / elapsed,
        percentile(50),
        percentile(99),
    );
    Ok(())
}

async fn hold(callers: &Callers) -> io::Result<Vec<Caller>> {
    let mut held = Vec::with_capacity(callers.connections);
    for instance in (0..callers.instances).cycle().take(callers.connections) {
        let mut caller = Caller::connect(callers.target, [instance]).await?;
        if !caller.call(0).await? {
            return Err(io::Error::other("a call was not answered with 200"));
        }
        held.push(caller);
    }
    Ok(held)
}

/// One keep-alive connection and the calls that it makes in turn.
struct Caller {
    stream: TcpStream,
    requests: Vec<Vec<u8>>,
    answer: Vec<u8>,
}

impl Caller {
    async fn connect(
        target: SocketAddr,
        instances: impl IntoIterator<Item = usize>,
    ) -> io::Result<Self> {
        let request = |instance| {
            format!(
                "POST /instances/I{instance}/token/T{instance}/privacy/photo HTTP/1.1\r\n\
                 Host: gateway\r\nContent-Type: application/json\r\nClient-Token: client-token\r\n\
                 Content-Length: {}\r\n\r\n{REQUEST_BODY}",
                REQUEST_BODY.len(),
            )
            .into_bytes()
        };
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        let requests = instances.into_iter().map(request).collect();
        Ok(Self {
            stream,
            requests,
            answer: Vec::new(),
        })
    }

    /// Calls until nothing remains; returns how long each call took and how many were not
    /// answered with 200.
    async fn run(mut self, remaining: Arc<AtomicUsize>) -> io::Result<(Vec<Duration>, usize)> {
        let (mut latencies, mut failed) = (Vec::new(), 0);
        let take_one = |left: usize| left.checked_sub(1);
        while remaining
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one)
            .is_ok()
        {
            let started = Instant::now();
            let succeeded = self.call(latencies.len() % self.requests.len()).await?;
            latencies.push(started.elapsed());
            failed += usize::from(!succeeded);
        }
        Ok((latencies, failed))
    }

    /// Makes one of its calls; returns whether the answer's status is 200.
    async fn call(&mut self, index: usize) -> io::Result<bool> {
        self.stream.write_all(&self.requests[index]).await?;
        if !message::read(&mut self.stream, &mut self.answer).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.answer.starts_with(b"HTTP/1.1 200 "))
    }
}
