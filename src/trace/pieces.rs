//! Output that is held until its transaction is whole, and read in either direction: in memory, and in a file
//! without a name once it is large.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Held in memory before the file is used.
const IN_MEMORY: usize = 6 << 20;
/// Read back at once.
const BLOCK: usize = 1 << 18;
const LEN: u64 = 4;

/// Bytes as a list of pieces. Each piece is written whole; they are read first to last or last to first.
#[derive(Default)]
pub(super) struct Pieces {
    data: Vec<u8>,
    spilled: Option<File>,
    /// Bytes in the file.
    filed: u64,
    /// Ends of pieces are kept: they are needed to go backwards.
    backward: bool,
}

impl Pieces {
    /// Pieces that are read in this direction.
    pub(super) fn new(backward: bool) -> Self {
        Self { backward, ..Self::default() }
    }

    /// About so many bytes will come: memory for them is taken once.
    pub(super) fn expect(&mut self, bytes: u64) {
        self.data.reserve(usize::try_from(bytes).map_or(IN_MEMORY, |bytes| bytes.min(IN_MEMORY)));
    }

    /// All bytes so far: a place to [`Pieces::truncate`] to.
    pub(super) fn len(&self) -> u64 {
        self.filed + self.data.len() as u64
    }

    /// Adds a piece: what `write` appends. Gives what it gives.
    pub(super) fn push<T, E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>) -> Result<T, E>
    where
        E: From<io::Error>,
    {
        let start = self.data.len();
        let written = match write(&mut self.data) {
            Ok(written) => written,
            Err(error) => {
                self.data.truncate(start);
                return Err(error);
            }
        };
        if self.backward {
            let len = (self.data.len() - start) as u32;
            self.data.extend_from_slice(&len.to_le_bytes());
        }
        if self.data.len() > IN_MEMORY {
            self.spill()?;
        }
        Ok(written)
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.spilled {
            Some(file) => file,
            None => self.spilled.insert(nameless()?),
        };
        file.seek(SeekFrom::Start(self.filed))?;
        file.write_all(&self.data)?;
        self.filed += self.data.len() as u64;
        self.data.clear();
        Ok(())
    }

    /// Drops what came after `len` bytes.
    pub(super) fn truncate(&mut self, len: u64) -> io::Result<()> {
        if let Some(in_memory) = len.checked_sub(self.filed) {
            self.data.truncate(in_memory as usize);
            return Ok(());
        }
        self.data.clear();
        self.filed = len;
        self.spilled.as_ref().map_or(Ok(()), |file| file.set_len(len))
    }

    /// Nothing more is added: lays out what is in memory as it is read, so that whoever drains it need not.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if self.backward && self.spilled.is_none() {
            let mut ordered = Vec::with_capacity(self.data.len());
            let (rest, _) = backward(&self.data, &mut ordered)?;
            if rest != 0 {
                return Err(broken());
            }
            (self.data, self.backward) = (ordered, false);
        }
        Ok(())
    }

    /// Writes everything in the direction it is read in, and forgets it.
    pub(super) fn drain(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.backward {
            self.drain_backward(out)?;
        } else {
            if let Some(file) = &mut self.spilled {
                file.seek(SeekFrom::Start(0))?;
                io::copy(&mut file.take(self.filed), out)?;
            }
            out.write_all(&self.data)?;
        }
        self.data.clear();
        self.filed = 0;
        self.spilled = None;
        Ok(())
    }

    /// Pieces never straddle memory and file.
    fn drain_backward(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let (rest, _) = backward(&self.data, out)?;
        if rest != 0 {
            return Err(broken());
        }
        let Some(file) = &mut self.spilled else { return Ok(()) };
        let mut end = self.filed;
        let mut want = BLOCK as u64;
        while end > 0 {
            let start = end.saturating_sub(want);
            let mut block = vec![0; (end - start) as usize];
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut block)?;
            let (rest, short_of) = backward(&block, out)?;
            // a piece longer than the block: read it whole
            want = if rest as u64 == end - start { short_of.max(want * 2) } else { BLOCK as u64 };
            end = start + rest as u64;
            if start == 0 && end > 0 && rest == block.len() {
                return Err(broken());
            }
        }
        Ok(())
    }
}

/// Writes whole pieces from the end of a block; how many bytes at its beginning are left, and how long the
/// piece is that begins before the block.
fn backward(block: &[u8], out: &mut dyn Write) -> io::Result<(usize, u64)> {
    let mut rest = block;
    while let Some((body, len)) = rest.split_last_chunk::<4>() {
        let len = u32::from_le_bytes(*len);
        let Some(start) = body.len().checked_sub(len as usize) else {
            return Ok((rest.len(), u64::from(len) + LEN));
        };
        let (before, piece) = body.split_at(start);
        out.write_all(piece)?;
        rest = before;
    }
    Ok((rest.len(), 0))
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the spill file is not what was written")
}

/// A file in the folder for temporary files that nobody else can open and that goes with its handle.
pub(super) fn nameless() -> io::Result<File> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let folder = std::env::temp_dir();
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("binlog-operator-trace-{}-{number}", std::process::id()));
        match File::options().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(backward: bool, sizes: &[usize]) -> (Pieces, Vec<Vec<u8>>) {
        let mut pieces = Pieces::new(backward);
        let all: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, size)| vec![i as u8; *size]).collect();
        for piece in &all {
            pieces
                .push(|out| {
                    out.extend_from_slice(piece);
                    io::Result::Ok(())
                })
                .unwrap();
        }
        (pieces, all)
    }

    #[test]
    fn both_directions_in_memory_and_from_the_file() {
        for sizes in [&[][..], &[0, 3, 5], &[1 << 20; 20], &[9 << 20, 1, 7 << 20, 2], &[100_000; 150]] {
            let (mut pieces, all) = filled(false, sizes);
            let mut out = Vec::new();
            pieces.drain(&mut out).unwrap();
            assert!(out == all.concat());
            for settled in [false, true] {
                let (mut pieces, mut all) = filled(true, sizes);
                all.reverse();
                if settled {
                    pieces.settle().unwrap();
                }
                out.clear();
                pieces.drain(&mut out).unwrap();
                assert!(out == all.concat(), "{sizes:?}");
            }
        }
    }

    #[test]
    fn truncated_to_an_earlier_place() {
        for backward in [false, true] {
            let mut pieces = Pieces::new(backward);
            let push = |pieces: &mut Pieces, byte: u8, len: usize| {
                pieces.push(|out| {
                    out.resize(out.len() + len, byte);
                    io::Result::Ok(())
                })
            };
            push(&mut pieces, b'a', 10).unwrap();
            let place = pieces.len();
            for _ in 0..20 {
                push(&mut pieces, b'b', 1 << 20).unwrap();
            }
            pieces.truncate(place).unwrap();
            push(&mut pieces, b'c', 1).unwrap();
            let mut out = Vec::new();
            pieces.drain(&mut out).unwrap();
            out.sort_unstable();
            assert_eq!(out, b"aaaaaaaaaac", "{backward}");
        }
    }
}
