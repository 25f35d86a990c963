//! Events of a binlog file, one after the other.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::error::{At, BinlogError, Malformed};
use super::frame::{FrameError, read_frame_if};
use super::header::{Header, RawEvent};

/// What a binlog file begins with.
pub const MAGIC: [u8; 4] = *b"\xfebin";
const MAGIC_ENCRYPTED: [u8; 4] = *b"\xfdbin";
/// Bytes asked for at once.
const BUFFER: usize = 1 << 18;

/// A binlog file being read.
pub struct BinlogFile {
    name: Arc<str>,
    reader: BufReader<Box<dyn Read + Send>>,
    offset: u64,
}

impl BinlogFile {
    /// Opens a file and checks its magic. Its name for positions is the path's last part.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BinlogError> {
        let path = path.as_ref();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let file = File::open(path)
            .map_err(|source| BinlogError::Io { what: format!("open {}", path.display()), source })?;
        Self::from_reader(&name, Box::new(file))
    }

    /// Opens a file at an event's first byte. The decoder needs the file's FORMAT_DESCRIPTION before.
    pub fn open_at(path: impl AsRef<Path>, offset: u64) -> Result<Self, BinlogError> {
        let path = path.as_ref();
        let mut this = Self::open(path)?;
        if offset > this.offset {
            let failed =
                |source| BinlogError::Io { what: format!("read {} at {offset}", path.display()), source };
            let mut file = File::open(path).map_err(failed)?;
            file.seek(SeekFrom::Start(offset)).map_err(failed)?;
            this.reader = BufReader::with_capacity(BUFFER, Box::new(file));
            this.offset = offset;
        }
        Ok(this)
    }

    /// Reads a binlog from anything, for example standard input.
    pub fn from_reader(name: &str, reader: Box<dyn Read + Send>) -> Result<Self, BinlogError> {
        let reader = BufReader::with_capacity(BUFFER, reader);
        let mut this = Self { name: name.into(), reader, offset: 0 };
        let mut magic = [0; 4];
        match this.reader.read_exact(&mut magic) {
            Err(e) if e.kind() != ErrorKind::UnexpectedEof => return Err(this.io(e)),
            Ok(()) if magic == MAGIC => {}
            Ok(()) if magic == MAGIC_ENCRYPTED => return Err(BinlogError::Encrypted { file: this.name }),
            _ => return Err(BinlogError::NotABinlog { file: this.name }),
        }
        this.offset = MAGIC.len() as u64;
        Ok(this)
    }

    /// Reads a binlog's rest, whose first byte is an event's at `offset`. The decoder needs the file's
    /// FORMAT_DESCRIPTION before.
    pub fn from_reader_at(name: &str, reader: Box<dyn Read + Send>, offset: u64) -> Self {
        Self { name: name.into(), reader: BufReader::with_capacity(BUFFER, reader), offset }
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
