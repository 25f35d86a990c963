//! Cuts a run of bytes into events by the length in each header.

use std::io::{self, BufRead, ErrorKind, Read};

use super::cursor::Cursor;
use super::header::{HEADER_LEN, Header};

/// Longer events are read as their bytes come, so that a corrupt length does not allocate gigabytes.
const TRUSTED_LEN: usize = 16 << 20;

/// Why there is no event.
pub(super) enum FrameError {
    /// The reader failed.
    Io(io::Error),
    /// The bytes end within an event.
    Cut,
    /// The length is less than a header's.
    Length(Header),
}

impl From<io::Error> for FrameError {
    fn from(e: io::Error) -> Self {
        if e.kind() == ErrorKind::UnexpectedEof { Self::Cut } else { Self::Io(e) }
    }
}

/// Reads one event, header to checksum, into `out`, whose capacity is used again. `None` at the end.
pub(super) fn read_frame(reader: &mut impl Read, out: &mut Vec<u8>) -> Result<Option<Header>, FrameError> {
    let Some((head, header)) = read_head(reader)? else { return Ok(None) };
    read_rest(reader, &head, &header, out)?;
    Ok(Some(header))
}

/// The same for an event that is wanted; what it read says true. Others are stepped over without a copy.
pub(super) fn read_frame_if(
    reader: &mut impl BufRead,
    out: &mut Vec<u8>,
    wanted: impl FnOnce(&Header) -> bool,
) -> Result<Option<(Header, bool)>, FrameError> {
    let Some((head, header)) = read_head(reader)? else { return Ok(None) };
    let wanted = wanted(&header);
    if wanted {
        read_rest(reader, &head, &header, out)?;
    } else {
        step_over(reader, rest_of(&header)?)?;
    }
    Ok(Some((header, wanted)))
}

fn read_head(reader: &mut impl Read) -> Result<Option<([u8; HEADER_LEN], Header)>, FrameError> {
    let mut head = [0; HEADER_LEN];
    match read_full(reader, &mut head)? {
        0 => return Ok(None),
        HEADER_LEN => {}
        _ => return Err(FrameError::Cut),
    }
    let header = Header::read(&mut Cursor::new(&head)).map_err(|_| FrameError::Cut)?;
    Ok(Some((head, header)))
}

/// Bytes behind the header.
fn rest_of(header: &Header) -> Result<usize, FrameError> {
    (header.length as usize).checked_sub(HEADER_LEN).ok_or(FrameError::Length(*header))
}

fn read_rest(
    reader: &mut impl Read,
    head: &[u8; HEADER_LEN],
    header: &Header,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let rest = rest_of(header)?;
    if rest <= TRUSTED_LEN {
        out.resize(HEADER_LEN + rest, 0);
        let (first, body) = out.split_at_mut_checked(HEADER_LEN).ok_or(FrameError::Cut)?;
        first.copy_from_slice(head);
        reader.read_exact(body)?;
    } else {
        out.clear();
        out.extend_from_slice(head);
        if reader.by_ref().take(rest as u64).read_to_end(out)? < rest {
            return Err(FrameError::Cut);
        }
    }
    Ok(())
}

fn step_over(reader: &mut impl BufRead, mut rest: usize) -> Result<(), FrameError> {
    while rest > 0 {
        let there = match reader.fill_buf() {
            Ok(bytes) => bytes.len().min(rest),
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e.into()),
        };
        if there == 0 {
            return Err(FrameError::Cut);
        }
        reader.consume(there);
        rest -= there;
    }
    Ok(())
}

/// Fills the buffer as far as the bytes go.
fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let len = buffer.len();
    let mut rest = buffer;
    while !rest.is_empty() {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(n) => rest = rest.split_at_mut_checked(n).map_or(&mut [], |(_, tail)| tail),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(len - rest.len())
}
