//! A small HTTP server that gives files out: by Range, broken off where a test wants it. It keeps every request.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A GET.
#[derive(Clone, Debug)]
pub struct Asked {
    /// As it was written, up to the query.
    pub path: String,
    /// As it was written, behind the `?`.
    pub query: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Asked {
    /// The query's names and values, decoded.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decoded(name), decoded(value))
            })
            .collect()
    }
}

/// What is answered.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    most: usize,
}

impl Answer {
    /// A whole answer.
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
        Self { status, headers, body: body.into(), most: usize::MAX }
    }

    /// A file, or the part of it that is asked for.
    pub fn file(bytes: &[u8], asked: &Asked) -> Self {
        let headers = vec![("ETag".to_owned(), format!("\"{}\"", bytes.len()))];
        let Some(range) = asked.headers.get("range").and_then(|range| range.strip_prefix("bytes=")) else {
            return Self { status: 200, headers, body: bytes.to_vec(), most: usize::MAX };
        };
        let (first, last) = range.split_once('-').expect("a range");
        let first: usize = first.parse().expect("a range's first byte");
        let end = last.parse::<usize>().map_or(bytes.len(), |last| (last + 1).min(bytes.len()));
        if first >= bytes.len() {
            let range = ("Content-Range".to_owned(), format!("bytes */{}", bytes.len()));
            return Self { status: 416, headers: vec![range], body: Vec::new(), most: usize::MAX };
        }
        let range = ("Content-Range".to_owned(), format!("bytes {first}-{}/{}", end - 1, bytes.len()));
        let headers = [headers, vec![range]].concat();
        Self { status: 206, headers, body: bytes[first..end].to_vec(), most: usize::MAX }
    }

    /// The connection breaks after so many bytes of the body.
    #[must_use]
    pub fn broken_after(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }

    fn send(&self, socket: &mut TcpStream) -> std::io::Result<u64> {
        let mut head = format!("HTTP/1.1 {} x\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").expect("a String");
        }
        write!(head, "Content-Length: {}\r\n\r\n", self.body.len()).expect("a String");
        socket.write_all(head.as_bytes())?;
        let sent = &self.body[..self.body.len().min(self.most)];
        socket.write_all(sent)?;
        Ok(sent.len() as u64)
    }
}

/// A running server on 127.0.0.1. It ends when it is dropped.
#[derive(Debug)]
pub struct FileServer {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    sent: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl FileServer {
    /// Answers each request with what `answer` says.
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let this = Self {
            port: listener.local_addr().expect("its address").port(),
            asked: Arc::default(),
            sent: Arc::default(),
            ended: Arc::default(),
        };
        let (asked, sent, ended) = (Arc::clone(&this.asked), Arc::clone(&this.sent), Arc::clone(&this.ended));
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let (answer, asked, sent) = (Arc::clone(&answer), Arc::clone(&asked), Arc::clone(&sent));
                std::thread::spawn(move || {
                    if let Some(request) = request(&socket) {
                        asked.lock().unwrap().push(request.clone());
                        let mut socket = socket;
                        let bytes = answer(&request).send(&mut socket).unwrap_or_default();
                        sent.fetch_add(bytes, Ordering::Relaxed);
                    }
                });
            }
        });
        this
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Bytes of bodies that were sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn request(socket: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(socket).lines();
    let first = lines.next()?.ok()?;
    let target = first.strip_prefix("GET ")?.split(' ').next()?.to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    Some(Asked { path: path.to_owned(), query: query.to_owned(), headers })
}

/// `%XX` decoded.
pub fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().expect("two digits"), bytes.next().expect("two digits")];
            let digits = std::str::from_utf8(&digits).expect("hex digits");
            out.push(u8::from_str_radix(digits, 16).expect("hex digits"));
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).expect("UTF-8")
}

/// RFC 3986: everything but unreserved characters as `%XX`.
pub fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("a String"),
        }
    }
    out
}
