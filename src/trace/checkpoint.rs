//! How far a trace has come, kept in a file beside its output: a run that was interrupted goes on from there, and what
//! the output has beyond it is cut off.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::TraceError;
use super::request::{Form, Request};
use super::walk::Counts;
use crate::binlog::BinlogFile;
use crate::model::{BinlogPosition, GtidSet};

/// Of the file's form.
const VERSION: u32 = 1;
/// It is written no more often than this, but at the end of each input.
const EVERY: Duration = Duration::from_millis(250);
/// So many bytes behind a file's first event tell it from others of its name. The first event itself changes when the
/// server closes the file.
const HEAD: usize = 4096;

/// A place between two transactions of the input.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Place {
    /// Which of the inputs, from 0 on.
    pub(super) input: usize,
    pub(super) file: String,
    pub(super) offset: u64,
    /// SHA-256 of `head_length` bytes behind the file's first event.
    pub(super) head: String,
    pub(super) head_length: usize,
}

/// What a stream has to know at a place, as it does not read again what lies before.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Memory {
    /// Every GTID up to there; `None` where that is not known.
    pub(super) gtids: Option<GtidSet>,
    /// Statements that moved the schema: database and text.
    pub(super) ddl: Vec<(String, String)>,
}

/// The file's content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Saved {
    version: u32,
    /// SHA-256 of what was asked.
    request: String,
    /// The inputs by name; of a server its UUID.
    sources: Vec<String>,
    /// Inputs that were left out as they lie before the time asked for.
    pub(super) skipped: usize,
    pub(super) place: Place,
    /// Length of the output.
    output: u64,
    pub(super) counts: Counts,
    pub(super) memory: Memory,
    /// Nothing is left to do.
    done: bool,
}

/// A trace's checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    output: File,
    request: String,
    sources: Vec<String>,
    skipped: usize,
    saved: Option<Saved>,
    last: Option<Instant>,
}

