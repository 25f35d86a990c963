//! Files behind HTTP(S): streamed, and gone on with by Range where the connection breaks.

use std::io::{self, Read};
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};
use tokio::runtime::Handle;

use super::link::Link;

/// How often in a row a broken connection is made anew without a byte in between.
const ATTEMPTS: u32 = 6;
/// The first wait between attempts; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// Limit for connecting, and for each part of the body.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Of a refusal's body no more is read.
const REFUSAL: usize = 4096;

/// A client for files and for the clouds' APIs.
pub(super) fn client() -> io::Result<Client> {
    Client::builder()
        .connect_timeout(TIMEOUT)
        .read_timeout(TIMEOUT)
        .no_gzip()
        .user_agent(concat!("binlog-operator/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(io::Error::other)
}

/// The body of a GET. Reads block: never on a thread of the runtime.
pub(crate) struct HttpReader {
    runtime: Handle,
    client: Client,
    link: Link,
    /// Bytes that have been given, or lie before the first that is wanted.
    offset: u64,
    /// Nothing from here on is asked for.
    end: Option<u64>,
    /// A first answer has come.
    begun: bool,
    /// Bytes of the body that lie before `offset`, where the server sent them all the same.
    discard: u64,
    /// The body's whole length, where the server says it.
    total: Option<u64>,
    /// The length that a list promised.
    promised: Option<u64>,
    /// What the server calls this version of the body.
    etag: Option<String>,
    response: Option<Response>,
    chunk: bytes::Bytes,
}

impl HttpReader {
    /// Asks for the file from `offset` on. `promised`: how long a list says it is, which must then be true.
    pub(crate) fn open(
        link: &Link,
        offset: u64,
        promised: Option<u64>,
        runtime: &Handle,
    ) -> io::Result<Self> {
        Self::begin(link, offset, None, promised, runtime)
    }

    /// Asks for the first `len` bytes only.
    pub(crate) fn head(link: &Link, len: u64, runtime: &Handle) -> io::Result<Self> {
        Self::begin(link, 0, Some(len), None, runtime)
    }

    fn begin(
        link: &Link,
        offset: u64,
        end: Option<u64>,
        promised: Option<u64>,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let mut this = Self {
            runtime: runtime.clone(),
            client: client()?,
            link: link.clone(),
            offset,
            end,
            begun: false,
            discard: 0,
            total: None,
            promised,
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
            match runtime.block_on(self.ask_renewed()) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::InvalidData || failed + 1 >= ATTEMPTS => {
                    return Err(error);
                }
                Err(_) => std::thread::sleep(PAUSE * 2_u32.pow(failed)),
            }
            failed += 1;
        }
    }

    /// Asks; where the link is refused and can be made anew, once more.
    async fn ask_renewed(&mut self) -> io::Result<()> {
        let response = self.send().await?;
        let refused = matches!(response.status(), StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED);
        if refused && self.link.renew().await? {
            let response = self.send().await?;
            return self.take(response).await;
        }
        self.take(response).await
    }

    async fn send(&self) -> io::Result<Response> {
        let (url, headers) = self.link.request()?;
        let mut request = self.client.get(url).headers(headers);
        match self.end {
            Some(end) => {
                request = request.header(RANGE, format!("bytes={}-{}", self.offset, end.saturating_sub(1)));
            }
            None if self.offset > 0 => request = request.header(RANGE, format!("bytes={}-", self.offset)),
            None => {}
        }
        if let Some(etag) = self.etag.as_ref().filter(|_| self.offset > 0) {
            request = request.header(IF_RANGE, etag);
        }
        // The URL may hold a signature: it is not shown.
        request.send().await.map_err(|e| io::Error::other(e.without_url()))
    }

    async fn take(&mut self, response: Response) -> io::Result<()> {
        let status = response.status();
        match status {
            // the first answer; what lies before the place is skipped where the server knows no Range
            StatusCode::OK if !self.begun || self.offset == 0 => {
                self.discard = self.offset;
                self.total = response.content_length();
            }
            StatusCode::OK => {
                return Err(refused(
                    "the connection broke, and the server cannot go on in the middle".into(),
                ));
            }
            StatusCode::PARTIAL_CONTENT => {
                let range = text_of(response.headers(), CONTENT_RANGE.as_str()).unwrap_or_default();
                if !range.starts_with(&format!("bytes {}-", self.offset)) {
                    return Err(refused(format!("the server went on at another place: {range:?}")));
                }
                self.discard = 0;
                let total = range.rsplit_once('/').and_then(|(_, total)| total.parse().ok());
                self.total = self.total.or(total);
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let range = text_of(response.headers(), CONTENT_RANGE.as_str()).unwrap_or_default();
                if range.strip_prefix("bytes */").and_then(|total| total.parse().ok()) == Some(self.offset) {
                    self.end = Some(self.offset); // nothing is left
                    return Ok(());
                }
                return Err(refused(format!("the file has no byte {}", self.offset)));
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(io::Error::other(format!("the server answers {status}")));
            }
            status => return Err(self.refusal(status, response).await),
        }
        if self.etag.is_none() {
            self.etag = text_of(response.headers(), ETAG.as_str()).filter(|etag| !etag.starts_with("W/"));
        }
        self.check_length()?;
        self.begun = true;
        self.response = Some(response);
        Ok(())
    }

    fn check_length(&mut self) -> io::Result<()> {
        match (self.promised, self.total) {
            (Some(promised), Some(total)) if promised != total => Err(refused(format!(
                "the list says that it has {promised} bytes, the server has {total}: make the list anew"
            ))),
            (Some(promised), None) => {
                self.total = Some(promised);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Why the server refuses, as far as it says so, and what to do.
    async fn refusal(&self, status: StatusCode, mut response: Response) -> io::Error {
        let mut body = Vec::new();
        while body.len() < REFUSAL
            && let Ok(Some(chunk)) = response.chunk().await
        {
            body.extend_from_slice(&chunk);
        }
        let said = reason(&String::from_utf8_lossy(&body));
        let said = if said.is_empty() { said } else { format!(" ({said})") };
        let what_to_do = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::GONE => {
                format!(": {}", self.link.remedy())
            }
            _ => String::new(),
        };
        refused(format!("the server answers {status}{said}{what_to_do}"))
    }

    /// The next part of the body; empty at its end.
    fn next_chunk(&mut self) -> io::Result<()> {
        let mut failed = 0;
        let wanted = |total: Option<u64>, end: Option<u64>| match (total, end) {
            (Some(total), Some(end)) => Some(total.min(end)),
            (total, end) => total.or(end),
        };
        loop {
            if self.end.is_some_and(|end| self.offset >= end) {
                return Ok(());
            }
            if self.response.is_none() {
                self.reconnect(failed)?;
            }
            let Some(response) = &mut self.response else { return Ok(()) };
            match self.runtime.block_on(response.chunk()) {
                Ok(Some(mut chunk)) => {
                    let before = self.discard.min(chunk.len() as u64);
                    self.discard -= before;
                    self.chunk = chunk.split_off(before as usize);
                    if !self.chunk.is_empty() {
                        return Ok(());
                    }
                }
                Ok(None) if wanted(self.total, self.end).is_none_or(|end| self.offset >= end) => {
                    return Ok(());
                }
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

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// `Code: Message` of the XML that object stores answer with; empty where it is none.
pub(super) fn reason(body: &str) -> String {
    let Ok(document) = roxmltree::Document::parse(body) else { return String::new() };
    let text = |name: &str| {
        let node = document.descendants().find(|node| node.tag_name().name() == name);
        node.and_then(|node| node.text()).unwrap_or_default().trim().to_owned()
    };
    let (code, message) = (text("Code"), text("Message"));
    let said = [code, message].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
    said.chars().filter(|c| !c.is_control()).take(200).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why() {
        let expired = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired.</Message>\
                       <Expires>x</Expires></Error>";
        assert_eq!(reason(expired), "AccessDenied: Request has expired.");
        assert_eq!(reason("<html>no"), "");
        assert_eq!(reason("Forbidden"), "");
    }
}
