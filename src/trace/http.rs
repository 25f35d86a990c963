//! Binlogs behind HTTP(S): streamed, and gone on with by Range where the connection breaks.

use std::io::{self, Read};
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};
use tokio::runtime::Handle;

/// How often in a row a broken connection is made anew without a byte in between.
const ATTEMPTS: u32 = 6;
/// The first wait between attempts; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// Limit for connecting, and for each part of the body.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The body of a GET. Reads block: never on a thread of the runtime.
pub(super) struct HttpReader {
    runtime: Handle,
    client: Client,
    url: String,
    /// Bytes that have been given.
    offset: u64,
    /// The body's whole length, where the server says it.
    total: Option<u64>,
    /// What the server calls this version of the body.
    etag: Option<String>,
    response: Option<Response>,
    chunk: bytes::Bytes,
}

impl HttpReader {
    /// Asks for the URL.
    pub(super) fn open(url: &str, runtime: &Handle) -> io::Result<Self> {
        let client = Client::builder()
            .connect_timeout(TIMEOUT)
            .read_timeout(TIMEOUT)
            .no_gzip()
            .user_agent(concat!("binlog-operator/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(io::Error::other)?;
        let mut this = Self {
            runtime: runtime.clone(),
            client,
            url: url.to_owned(),
            offset: 0,
            total: None,
            etag: None,
            response: None,
            chunk: bytes::Bytes::new(),
        };
        this.reconnect(0)?;
        Ok(this)
    }

    /// Asks for what is left, several times.
    fn reconnect(&mut self, mut failed: u32) -> io::Result<()> {
        loop {
            let runtime = self.runtime.clone();
            match runtime.block_on(self.ask()) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::InvalidData || failed + 1 >= ATTEMPTS => {
                    return Err(error);
                }
                Err(_) => std::thread::sleep(PAUSE * 2_u32.pow(failed)),
            }
            failed += 1;
        }
    }

    async fn ask(&mut self) -> io::Result<()> {
        let mut request = self.client.get(&self.url);
        if self.offset > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.offset));
            if let Some(etag) = &self.etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        // The URL may hold a signature: it is not shown.
        let response = request.send().await.map_err(|e| io::Error::other(e.without_url()))?;
        let status = response.status();
        let header =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        match status {
            StatusCode::OK if self.offset == 0 => {
                self.total = response.content_length();
                self.etag = header(ETAG).filter(|etag| !etag.starts_with("W/"));
            }
            StatusCode::PARTIAL_CONTENT if self.offset > 0 => {
                let range = header(CONTENT_RANGE).unwrap_or_default();
                if !range.starts_with(&format!("bytes {}-", self.offset)) {
                    return Err(refused(format!("the server went on at another place: {range:?}")));
                }
            }
            StatusCode::OK => {
                return Err(refused(
                    "the connection broke, and the server cannot go on in the middle".into(),
                ));
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(io::Error::other(format!("the server answers {status}")));
            }
            status => return Err(refused(format!("the server answers {status}"))),
        }
        self.response = Some(response);
        Ok(())
    }

    /// The next part of the body; empty at its end.
    fn next_chunk(&mut self) -> io::Result<()> {
        let mut failed = 0;
        loop {
            if self.response.is_none() {
                self.reconnect(failed)?;
            }
            let Some(response) = &mut self.response else { return Ok(()) };
            match self.runtime.block_on(response.chunk()) {
                Ok(Some(chunk)) if chunk.is_empty() => {}
                Ok(Some(chunk)) => {
                    self.chunk = chunk;
                    return Ok(());
                }
                Ok(None) if self.total.is_none_or(|total| self.offset >= total) => return Ok(()),
                Ok(None) | Err(_) if failed + 1 < ATTEMPTS => {
                    self.response = None;
                    failed += 1;
                }
                Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => return Err(io::Error::other(error.without_url())),
            }
        }
    }
}

/// An answer that asking again will not change.
fn refused(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Read for HttpReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.next_chunk()?;
        }
        let n = self.chunk.len().min(buffer.len());
        let part = self.chunk.split_to(n);
        if let Some(place) = buffer.get_mut(..n) {
            place.copy_from_slice(&part);
        }
        self.offset += n as u64;
        Ok(n)
    }
}