impl Checkpoint {
    /// Opens the checkpoint in `path` and the output in `out`, which is to be written from where it then stands.
    pub fn open(path: &Path, out: &Path, request: &Request) -> Result<(Self, File), TraceError> {
        if request.is_backward() || request.form == Form::Stats {
            return Err(TraceError::Option(
                "--checkpoint: a rollback begins with the newest change, and statistics come at the end: only sql and \
                 events can go on in the middle"
                    .into(),
            ));
        }
        let shown = path.display();
        let saved = match std::fs::read(path) {
            Ok(bytes) => {
                Some(read(&bytes).map_err(|why| TraceError::Option(format!("--checkpoint {shown}: {why}")))?)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(TraceError::Io { what: format!("read --checkpoint {shown}"), source }),
        };
        let request = fingerprint(request);
        if saved.as_ref().is_some_and(|saved| saved.request != request) {
            return Err(TraceError::Option(format!(
                "--checkpoint {shown}: it is of a trace with other options: give the same, or remove it to begin anew"
            )));
        }
        let output = open_output(out, saved.as_ref().map(|saved| saved.output), path)?;
        let failed = TraceError::io(format!("write {}", out.display()));
        let writer = output.try_clone().map_err(failed)?;
        let path = path.to_owned();
        Ok((Self { path, output, request, sources: Vec::new(), skipped: 0, saved, last: None }, writer))
    }

    /// True where an earlier run came to its end.
    pub fn is_done(&self) -> bool {
        self.saved.as_ref().is_some_and(|saved| saved.done)
    }

    /// Where an earlier run of a server's stream came to.
    pub fn position(&self) -> Option<BinlogPosition> {
        let place = &self.saved.as_ref()?.place;
        Some(BinlogPosition { file: place.file.clone(), offset: place.offset })
    }

    /// What an earlier run left; an error where that was of other inputs. More inputs at the end are accepted.
    pub(super) fn resume(&mut self, sources: Vec<String>) -> Result<Option<Saved>, TraceError> {
        if let Some(saved) = &self.saved {
            let other = saved.sources.iter().zip(&sources).find(|(before, now)| before != now);
            let (before, now) = match (other, saved.sources.len() > sources.len()) {
                (Some((before, now)), _) => (before.clone(), now.clone()),
                (None, true) => (saved.sources.join(", "), sources.join(", ")),
                (None, false) => (String::new(), String::new()),
            };
            if !before.is_empty() {
                return Err(
                    self.refused(&format!("it is of other input: of {before}, where there is {now} now"))
                );
            }
        }
        self.sources = sources;
        self.skipped = self.saved.as_ref().map_or(0, |saved| saved.skipped);
        Ok(self.saved.clone())
    }

    /// Says that so many of the first inputs are left out.
    pub(super) fn skip(&mut self, inputs: usize) {
        self.skipped = inputs;
    }

    /// An error about a checkpoint that cannot be gone on from.
    pub(super) fn refused(&self, why: &str) -> TraceError {
        TraceError::Option(format!("--checkpoint {}: {why}; remove it to begin anew", self.path.display()))
    }

    /// True where it is time to write.
    pub(super) fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= EVERY)
    }

    /// All of the output up to `place` is written: keeps that.
    pub(super) fn save(
        &mut self,
        place: Place,
        counts: Counts,
        memory: Memory,
        out: &mut dyn Write,
    ) -> Result<(), TraceError> {
        out.flush().map_err(TraceError::io("write the output"))?;
        self.keep(Saved {
            version: VERSION,
            request: self.request.clone(),
            sources: self.sources.clone(),
            skipped: self.skipped,
            place,
            output: 0,
            counts,
            memory,
            done: false,
        })
    }

    /// Nothing is left to do.
    pub(super) fn finish(&mut self) -> Result<(), TraceError> {
        match self.saved.clone() {
            Some(saved) => self.keep(Saved { done: true, ..saved }),
            None => Ok(()), // an input without a single transaction
        }
    }

    /// The output first, then a new file, then its name: whenever the machine stops, one of the two states is there.
    fn keep(&mut self, mut saved: Saved) -> Result<(), TraceError> {
        let failed = || TraceError::io(format!("write --checkpoint {}", self.path.display()));
        self.output.sync_data().map_err(TraceError::io("write the output"))?;
        saved.output = self.output.metadata().map_err(failed())?.len();
        let text = serde_json::to_vec_pretty(&saved).map_err(|e| failed()(e.into()))?;
        let mut part = self.path.as_os_str().to_owned();
        part.push(".part");
        let mut file = File::create(&part).map_err(failed())?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed())?;
        std::fs::rename(&part, &self.path).map_err(failed())?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        folder.map_err(failed())?;
        self.last = Some(Instant::now());
        self.saved = Some(saved);
        Ok(())
    }
}

fn read(bytes: &[u8]) -> Result<Saved, String> {
    let saved: Saved = serde_json::from_slice(bytes).map_err(|e| {
        format!("it is no checkpoint of this version (line {}); remove it to begin anew", e.line())
    })?;
    if saved.version != VERSION {
        return Err(format!(
            "it is of form {}, and {VERSION} is known; remove it to begin anew",
            saved.version
        ));
    }
    Ok(saved)
}

/// Everything that the output depends on beside the input.
fn fingerprint(request: &Request) -> String {
    let Request { form, selection, allow_trailing, full_set, with_original, guard, read_all, .. } = request;
    let text = format!(
        "{} {form:?} {selection:?} {allow_trailing} {full_set} {with_original} {guard} {read_all}",
        env!("CARGO_PKG_VERSION")
    );
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The output: empty, or cut to the length that a checkpoint vouches for.
fn open_output(out: &Path, len: Option<u64>, checkpoint: &Path) -> Result<File, TraceError> {
    let failed = || TraceError::io(format!("write {}", out.display()));
    let Some(len) = len else { return File::create(out).map_err(failed()) };
    let mut file = File::options().write(true).open(out).map_err(failed())?;
    let found = file.metadata().map_err(failed())?.len();
    if found < len {
        return Err(TraceError::Option(format!(
            "--checkpoint {}: {} has {found} bytes, and had {len} when the checkpoint was written: remove it to begin anew",
            checkpoint.display(),
            out.display()
        )));
    }
    file.set_len(len).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed())?;
    Ok(file)
}

/// The bytes behind a file's first event, as far as they tell it from others.
#[derive(Clone, Debug)]
pub(super) struct Head {
    hash: Sha256,
    length: usize,
    most: usize,
}

