//! A file's bytes, read by other threads before they are asked for.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes of a block: so many that handing one over costs little beside copying it.
const BLOCK: usize = 1 << 20;
/// Threads: one alone copies hardly faster than a look over the headers goes.
const READERS: usize = 2;
/// Blocks that each has read and nobody has taken yet.
const AHEAD: usize = 1;

type Block = io::Result<Vec<u8>>;

/// Bytes from an offset of a file to its end.
pub(super) struct ReadAhead {
    /// Each brings one of so many blocks, and gets those back that were taken.
    readers: Vec<(Receiver<Block>, Sender<Vec<u8>>)>,
    turn: usize,
    block: Vec<u8>,
    taken: usize,
    /// This block is the last, whatever the file has grown by since.
    is_last: bool,
}

impl ReadAhead {
    pub(super) fn new(file: File, offset: u64) -> Self {
        let file = Arc::new(file);
        let start = |number: usize| {
            let (sender, blocks) = sync_channel(AHEAD);
            let (spare, spares) = channel();
            let file = Arc::clone(&file);
            std::thread::spawn(move || {
                send_blocks(&file, offset + (number * BLOCK) as u64, &sender, &spares);
            });
            (blocks, spare)
        };
        let readers = (0..READERS).map(start).collect();
        Self { readers, turn: 0, block: Vec::new(), taken: 0, is_last: false }
    }
}

/// Sends every so many-th block, up to the first that the file's end cuts, until nobody wants more.
fn send_blocks(file: &File, mut offset: u64, sender: &SyncSender<Block>, spares: &Receiver<Vec<u8>>) {
    loop {
        let block = read_block(file, offset, spares.try_recv().unwrap_or_default());
        let is_last = !matches!(&block, Ok(block) if block.len() == BLOCK);
        if sender.send(block).is_err() || is_last {
            return;
        }
        offset += (READERS * BLOCK) as u64;
    }
}

fn read_block(file: &File, offset: u64, mut block: Vec<u8>) -> Block {
    block.resize(BLOCK, 0);
    let mut filled = 0;
    while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    block.truncate(filled);
    Ok(block)
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.taken == self.block.len() && !self.is_last {
            let ended = || io::Error::other("a thread that reads has ended");
            if let Some((_, spare)) = self.readers.get((self.turn + READERS - 1) % READERS) {
                let _ = spare.send(std::mem::take(&mut self.block)); // it may have come to the end
                self.taken = 0;
            }
            let (blocks, _) = self.readers.get(self.turn % READERS).ok_or_else(ended)?;
            self.block = blocks.recv().map_err(|_| ended())??;
            self.turn += 1;
            self.is_last = self.block.len() < BLOCK;
        }
        Ok(self.block.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.taken = (self.taken + amount).min(self.block.len());
    }
}

impl Read for ReadAhead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_in_order() {
        let path = std::env::temp_dir().join(format!("binlog-operator-ahead-{}", std::process::id()));
        for len in [0, 5, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 7 * BLOCK + 3] {
            let bytes: Vec<u8> = (0..len).map(|n| (n / 251) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            for offset in [0, 4, BLOCK] {
                let mut read = Vec::new();
                ReadAhead::new(File::open(&path).unwrap(), offset as u64).read_to_end(&mut read).unwrap();
                assert!(read == bytes.get(offset..).unwrap_or_default(), "{len} from {offset}");
            }
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let folder = File::open(std::env::temp_dir()).unwrap();
        assert!(ReadAhead::new(folder, 0).read_to_end(&mut Vec::new()).is_err());
    }
}
