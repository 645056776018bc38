//! `serve --sandbox` and `sandbox`: in-memory upstreams, with the addresses and calls to try them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::{Exit, FAILURE, USAGE, announce, arguments::SandboxArgs, print, print_error};
use crate::{
    app::{self, Bound, Stop},
    config::{self, Config, Listen, Mode},
    sandbox::{self, Sandbox, Window, Zapi},
    server, telemetry,
};

/// The address of `serve --sandbox`. If the port is in use, it listens on a free one.
pub(super) const SANDBOX_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8420);
/// An address with a port that is free.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Runs the gateway between an in-memory Ryze and an in-memory Z-API. It listens on `listen`, by default on
/// [`SANDBOX_LISTEN`].
pub(super) async fn serve(listen: Option<String>) -> Result<(), Exit> {
    let listen: Option<SocketAddr> = match listen.map(|listen| listen.parse()) {
        Some(Err(_)) => {
            print_error(
                "error: write an IP address and a port in --listen, as in 127.0.0.1:8420: the sandbox has no socket file",
            );
            return Err(Exit::Reported(USAGE));
        }
        listen => listen.transpose()?,
    };
    let ryze = server::bind(ANY).await?;
    let zapi = server::bind(ANY).await?;
    let upstreams = (ryze.local_addr()?, zapi.local_addr()?);
    let address = listen.unwrap_or(SANDBOX_LISTEN);
    let mut config = config::sandbox(address, upstreams.0, upstreams.1);
    let (_log, _) = telemetry::start(&config.log)?;
    let instances = config.instances.iter().map(|instance| {
        let token = instance.ryze_token.expose().to_owned();
        (instance.ryze_instance.to_string(), token)
    });
    let options = sandbox::Options {
        instances: instances.collect(),
        ..sandbox::Options::default()
    };
    tokio::spawn(Sandbox::new(options).serve(ryze));
    tokio::spawn(Zapi::default().serve(zapi));
    let gateway = start(&mut config, listen.is_some()).await?;
    announce(&gateway.address);
    print(try_it(&config, &gateway, upstreams));
    Ok(gateway.run().await?)
}

/// Starts the gateway, on free ports in place of default ones that are in use.
async fn start(config: &mut Config, is_chosen: bool) -> Result<Bound, app::Error> {
    // Without the page half of the sandbox could not be seen.
    config.admin.is_optional = false;
    loop {
        let error = match app::start(config).await {
            Err(app::Error::Server(error))
                if !is_chosen && is_in_use(&error, &config.server.listen) =>
            {
                config.server.listen = Listen::Tcp(ANY);
                error
            }
            Err(app::Error::Admin(error))
                if is_in_use(&error, &Listen::Tcp(config.admin.listen)) =>
            {
                config.admin.listen = ANY;
                error
            }
            started => return started,
        };
        tracing::warn!(%error, "the sandbox listens on a free port instead");
    }
}

fn is_in_use(error: &io::Error, listen: &Listen) -> bool {
    let has_port = matches!(listen, Listen::Tcp(address) if address.port() != 0);
    has_port && error.kind() == io::ErrorKind::AddrInUse
}

/// The addresses, the instances, and four calls. All but the calls is comments for a shell.
fn try_it(config: &Config, gateway: &Bound, (ryze, zapi): (SocketAddr, SocketAddr)) -> String {
    let address = gateway.address.to_string();
    let page = gateway.admin_address().map(|page| format!("{page}/"));
    let page = page.unwrap_or_default();
    let instance = |mode| config.instances.iter().find(|it| it.mode == mode);
    let names = |mode| {
        let instance = instance(mode);
        instance.map_or(("", ""), |it| (&*it.zapi_instance, it.zapi_token.expose()))
    };
    let (id, token) = names(Mode::Translate);
    let (observed, observed_token) = names(Mode::Observe);
    let (unlisted, unlisted_token) = sandbox::UNLISTED;
    let name = instance(Mode::Translate).map_or("", |it| &it.ryze_instance);
    let base = format!("{address}/instances/{id}/token/{token}");
    let json = "-H 'Content-Type: application/json'";
    let photo =
        format!(r#"-i {base}/privacy/photo {json} -d '{{"visualizationType":"CONTACTS"}}'"#);
    let control = format!("-X PUT http://{ryze}/sandbox/instances/{name}");
    format!(
        r#"
# The gateway between an in-memory Ryze and an in-memory Z-API. Nothing leaves this machine.
#
#   Gateway  {address:22}  the base URL for your program
#   Page     {page:22}  what the gateway does, for a browser
#   Ryze     http://{ryze:15}  its controls: sandbox --help, docs/sandbox.md
#   Z-API    http://{zapi:15}  answers every call that is not translated
#
#   Instance  Token     Its privacy calls go to
#   {id:8}  {token:8}  Ryze
#   {observed:8}  {observed_token:8}  Z-API, and the page shows what would have happened (mode = "observe")
#   {unlisted:8}  {unlisted_token:8}  Z-API: it is not in the configuration
#
# Paste these lines into another terminal, and watch the page.

# 1. A privacy call. Ryze hides the profile photo from all but contacts: 200.
curl {photo}

# 2. A message. Z-API sends it: 200.
curl -i {base}/send-text {json} -d '{{"phone":"5511999999999","message":"hello"}}'

# 3. A list of contacts. Ryze cannot change lists, so the gateway changes nothing and says so: 422.
#    (policy.contacts_blacklist = "fallback" lets Z-API change it. So does {unlisted} in place of {id},
#    with its token: its calls are not translated.)
curl -i {base}/privacy/photo {json} -d '{{"visualizationType":"CONTACT_BLACKLIST","contactsBlacklist":[{{"action":"add","phone":"5544999999999"}}]}}'

# 4. A fault. The account loses its connection to WhatsApp, and the privacy call is refused: 400.
curl -s -o /dev/null {control} -d '{{"connected":false}}' --next {photo}
# It lasts until you connect the account again:
#    curl {control} -d '{{"connected":true}}'
"#
    )
}

/// Runs only the in-memory Ryze.
pub(super) async fn sandbox(arguments: SandboxArgs) -> Result<(), Exit> {
    let mut stop = Stop::new()?;
    let socket = match server::bind(arguments.listen).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            print_error(format_args!(
                "error: {error}; choose another address, as in --listen {ANY} for a free port"
            ));
            return Err(Exit::Reported(FAILURE));
        }
        socket => socket?,
    };
    let address = socket.local_addr()?;
    announce(format_args!("http://{address}"));
    print(sandbox::usage(address));
    let ryze = Sandbox::new(sandbox::Options {
        requests_per_minute: arguments.requests_per_minute,
        window: if arguments.sliding_window {
            Window::Sliding
        } else {
            Window::Fixed
        },
        latency: Duration::from_millis(arguments.latency_ms.into()),
        ..sandbox::Options::default()
    });
    tokio::select! {
        () = ryze.serve(socket) => (),
        () = stop.signalled() => (),
    }
    Ok(())
}