impl Default for Head {
    fn default() -> Self {
        Self::of(HEAD)
    }
}

impl Head {
    /// So many bytes at most.
    pub(super) fn of(most: usize) -> Self {
        Self { hash: Sha256::new(), length: 0, most }
    }

    /// Takes an event behind the first.
    pub(super) fn add(&mut self, event: &[u8]) {
        let part = event.get(..event.len().min(self.most.saturating_sub(self.length))).unwrap_or_default();
        self.hash.update(part);
        self.length += part.len();
    }

    pub(super) fn is_full(&self) -> bool {
        self.length >= self.most
    }

    /// The place in this file.
    pub(super) fn place(&self, input: usize, file: &str, offset: u64) -> Place {
        let head = hex(&self.hash.clone().finalize());
        Place { input, file: file.to_owned(), offset, head, head_length: self.length }
    }

    /// True where a file whose first events were added is the place's.
    pub(super) fn is_of(&self, place: &Place) -> bool {
        self.length == place.head_length && hex(&self.hash.clone().finalize()) == place.head
    }

    /// Of a file, `most` bytes of what lies before `offset`.
    pub(super) fn read(path: &Path, offset: u64, most: Option<usize>) -> Result<Self, TraceError> {
        let mut head = Self::of(most.unwrap_or(HEAD));
        let mut file = BinlogFile::open(path)?;
        file.next_raw()?;
        while !head.is_full() && file.offset() < offset {
            let Some(raw) = file.next_raw()? else { break };
            head.add(&raw.bytes);
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("checkpoint-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_torn_tail_is_cut_and_the_place_is_kept() {
        let folder = folder("torn");
        let (path, out) = (folder.join("c"), folder.join("out"));
        let request = Request::new(Form::Sql);
        let (mut checkpoint, mut file) = Checkpoint::open(&path, &out, &request).unwrap();
        assert_eq!(checkpoint.resume(names(&["b.1"])).unwrap(), None);
        file.write_all(b"whole").unwrap();
        let mut head = Head::default();
        head.add(b"abc");
        let place = head.place(0, "b.1", 99);
        let memory = Memory { gtids: None, ddl: vec![("d".into(), "DROP TABLE t".into())] };
        let counts = Counts { events: 3, ..Counts::default() };
        checkpoint.save(place.clone(), counts, memory.clone(), &mut file).unwrap();
        file.write_all(b" torn").unwrap();

        let (mut again, mut file) = Checkpoint::open(&path, &out, &request).unwrap();
        let saved = again.resume(names(&["b.1", "b.2"])).unwrap().unwrap();
        assert_eq!((&saved.place, &saved.memory, saved.counts), (&place, &memory, counts));
        assert!(head.is_of(&saved.place) && !Head::default().is_of(&saved.place));
        file.write_all(b" and on").unwrap();
        assert_eq!(std::fs::read(&out).unwrap(), b"whole and on");
        assert!(
            again.resume(names(&["b.2"])).unwrap_err().to_string().contains("of b.1, where there is b.2 now")
        );
        again.finish().unwrap();
        assert!(Checkpoint::open(&path, &out, &request).unwrap().0.is_done());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_not_its_own_is_refused() {
        let folder = folder("other");
        let (path, out) = (folder.join("c"), folder.join("out"));
        let request = Request::new(Form::Sql);
        let open =
            |request: &Request| Checkpoint::open(&path, &out, request).map(|_| ()).unwrap_err().to_string();
        assert!(open(&Request::new(Form::Rollback)).contains("begins with the newest change"));
        std::fs::write(&path, "{").unwrap();
        assert!(open(&request).contains("no checkpoint of this version"));
        std::fs::remove_file(&path).unwrap();
        let (mut checkpoint, mut file) = Checkpoint::open(&path, &out, &request).unwrap();
        file.write_all(b"12345").unwrap();
        let place = Head::default().place(0, "b.1", 4);
        checkpoint.save(place, Counts::default(), Memory::default(), &mut file).unwrap();
        assert!(open(&Request::new(Form::Json)).contains("with other options"));
        std::fs::write(&out, "123").unwrap();
        assert!(open(&request).contains("has 3 bytes, and had 5"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
