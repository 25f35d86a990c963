//! A proxy in front of the search server that misbehaves on demand.

use crate::message::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::io::Result;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// What happens to requests. `share` is the part of the requests that are hit (1.0: all).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// Answered with this status; the server never sees it.
    Status {
        /// The HTTP status code.
        code: u16,
        /// Part of the requests.
        share: f64,
    },
    /// Forwarded, then the connection is closed: the write lands, its answer is lost.
    DropAnswer {
        /// Part of the requests.
        share: f64,
    },
    /// Forwarded at once, answered later.
    DelayAnswer(Duration),
    /// Forwarded later, even if the client has gone by then: the write lands late.
    DelayRequest(Duration),
    /// Read and never answered nor forwarded; the connection is closed when the fault is changed.
    BlackHole,
    /// The connection is closed at once.
    Cut,
}

/// One request that went through, while recording.
#[derive(Clone, Debug)]
pub struct Record {
    /// When the request had arrived.
    pub at: Instant,
    /// `POST /_bulk HTTP/1.1`.
    pub request_line: String,
    /// The request's body.
    pub request: String,
    /// What the server answered, if it was asked and did.
    pub status: Option<u16>,
    /// The answer's body.
    pub answer: String,
}

#[derive(Clone, Debug)]
struct Mode {
    fault: Fault,
    path: String,
    recording: bool,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    mode: watch::Sender<Mode>,
    random: Mutex<StdRng>,
    records: Mutex<Vec<Record>>,
    counts: Mutex<Counts>,
}

/// How many requests there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All requests.
    pub seen: u64,
    /// Those that a fault hit.
    pub hit: u64,
}

/// The proxy. Dropping it closes its listener and its connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy in front of `upstream` (`http://127.0.0.1:9200`) that passes everything.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mode = Mode { fault: Fault::Pass, path: "_bulk".into(), recording: false };
        let shared = Arc::new(Shared {
            upstream: upstream.trim_start_matches("http://").trim_end_matches('/').to_owned(),
            mode: watch::Sender::new(mode),
            random: Mutex::new(StdRng::seed_from_u64(1)),
            records: Mutex::default(),
            counts: Mutex::default(),
        });
        let listener = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, listener }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the fault for `_bulk` requests; all others pass, except for `BlackHole` and `Cut`.
    pub fn set(&self, fault: Fault) {
        self.set_for("_bulk", fault);
    }

    /// Sets the fault for requests whose request line contains `path`.
    pub fn set_for(&self, path: &str, fault: Fault) {
        self.shared.mode.send_modify(|mode| {
            mode.fault = fault;
            path.clone_into(&mut mode.path);
        });
    }

    /// Records `_bulk` requests and their answers from now on (or no longer).
    pub fn record(&self, recording: bool) {
        self.shared.mode.send_modify(|mode| mode.recording = recording);
    }

    /// Takes the records out.
    pub fn take_records(&self) -> Vec<Record> {
        std::mem::take(&mut self.shared.records.lock().unwrap())
    }

    /// Counts since the start.
    pub fn counts(&self) -> Counts {
        *self.shared.counts.lock().unwrap()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.set(Fault::Cut);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut mode = shared.mode.subscribe();
            tokio::select! {
                // A broken connection is what this proxy is for.
                _ = serve(client, &shared) => {}
                _ = mode.wait_for(|mode| mode.fault == Fault::Cut) => {}
            }
        });
    }
}

async fn serve(client: TcpStream, shared: &Shared) -> Result<()> {
    client.set_nodelay(true)?;
    let mut client = BufReader::new(client);
    let mut server: Option<BufReader<TcpStream>> = None;
    while let Some(request) = Message::read(&mut client, false).await? {
        let at = Instant::now();
        let (fault, recording) = shared.choose(&request);
        let answer = match fault {
            Fault::BlackHole => return shared.until_changed(fault).await,
            Fault::Cut => return Ok(()),
            Fault::Status { code, .. } => injected(code),
            Fault::Pass | Fault::DropAnswer { .. } | Fault::DelayAnswer(_) => {
                shared.forward(&mut server, request.clone(), at, recording).await?.bytes()
            }
            Fault::DelayRequest(pause) => {
                sleep(pause).await;
                shared.forward(&mut server, request.clone(), at, recording).await?.bytes()
            }
        };
        match fault {
            Fault::DropAnswer { .. } => return Ok(()),
            Fault::DelayAnswer(pause) => sleep(pause).await,
            _ => {}
        }
        client.write_all(&answer).await?;
    }
    Ok(())
}

impl Shared {
    /// The fault that hits this request, and whether it is to be recorded.
    fn choose(&self, request: &Message) -> (Fault, bool) {
        let mode = self.mode.borrow().clone();
        let recording = mode.recording && request.first_line.contains("_bulk");
        let in_scope = request.first_line.contains(&mode.path);
        let hit = match mode.fault {
            Fault::Pass => false,
            Fault::BlackHole | Fault::Cut => true,
            Fault::Status { share, .. } | Fault::DropAnswer { share } => {
                in_scope && self.random.lock().unwrap().random::<f64>() < share
            }
            Fault::DelayAnswer(_) | Fault::DelayRequest(_) => in_scope,
        };
        let mut counts = self.counts.lock().unwrap();
        counts.seen += 1;
        counts.hit += u64::from(hit);
        (if hit { mode.fault } else { Fault::Pass }, recording)
    }

    async fn until_changed(&self, fault: Fault) -> Result<()> {
        // The sender lives as long as self, so this ends by a change only.
        let _ = self.mode.subscribe().wait_for(|mode| mode.fault != fault).await;
        Ok(())
    }

    async fn forward(
        &self,
        server: &mut Option<BufReader<TcpStream>>,
        mut request: Message,
        at: Instant,
        recording: bool,
    ) -> Result<Message> {
        if recording {
            request.remove_header("accept-encoding"); // records are to be read by the test
        }
        let connection = match server.as_mut() {
            Some(connection) => connection,
            None => server.insert(BufReader::new(TcpStream::connect(&self.upstream).await?)),
        };
        connection.write_all(&request.bytes()).await?;
        let bodiless = request.first_line.starts_with("HEAD ");
        let answer = Message::read(connection, bodiless).await;
        if recording {
            self.keep(&request, at, answer.as_ref().ok().and_then(Option::as_ref));
        }
        answer?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }

    fn keep(&self, request: &Message, at: Instant, answer: Option<&Message>) {
        let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        self.records.lock().unwrap().push(Record {
            at,
            request_line: request.first_line.trim_end().to_owned(),
            request: text(&request.body),
            status: answer.and_then(Message::status),
            answer: answer.map(|answer| text(&answer.body)).unwrap_or_default(),
        });
    }
}

fn injected(code: u16) -> Vec<u8> {
    let body = format!(
        r#"{{"error":{{"type":"injected_exception","reason":"injected by the proxy"}},"status":{code}}}"#
    );
    let head = format!(
        "HTTP/1.1 {code} Injected\r\ncontent-type: application/json\r\nX-elastic-product: Elasticsearch\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}
