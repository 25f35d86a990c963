//! A plain TCP proxy, for the connection to MySQL.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use crate::stage::PATIENCE;
use crate::wait::wait_until;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpMode {
    /// Bytes flow.
    Pass,
    /// Open connections are closed, new ones at once.
    Cut,
    /// Connections stay open and no byte flows, in either direction (a half-open connection).
    BlackHole,
}

/// The proxy. Dropping it closes its listener and its connections.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    mode: watch::Sender<TcpMode>,
    accepted: Arc<AtomicU64>,
    upstream: Arc<AtomicU16>,
    listener: JoinHandle<()>,
}

impl TcpProxy {
    /// Starts a proxy in front of a port of 127.0.0.1.
    pub async fn start(upstream: u16) -> Self {
        Self::start_on("127.0.0.1", upstream).await
    }

    /// The same on another address of this machine, for those who cannot reach 127.0.0.1: pods.
    pub async fn start_on(address: &str, upstream: u16) -> Self {
        Self::open(address, upstream, Duration::ZERO).await
    }

    /// A proxy that gives what the server says on so much later, as a network does.
    pub async fn far(upstream: u16, delay: Duration) -> Self {
        Self::open("127.0.0.1", upstream, delay).await
    }

    async fn open(address: &str, upstream: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mode = watch::Sender::new(TcpMode::Pass);
        let accepted = Arc::new(AtomicU64::new(0));
        let upstream = Arc::new(AtomicU16::new(upstream));
        let task = accept(listener, (Arc::clone(&upstream), delay), mode.clone(), Arc::clone(&accepted));
        Self { address, mode, accepted, upstream, listener: tokio::spawn(task) }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes what happens, to open connections too.
    pub fn set(&self, mode: TcpMode) {
        self.mode.send_replace(mode);
    }

    /// Breaks all open connections; new ones pass.
    pub async fn cut(&self) {
        self.set(TcpMode::Cut);
        wait_until("all connections are broken", PATIENCE, async || {
            // each connection watches the mode
            let open = self.mode.receiver_count();
            if open == 0 { Ok(()) } else { Err(format!("{open} are open")) }
        })
        .await;
        self.set(TcpMode::Pass);
    }

    /// Connections from now on lead to another port, as after a failover; open ones stay where they are.
    pub fn redirect(&self, upstream: u16) {
        self.upstream.store(upstream, Ordering::Relaxed);
    }

    /// Number of connections that were ever opened.
    pub fn connections(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.set(TcpMode::Cut);
    }
}

async fn accept(
    listener: TcpListener,
    (upstream, delay): (Arc<AtomicU16>, Duration),
    mode: watch::Sender<TcpMode>,
    accepted: Arc<AtomicU64>,
) {
    while let Ok((client, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        let mut cut = mode.subscribe();
        let (mode, upstream) = (mode.clone(), (upstream.load(Ordering::Relaxed), delay));
        tokio::spawn(async move {
            tokio::select! {
                // A broken connection is what this proxy is for.
                _ = connect(client, upstream, &mode) => {}
                _ = cut.wait_for(|mode| *mode == TcpMode::Cut) => {}
            }
        });
    }
}

async fn connect(
    client: TcpStream,
    (upstream, delay): (u16, Duration),
    mode: &watch::Sender<TcpMode>,
) -> std::io::Result<()> {
    flowing(mode).await;
    let server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Either side's end is the connection's end.
    tokio::select! {
        end = pump(from_client, to_server, mode, Duration::ZERO) => end,
        end = pump(from_server, to_client, mode, delay) => end,
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mode: &watch::Sender<TcpMode>,
    delay: Duration,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let size = from.read(&mut buffer).await?;
        flowing(mode).await;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await; // the way of the bytes
        }
        if size == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..size]).await?;
    }
}

async fn flowing(mode: &watch::Sender<TcpMode>) {
    let _ = mode.subscribe().wait_for(|mode| *mode == TcpMode::Pass).await;
}
