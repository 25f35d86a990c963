//! Events of a binlog file, one after the other.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::error::{At, BinlogError, Malformed};
use super::frame::{FrameError, read_frame_if};
use super::header::{Header, RawEvent};
use super::read_ahead::ReadAhead;

/// What a binlog file begins with.
pub const MAGIC: [u8; 4] = *b"\xfebin";
const MAGIC_ENCRYPTED: [u8; 4] = *b"\xfdbin";
/// Bytes asked for at once.
const BUFFER: usize = 1 << 18;

/// A binlog file being read.
pub struct BinlogFile {
    name: Arc<str>,
    reader: Bytes,
    offset: u64,
}

/// Where the bytes come from.
enum Bytes {
    Buffered(BufReader<Box<dyn Read + Send>>),
    Ahead(ReadAhead),
}

impl BinlogFile {
    /// Opens a file and checks its magic. Its name for positions is the path's last part.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BinlogError> {
        Self::open_at(path, 0)
    }

    /// Opens a file at an event's first byte. The decoder needs the file's FORMAT_DESCRIPTION before.
    pub fn open_at(path: impl AsRef<Path>, offset: u64) -> Result<Self, BinlogError> {
        let path = path.as_ref();
        let (name, mut file) = open(path)?;
        let first = MAGIC.len() as u64;
        if offset > first {
            let what = || format!("read {} at {offset}", path.display());
            file.seek(SeekFrom::Start(offset)).map_err(|source| BinlogError::Io { what: what(), source })?;
        }
        Ok(Self::from_reader_at(&name, Box::new(file), offset.max(first)))
    }

    /// Opens a file that is gone through while nothing else is done: another thread reads it before it is asked for. Of one
    /// that grows meanwhile the end may lie within an event.
    pub fn open_ahead(path: impl AsRef<Path>) -> Result<Self, BinlogError> {
        let (name, file) = open(path.as_ref())?;
        let offset = MAGIC.len() as u64;
        Ok(Self { name: name.into(), reader: Bytes::Ahead(ReadAhead::new(file, offset)), offset })
    }

    /// Reads a binlog from anything, for example standard input.
    pub fn from_reader(name: &str, mut reader: Box<dyn Read + Send>) -> Result<Self, BinlogError> {
        check_magic(name, &mut reader)?;
        Ok(Self::from_reader_at(name, reader, MAGIC.len() as u64))
    }

    /// Reads a binlog's rest, whose first byte is an event's at `offset`. The decoder needs the file's
    /// FORMAT_DESCRIPTION before.
    pub fn from_reader_at(name: &str, reader: Box<dyn Read + Send>, offset: u64) -> Self {
        Self { name: name.into(), reader: Bytes::Buffered(BufReader::with_capacity(BUFFER, reader)), offset }
    }

    /// The file's name without its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Offset of the next event.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next event, `None` after the last.
    pub fn next_raw(&mut self) -> Result<Option<RawEvent>, BinlogError> {
        let mut raw = RawEvent::default();
        Ok(self.read_raw(&mut raw)?.then_some(raw))
    }

    /// Reads the next event into a buffer that was used before (see `Decoder::spare`); false after the last.
    pub fn read_raw(&mut self, raw: &mut RawEvent) -> Result<bool, BinlogError> {
        Ok(self.read_raw_if(raw, |_| true)?.is_some())
    }

    /// The next event's header, and whether it was wanted: then it has been read like by [`Self::read_raw`], else its
    /// body was stepped over, which is much faster. `None` after the last.
    pub fn read_raw_if(
        &mut self,
        raw: &mut RawEvent,
        wanted: impl FnOnce(&Header) -> bool,
    ) -> Result<Option<(Header, bool)>, BinlogError> {
        let read = read_frame_if(&mut self.reader, &mut raw.bytes, wanted);
        let found = read.map_err(|error| self.failed(error))?;
        if let Some((header, _)) = &found {
            raw.start = Some(self.offset);
            self.offset += u64::from(header.length);
        }
        Ok(found)
    }

    fn failed(&self, error: FrameError) -> BinlogError {
        match error {
            FrameError::Io(e) => self.io(e),
            FrameError::Cut => BinlogError::Truncated { file: Arc::clone(&self.name), offset: self.offset },
            FrameError::Length(header) => {
                let at = At { event: header.event_type, file: Arc::clone(&self.name), offset: self.offset };
                Malformed("its length is less than a header's").at(&at)
            }
        }
    }

    fn io(&self, source: io::Error) -> BinlogError {
        BinlogError::Io { what: format!("read {} at {}", self.name, self.offset), source }
    }
}

/// Opens a file and reads its magic; with the name for positions.
fn open(path: &Path) -> Result<(String, File), BinlogError> {
    let mut file = File::open(path)
        .map_err(|source| BinlogError::Io { what: format!("open {}", path.display()), source })?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    check_magic(&name, &mut file)?;
    Ok((name, file))
}

/// Reads what a binlog begins with.
fn check_magic(name: &str, reader: &mut impl Read) -> Result<(), BinlogError> {
    let mut magic = [0; MAGIC.len()];
    match reader.read_exact(&mut magic) {
        Err(source) if source.kind() != ErrorKind::UnexpectedEof => {
            Err(BinlogError::Io { what: format!("read {name} at 0"), source })
        }
        Ok(()) if magic == MAGIC => Ok(()),
        Ok(()) if magic == MAGIC_ENCRYPTED => Err(BinlogError::Encrypted { file: name.into() }),
        _ => Err(BinlogError::NotABinlog { file: name.into() }),
    }
}

impl Read for Bytes {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Buffered(reader) => reader.read(out),
            Self::Ahead(reader) => reader.read(out),
        }
    }

    fn read_exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Buffered(reader) => reader.read_exact(out),
            Self::Ahead(reader) => reader.read_exact(out),
        }
    }
}

impl BufRead for Bytes {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Buffered(reader) => reader.fill_buf(),
            Self::Ahead(reader) => reader.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self {
            Self::Buffered(reader) => reader.consume(amount),
            Self::Ahead(reader) => reader.consume(amount),
        }
    }
}
