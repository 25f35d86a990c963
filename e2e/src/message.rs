//! Just enough HTTP/1.1 framing for the faulty proxy: whole messages, kept byte for byte.

use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// A request or an answer.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// `POST /_bulk HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub first_line: String,
    /// The header lines with their line ends, without the first line.
    headers: Vec<String>,
    /// The body as sent, chunk sizes included.
    raw_body: Vec<u8>,
    /// The body itself.
    pub body: Vec<u8>,
}

impl Message {
    /// Reads a message; `None` when the peer closed the connection between two messages.
    pub async fn read(from: &mut (impl AsyncBufRead + Unpin), bodiless: bool) -> Result<Option<Self>> {
        let mut message = Self::default();
        if from.read_line(&mut message.first_line).await? == 0 {
            return Ok(None);
        }
        loop {
            let mut line = String::new();
            from.read_line(&mut line).await?;
            match line.as_str() {
                "" => return Err(ErrorKind::UnexpectedEof.into()),
                "\r\n" => break,
                _ => message.headers.push(line),
            }
        }
        if bodiless || matches!(message.status(), Some(204 | 304)) {
            return Ok(Some(message));
        }
        if message.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            message.read_chunks(from).await?;
        } else if let Some(length) = message.header("content-length") {
            let length = length.parse().map_err(|_| Error::from(ErrorKind::InvalidData))?;
            message.raw_body.resize(length, 0);
            from.read_exact(&mut message.raw_body).await?;
            message.body.clone_from(&message.raw_body);
        }
        Ok(Some(message))
    }

    async fn read_chunks(&mut self, from: &mut (impl AsyncBufRead + Unpin)) -> Result<()> {
        loop {
            let mut line = String::new();
            from.read_line(&mut line).await?;
            let size = line.split([';', '\r']).next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(|_| Error::from(ErrorKind::InvalidData))?;
            self.raw_body.extend(line.as_bytes());
            let mut chunk = vec![0; size + 2];
            from.read_exact(&mut chunk).await?;
            self.raw_body.extend(&chunk);
            self.body.extend(&chunk[..size]);
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Removes a header.
    pub fn remove_header(&mut self, name: &str) {
        self.headers.retain(|line| !line.split(':').next().is_some_and(|key| key.eq_ignore_ascii_case(name)));
    }

    /// The status code, of an answer.
    pub fn status(&self) -> Option<u16> {
        self.first_line.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()
    }

    /// The bytes to send on.
    pub fn bytes(&self) -> Vec<u8> {
        [self.first_line.as_bytes(), self.headers.concat().as_bytes(), b"\r\n", &self.raw_body].concat()
    }
}
