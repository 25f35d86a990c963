//! What comes once, kept in files that can be read backwards.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::TraceError;
use super::input::{Bytes, Reader};
use super::live::Live;
use crate::binlog::{Body, Decoder, EventType, Header, RawEvent};

/// Read at once.
const BUFFER: usize = 1 << 18;
/// What a binlog file begins with.
const MAGIC: [u8; 4] = *b"\xfebin";

/// Binlogs written to a folder of their own; it goes with this.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    inputs: usize,
}

/// A server's binlog file as far as it has come.
struct Kept {
    path: PathBuf,
    file: BufWriter<File>,
    offset: u64,
}

impl Spool {
    pub(super) fn new() -> Result<Self, TraceError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("binlog-operator-spool-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(TraceError::io(format!("make {}", folder.display())))?;
        Ok(Self { folder, inputs: 0 })
    }

    /// Writes what an input gives to files and gives their paths; `go_on` is asked on the way. Bytes that break off are
    /// kept as far as they came.
    pub(super) fn keep(
        &mut self,
        name: &str,
        reader: Reader,
        go_on: impl Fn() -> Result<(), TraceError>,
    ) -> Result<Vec<PathBuf>, TraceError> {
        self.inputs += 1;
        match reader {
            Reader::Bytes(bytes) => self.bytes(name, bytes, go_on),
            Reader::Parts { rest, .. } => self.bytes(name, rest()?, go_on),
            Reader::Live(live) => self.server(live, go_on),
        }
    }

    fn create(&self, name: &str) -> Result<(PathBuf, File), TraceError> {
        let folder = self.folder.join(self.inputs.to_string());
        let path = folder.join(name.replace('/', "_"));
        let failed = || TraceError::io(format!("write {}", path.display()));
        std::fs::create_dir_all(&folder).map_err(failed())?;
        let file = File::create(&path).map_err(failed())?;
        Ok((path, file))
    }

    fn bytes(
        &self,
        name: &str,
        mut reader: Bytes,
        go_on: impl Fn() -> Result<(), TraceError>,
    ) -> Result<Vec<PathBuf>, TraceError> {
        let (path, mut file) = self.create(name)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            go_on()?;
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    let read = buffer.get(..n).unwrap_or_default();
                    file.write_all(read).map_err(TraceError::io(format!("write {}", path.display())))?;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break, // a packed file that was cut
                Err(e) => return Err(TraceError::Io { what: format!("read {name}"), source: e }),
            }
        }
        Ok(vec![path])
    }

    /// A server's files as they are there, but for encryption: each event at its own offset.
    fn server(
        &self,
        mut live: Live,
        go_on: impl Fn() -> Result<(), TraceError>,
    ) -> Result<Vec<PathBuf>, TraceError> {
        let mut decoder = Decoder::new();
        let mut kept: Vec<PathBuf> = Vec::new();
        let mut open: Option<Kept> = None;
        while let Some(raw) = live.next_raw()? {
            go_on()?;
            let Some(header) = Header::of(&raw.bytes) else { continue };
            if is_made_up(&header) {
                if let Some(name) = next_file(&mut decoder, &header, raw)? {
                    if let Some(done) = open.take() {
                        kept.push(done.finish()?);
                    }
                    let (path, file) = self.create(&name)?;
                    open = Some(Kept::begin(path, file)?);
                }
                continue;
            }
            let Some(file) = &mut open else {
                return Err(TraceError::Option("the server sent events before it named their file".into()));
            };
            file.write(&header, &raw.bytes)?;
            if header.event_type == EventType::FORMAT_DESCRIPTION {
                decoder.push(raw);
                while decoder.next()?.is_some() {}
            }
        }
        if let Some(last) = open {
            kept.push(last.finish()?);
        }
        Ok(kept)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Kept {
    fn begin(path: PathBuf, file: File) -> Result<Self, TraceError> {
        let mut kept = Self { path, file: BufWriter::with_capacity(BUFFER, file), offset: 0 };
        kept.add(&MAGIC)?;
        Ok(kept)
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), TraceError> {
        let written = self.file.write_all(bytes);
        written.map_err(TraceError::io(format!("write {}", self.path.display())))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Writes an event. Where the server left some out, offsets would be wrong.
    fn write(&mut self, header: &Header, bytes: &[u8]) -> Result<(), TraceError> {
        let end = self.offset + bytes.len() as u64;
        if header.event_type != EventType::FORMAT_DESCRIPTION && end as u32 != header.next_position {
            let file = self.path.file_name().unwrap_or_default().to_string_lossy();
            return Err(TraceError::Option(format!(
                "{file}: the server left out events before offset {}: fetch its files and give them \
                 (mysqlbinlog --read-from-remote-server --raw)",
                header.next_position
            )));
        }
        self.add(bytes)
    }

    fn finish(mut self) -> Result<PathBuf, TraceError> {
        self.file.flush().map_err(TraceError::io(format!("write {}", self.path.display())))?;
        Ok(self.path)
    }
}

/// Made by the dump thread, not in any file: a ROTATE that names the file which follows, signs of life.
fn is_made_up(header: &Header) -> bool {
    let heartbeat = matches!(header.event_type, EventType::HEARTBEAT | EventType::HEARTBEAT_V2);
    let rotate = header.event_type == EventType::ROTATE && header.next_position == 0;
    heartbeat || rotate || header.is_artificial()
}

/// The file that follows, where the event says so.
fn next_file(decoder: &mut Decoder, header: &Header, raw: RawEvent) -> Result<Option<String>, TraceError> {
    if header.event_type != EventType::ROTATE {
        return Ok(None);
    }
    decoder.push(raw);
    let mut name = None;
    while let Some(event) = decoder.next()? {
        if let Body::Rotate { file, .. } = &event.body {
            name = Some(file.to_string());
        }
    }
    Ok(name)
}
