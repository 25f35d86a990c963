//! Where binlogs come from: files as they are or packed (gzip, zstd), the standard input, URLs, servers.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Handle;

use super::TraceError;
use super::live::{End, Live};
use super::remote::{HttpReader, Link};
use crate::binlog::StreamStart;
use crate::model::ServerOptions;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Read at once.
const BUFFER: usize = 1 << 18;

/// A binlog to read.
pub struct Input {
    name: String,
    /// What tells it from others of its name.
    identity: Option<String>,
    /// Bytes to be read, packed as they are; `None` where nobody says.
    size: Option<u64>,
    from: From,
}

enum From {
    /// A file that can be read anywhere in it.
    Plain(PathBuf),
    /// Bytes that come once, in order.
    Stream(Box<dyn Read + Send>),
    /// A file that lies elsewhere; asked for when its turn comes.
    Remote(Remote),
    /// A server's events.
    Live(Live),
}

/// A file that lies elsewhere.
pub(super) struct Remote {
    link: Link,
    /// A list has said when it begins.
    timed: bool,
    runtime: Handle,
    read: Arc<AtomicU64>,
}

/// Bytes in order.
pub(super) type Bytes = Box<dyn Read + Send>;

/// What an input is read by.
pub(super) enum Reader {
    Bytes(Bytes),
    /// A file's beginning, and what asks for its bytes from a place on.
    Parts {
        head: Bytes,
        rest: Box<dyn FnOnce() -> Result<Bytes, TraceError>>,
    },
    Live(Live),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Input {
    /// A file, packed or not; `-` is the standard input.
    pub fn open(path: &Path, read: &Arc<AtomicU64>) -> Result<Self, TraceError> {
        if path == Path::new("-") {
            return Self::stream("(standard input)", Box::new(io::stdin()), read);
        }
        let opened = || TraceError::io(format!("open {}", path.display()));
        let file = File::open(path).map_err(opened())?;
        let mut magic = Vec::new();
        (&file).take(4).read_to_end(&mut magic).map_err(opened())?;
        if magic.starts_with(&GZIP) || magic == ZSTD || !file.metadata().map_err(opened())?.is_file() {
            // a pipe's first bytes are gone once read: they are put before the rest
            let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|found| found.len());
            let reader = io::Cursor::new(magic).chain(file);
            let stream = Self::stream(&unpacked_name(&file_name(path)), Box::new(reader), read)?;
            return Ok(Self { size, ..stream });
        }
        let size = file.metadata().map_err(opened())?.len();
        Ok(Self {
            name: file_name(path),
            identity: None,
            size: Some(size),
            from: From::Plain(path.to_owned()),
        })
    }

    /// A URL of HTTP(S), packed or not.
    pub fn url(url: &str, runtime: &Handle, read: &Arc<AtomicU64>) -> Self {
        let link = Link::Url(url.into());
        let shown = link.shown();
        let name = shown.rsplit('/').next().unwrap_or_default();
        Self::remote(name, link, None, false, runtime, read)
    }

    /// A file that lies elsewhere, packed or not. Reading it blocks: never on a thread of the runtime.
    pub(super) fn remote(
        name: &str,
        link: Link,
        size: Option<u64>,
        timed: bool,
        runtime: &Handle,
        read: &Arc<AtomicU64>,
    ) -> Self {
        let remote = Remote { link, timed, runtime: runtime.clone(), read: Arc::clone(read) };
        Self { name: unpacked_name(name), identity: None, size, from: From::Remote(remote) }
    }

    /// A server's binlog from `start` to `end`. `identity`: what tells the server from another at its address.
    pub async fn live(
        server: &ServerOptions,
        start: &StreamStart,
        end: End,
        identity: Option<String>,
        runtime: &Handle,
    ) -> Result<Self, TraceError> {
        let live = Live::open(server, start, end, runtime).await?;
        Ok(Self {
            name: format!("{}:{}", server.host, server.port),
            identity,
            size: None,
            from: From::Live(live),
        })
    }

    /// Bytes that come once, packed or not.
    pub fn stream(
        name: &str,
        reader: Box<dyn Read + Send>,
        read: &Arc<AtomicU64>,
    ) -> Result<Self, TraceError> {
        let counted = Counted { reader, read: Arc::clone(read) };
        let reader = unpacked(name, Box::new(counted))?;
        Ok(Self { name: name.to_owned(), identity: None, size: None, from: From::Stream(reader) })
    }

    /// The binlog's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What tells it from others, as far as names do.
    pub(super) fn identity(&self) -> &str {
        self.identity.as_deref().unwrap_or(&self.name)
    }

    /// Bytes to be read, for progress; `None` where nobody says.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The file, where it can be read anywhere in it.
    pub(super) fn plain(&self) -> Option<&Path> {
        match &self.from {
            From::Plain(path) => Some(path),
            From::Stream(_) | From::Remote(_) | From::Live(_) => None,
        }
    }

