//! Binlogs that come once, or lie elsewhere, as files of our own: such can be read anywhere in them.

use std::fs::{DirBuilder, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::TraceError;
use super::input::{Bytes, Input, Reader};
use super::live::Live;
use super::run::Progress;
use crate::binlog::{Body, Decoder, EventType, HEADER_LEN, Header, MAGIC, RawEvent};

/// Read at once.
const BUFFER: usize = 1 << 18;

/// Binlogs in a folder that only its owner may read, made with the first; it goes with this.
#[derive(Debug, Default)]
pub(super) struct Spool {
    folder: Option<PathBuf>,
    files: usize,
}

impl Spool {
    /// Files of the inputs' bytes, in order: those that are such stay where they are, others are copied. One that
    /// breaks off is kept as far as it came.
    pub(super) fn files(
        &mut self,
        inputs: Vec<Input>,
        progress: &Progress,
    ) -> Result<Vec<PathBuf>, TraceError> {
        let mut files = Vec::new();
        for input in inputs {
            match input.plain() {
                Some(path) => files.push(path.to_owned()),
                None => files.extend(self.keep(input, progress)?),
            }
        }
        Ok(files)
    }

    fn keep(&mut self, input: Input, progress: &Progress) -> Result<Vec<PathBuf>, TraceError> {
        let name = input.name().to_owned();
        match input.into_reader(&progress.read)? {
            Reader::Bytes(reader) => Ok(vec![self.copy(&name, reader, progress)?]),
            Reader::Parts { rest, .. } => Ok(vec![self.copy(&name, rest()?, progress)?]),
            Reader::Live(live) => self.stream(live, progress),
        }
    }

    fn folder(&mut self) -> Result<&Path, TraceError> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => make_folder()?,
        };
        Ok(self.folder.insert(folder))
    }

    fn create(&mut self, name: &str) -> Result<(PathBuf, File), TraceError> {
        self.files += 1;
        let number = self.files.to_string();
        let folder = self.folder()?.join(number);
        let path = folder.join(name.replace('/', "_"));
        std::fs::create_dir_all(&folder).map_err(write(&path))?;
        let file = File::create(&path).map_err(write(&path))?;
        Ok((path, file))
    }

    fn copy(&mut self, name: &str, mut reader: Bytes, progress: &Progress) -> Result<PathBuf, TraceError> {
        let (path, mut file) = self.create(name)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            progress.check_stop(false)?;
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => file.write_all(buffer.get(..n).unwrap_or_default()).map_err(write(&path))?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break, // a packed file that was cut
                Err(e) => return Err(TraceError::Io { what: format!("read {name}"), source: e }),
            }
        }
        Ok(path)
    }

    /// A server's binlogs, byte for byte as it has them.
    fn stream(&mut self, mut live: Live, progress: &Progress) -> Result<Vec<PathBuf>, TraceError> {
        let (mut paths, mut file): (Vec<PathBuf>, Option<Copy>) = (Vec::new(), None);
        let mut decoder = Decoder::new();
        decoder.verify_checksums(false); // whoever reads the files compares them
        while let Some(raw) = live.next_raw()? {
            progress.check_stop(false)?;
            progress.read.fetch_add(raw.bytes.len() as u64, Ordering::Relaxed);
            let Some(header) = Header::of(&raw.bytes) else { continue };
            if matches!(header.event_type, EventType::ROTATE | EventType::FORMAT_DESCRIPTION) {
                decoder.push(RawEvent { bytes: raw.bytes.clone(), start: None });
                let named = match decoder.next()?.map(|event| event.body) {
                    Some(Body::Rotate { file, artificial: true, .. }) => Some(file.to_string()),
                    _ => None,
                };
                if let Some(name) = named {
                    if file.as_ref().is_none_or(|copy| copy.name != name) {
                        file.take().map_or(Ok(()), Copy::end)?;
                        let (path, created) = self.create(&name)?;
                        file = Some(Copy::begin(name, &path, created)?);
                        paths.push(path);
                    }
                    continue;
                }
            }
            if let Some(copy) = &mut file {
                copy.add(&header, &raw.bytes)?;
            }
        }
        file.map_or(Ok(()), Copy::end)?;
        Ok(paths)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn make_folder() -> Result<PathBuf, TraceError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("binlog-operator-spool-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(TraceError::io(format!("make {}", folder.display()))(e)),
        }
    }
}

/// One of a server's binlogs while it comes.
struct Copy {
    name: String,
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
}

impl Copy {
    fn begin(name: String, path: &Path, file: File) -> Result<Self, TraceError> {
        let mut file = BufWriter::with_capacity(BUFFER, file);
        file.write_all(&MAGIC).map_err(write(path))?;
        Ok(Self { name, path: path.to_owned(), file, written: MAGIC.len() as u64 })
    }

    /// Adds an event, unless the server made it for the stream only.
    fn add(&mut self, header: &Header, bytes: &[u8]) -> Result<(), TraceError> {
        if header.is_artificial() || header.is_heartbeat() || bytes.len() < HEADER_LEN {
            return Ok(());
        }
        self.written += bytes.len() as u64;
        if header.next_position != 0 && header.next_position != self.written as u32 {
            return Err(TraceError::Option(format!(
                "{}: the server left events out before offset {}: fetch its files and give them \
                 (mysqlbinlog --read-from-remote-server --raw)",
                self.name, header.next_position
            )));
        }
        self.file.write_all(bytes).map_err(write(&self.path))
    }

    fn end(mut self) -> Result<(), TraceError> {
        self.file.flush().map_err(write(&self.path))
    }
}

fn write(path: &Path) -> impl FnOnce(io::Error) -> TraceError + use<> {
    TraceError::io(format!("write {}", path.display()))
}
