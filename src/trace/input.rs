//! Where binlogs come from: files as they are or packed (gzip, zstd), and the standard input.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Handle;

use super::TraceError;
use super::http::HttpReader;
use super::live::Live;
use crate::binlog::StreamStart;
use crate::model::ServerOptions;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Read at once.
const BUFFER: usize = 1 << 18;

/// A binlog to read.
pub struct Input {
    name: String,
    from: From,
}

enum From {
    /// A file that can be read anywhere in it.
    Plain(PathBuf),
    /// Bytes that come once, in order.
    Stream(Box<dyn Read + Send>),
    /// A server's events.
    Live(Live),
}

/// What an input is read by.
pub(super) enum Reader {
    Bytes(Box<dyn Read + Send>),
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
            let reader = io::Cursor::new(magic).chain(file);
            return Self::stream(&unpacked_name(path), Box::new(reader), read);
        }
        Ok(Self { name: file_name(path), from: From::Plain(path.to_owned()) })
    }

    /// A URL of HTTP(S), packed or not. Reading blocks: never on a thread of the runtime.
    pub fn url(url: &str, runtime: &Handle, read: &Arc<AtomicU64>) -> Result<Self, TraceError> {
        // what a signed URL ends with is nobody's business
        let shown = url.split(['?', '#']).next().unwrap_or_default();
        let name = unpacked_name(Path::new(shown));
        let reader = HttpReader::open(url, runtime).map_err(TraceError::io(format!("GET {shown}")))?;
        Self::stream(&name, Box::new(reader), read)
    }

    /// A server's binlog from `start`: to its end, or for ever with `follow`.
    pub async fn live(
        server: &ServerOptions,
        start: &StreamStart,
        follow: bool,
        runtime: &Handle,
    ) -> Result<Self, TraceError> {
        let live = Live::open(server, start, follow, runtime).await?;
        Ok(Self { name: format!("{}:{}", server.host, server.port), from: From::Live(live) })
    }

    /// Bytes that come once, packed or not.
    pub fn stream(
        name: &str,
        reader: Box<dyn Read + Send>,
        read: &Arc<AtomicU64>,
    ) -> Result<Self, TraceError> {
        let mut counted = Counted { reader, read: Arc::clone(read) };
        let mut magic = Vec::new();
        counted.by_ref().take(4).read_to_end(&mut magic).map_err(TraceError::io(format!("read {name}")))?;
        let (is_gzip, is_zstd) = (magic.starts_with(&GZIP), magic == ZSTD);
        let whole = io::Cursor::new(magic).chain(counted);
        let reader: Box<dyn Read + Send> = if is_gzip {
            Box::new(flate2::read::MultiGzDecoder::new(BufReader::with_capacity(BUFFER, whole)))
        } else if is_zstd {
            let decoder = zstd::stream::read::Decoder::new(whole);
            Box::new(decoder.map_err(TraceError::io(format!("unpack {name}")))?)
        } else {
            Box::new(whole)
        };
        Ok(Self { name: name.to_owned(), from: From::Stream(reader) })
    }

    /// The binlog's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file, where it can be read anywhere in it.
    pub(super) fn plain(&self) -> Option<&Path> {
        match &self.from {
            From::Plain(path) => Some(path),
            From::Stream(_) | From::Live(_) => None,
        }
    }

    /// What it is read by.
    pub(super) fn into_reader(self, read: &Arc<AtomicU64>) -> Result<Reader, TraceError> {
        Ok(match self.from {
            From::Stream(reader) => Reader::Bytes(reader),
            From::Live(live) => Reader::Live(live),
            From::Plain(path) => {
                let file = File::open(&path).map_err(TraceError::io(format!("open {}", path.display())))?;
                Reader::Bytes(Box::new(Counted { reader: Box::new(file), read: Arc::clone(read) }))
            }
        })
    }
}

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

fn unpacked_name(path: &Path) -> String {
    let name = file_name(path);
    let packed = [".gz", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end));
    packed.map(str::to_owned).unwrap_or(name)
}

/// Binlogs written to a folder of their own, to be read backwards; it goes with this.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    files: usize,
}

impl Spool {
    pub(super) fn new() -> Result<Self, TraceError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("binlog-operator-spool-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(TraceError::io(format!("make {}", folder.display())))?;
        Ok(Self { folder, files: 0 })
    }

    /// Writes a stream to a file and gives its path. A stream that breaks off is kept as far as it came.
    pub(super) fn keep(&mut self, name: &str, reader: Reader) -> Result<PathBuf, TraceError> {
        let Reader::Bytes(mut reader) = reader else {
            return Err(TraceError::Option(
                "a rollback reads the newest change first: fetch the server's files and give them \
                 (mysqlbinlog --read-from-remote-server --raw)"
                    .into(),
            ));
        };
        self.files += 1;
        let folder = self.folder.join(self.files.to_string());
        let path = folder.join(name.replace('/', "_"));
        let failed = || TraceError::io(format!("write {}", path.display()));
        std::fs::create_dir_all(&folder).map_err(failed())?;
        let mut file = File::create(&path).map_err(failed())?;
        let mut buffer = vec![0; BUFFER];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => file.write_all(buffer.get(..n).unwrap_or_default()).map_err(failed())?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break, // a packed file that was cut
                Err(e) => return Err(TraceError::Io { what: format!("read {name}"), source: e }),
            }
        }
        Ok(path)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