    /// What it is read by where `offset` bytes of it were read before.
    pub(super) fn into_reader_at(self, offset: u64, read: &Arc<AtomicU64>) -> Result<Reader, TraceError> {
        let head = match &self.from {
            From::Remote(remote) => remote.head()?,
            From::Plain(_) | From::Stream(_) | From::Live(_) => None,
        };
        match (head, self) {
            (Some(head), Self { from: From::Remote(remote), size, .. }) => {
                let read = Arc::clone(read);
                let rest = move || -> Result<Bytes, TraceError> {
                    let asked = HttpReader::open(&remote.link, offset, size, &remote.runtime);
                    let reader = asked.map_err(TraceError::io(format!("GET {}", remote.link.shown())))?;
                    Ok(Box::new(Counted { reader: Box::new(reader), read }))
                };
                Ok(Reader::Parts { head, rest: Box::new(rest) })
            }
            (_, this) => this.into_reader(read),
        }
    }

    /// True where its first bytes can be had without reading it, and nobody has said when it begins.
    pub(super) fn can_be_tried(&self) -> bool {
        match &self.from {
            From::Plain(_) => true,
            From::Remote(remote) => !remote.timed,
            From::Stream(_) | From::Live(_) => false,
        }
    }

    /// Its first bytes: so many of them as they lie there.
    pub(super) fn first_bytes(&self, len: u64) -> Result<Bytes, TraceError> {
        match &self.from {
            From::Plain(path) => {
                let file = File::open(path).map_err(TraceError::io(format!("open {}", path.display())))?;
                Ok(Box::new(file.take(len)))
            }
            From::Remote(remote) => {
                let asked = HttpReader::head(&remote.link, len, &remote.runtime);
                let reader = asked.map_err(TraceError::io(format!("GET {}", remote.link.shown())))?;
                unpacked(&self.name, Box::new(reader))
            }
            From::Stream(_) | From::Live(_) => Err(TraceError::Option(format!("{} comes once", self.name))),
        }
    }

    /// What it is read by.
    pub(super) fn into_reader(self, read: &Arc<AtomicU64>) -> Result<Reader, TraceError> {
        Ok(match self.from {
            From::Stream(reader) => Reader::Bytes(reader),
            From::Remote(remote) => Reader::Bytes(remote.open(&self.name, self.size)?),
            From::Live(live) => Reader::Live(live),
            From::Plain(path) => {
                let file = File::open(&path).map_err(TraceError::io(format!("open {}", path.display())))?;
                Reader::Bytes(Box::new(Counted { reader: Box::new(file), read: Arc::clone(read) }))
            }
        })
    }
}

impl Remote {
    /// The beginning; `None` where it is packed.
    fn head(&self) -> Result<Option<Bytes>, TraceError> {
        let failed = || TraceError::io(format!("GET {}", self.link.shown()));
        let mut reader = HttpReader::head(&self.link, HEAD, &self.runtime).map_err(failed())?;
        let mut magic = Vec::new();
        reader.by_ref().take(4).read_to_end(&mut magic).map_err(failed())?;
        let packed = magic.starts_with(&GZIP) || magic == ZSTD;
        Ok((!packed).then(|| -> Bytes { Box::new(io::Cursor::new(magic).chain(reader)) }))
    }

    /// Opens it. `size` must then be true.
    fn open(&self, name: &str, size: Option<u64>) -> Result<Box<dyn Read + Send>, TraceError> {
        let asked = HttpReader::open(&self.link, 0, size, &self.runtime);
        let reader = asked.map_err(TraceError::io(format!("GET {}", self.link.shown())))?;
        unpacked(name, Box::new(Counted { reader: Box::new(reader), read: Arc::clone(&self.read) }))
    }
}

/// What packed bytes hold; others as they are.
fn unpacked(name: &str, mut reader: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>, TraceError> {
    let mut magic = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut magic).map_err(TraceError::io(format!("read {name}")))?;
    let (is_gzip, is_zstd) = (magic.starts_with(&GZIP), magic == ZSTD);
    let whole = io::Cursor::new(magic).chain(reader);
    Ok(if is_gzip {
        Box::new(flate2::read::MultiGzDecoder::new(BufReader::with_capacity(BUFFER, whole)))
    } else if is_zstd {
        let decoder = zstd::stream::read::Decoder::new(whole);
        Box::new(decoder.map_err(TraceError::io(format!("unpack {name}")))?)
    } else {
        Box::new(whole)
    })
}

/// So much of a file is asked for, to see its first events.
const HEAD: u64 = 1 << 20;

/// Counts the bytes that were read, for progress.
struct Counted {
    reader: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn unpacked_name(name: &str) -> String {
    let packed = [".gz", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end));
    packed.unwrap_or(name).to_owned()
}
