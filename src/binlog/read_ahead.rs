//! A file's bytes, read by another thread before they are asked for.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes of a block: the next ones and those that were just read stay in a core's cache.
const BLOCK: usize = 256 << 10;
/// Blocks that are read and nobody has taken yet: so many that neither side waits for each of the other's.
const AHEAD: usize = 8;

type Block = io::Result<Vec<u8>>;

/// Bytes from an offset of a file to its end.
pub(super) struct ReadAhead {
    blocks: Receiver<Block>,
    /// Takes blocks back, to be filled again.
    spare: Sender<Vec<u8>>,
    block: Vec<u8>,
    taken: usize,
    /// This block is the last, whatever the file has grown by since.
    is_last: bool,
}

impl ReadAhead {
    pub(super) fn new(file: File, offset: u64) -> Self {
        let (sender, blocks) = sync_channel(AHEAD);
        let (spare, spares) = channel();
        std::thread::spawn(move || send_blocks(&file, offset, &sender, &spares));
        Self { blocks, spare, block: Vec::new(), taken: 0, is_last: false }
    }
}

/// Sends blocks, up to the first that the file's end cuts, until nobody wants more.
fn send_blocks(file: &File, mut offset: u64, sender: &SyncSender<Block>, spares: &Receiver<Vec<u8>>) {
    loop {
        let block = read_block(file, offset, spares.try_recv().unwrap_or_default());
        let is_last = !matches!(&block, Ok(block) if block.len() == BLOCK);
        if sender.send(block).is_err() || is_last {
            return;
        }
        offset += BLOCK as u64;
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
        if self.taken == self.block.len() && !self.is_last {
            let _ = self.spare.send(std::mem::take(&mut self.block)); // the thread may have come to the end
            self.taken = 0;
            let ended = |_| io::Error::other("the thread that reads has ended");
            self.block = self.blocks.recv().map_err(ended)??;
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
        for len in [0, 5, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 27 * BLOCK + 3] {
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
