//! DECIMAL's binary form. Source: strings/decimal.cc, `decimal2bin`: groups of nine digits as big-endian
//! integers, a shorter group first and last; the highest bit inverted; all bits inverted where negative.

use super::error::Malformed;

/// Bytes for 0 to 9 digits.
fn group_len(digits: u8) -> u8 {
    match digits {
        0 => 0,
        1 | 2 => 1,
        3 | 4 => 2,
        5 | 6 => 3,
        _ => 4,
    }
}

/// The length of DECIMAL(precision, scale); `None` where the server has no such type.
pub(super) fn len(precision: u8, scale: u8) -> Option<u8> {
    let whole = precision.checked_sub(scale)?;
    if precision > 65 || precision == 0 {
        return None;
    }
    let part = |digits: u8| digits / 9 * 4 + group_len(digits % 9);
    Some(part(whole) + part(scale))
}

/// Appends the number in plain notation with all its fractional digits.
pub(super) fn format(bytes: &[u8], precision: u8, scale: u8, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let first = *bytes.first().ok_or(Malformed::SHORT)?;
    let negative = first & 0x80 == 0;
    let mut groups = Groups { rest: bytes, first: true, invert: if negative { 0xff } else { 0 } };
    if negative {
        out.push(b'-');
    }
    let start = out.len();
    let whole = precision.checked_sub(scale).ok_or(Malformed::SHORT)?;
    if !whole.is_multiple_of(9) {
        push_group(groups.next(group_len(whole % 9))?, whole % 9, start, out);
    }
    for _ in 0..whole / 9 {
        push_group(groups.next(4)?, 9, start, out);
    }
    if out.len() == start {
        out.push(b'0');
    }
    if scale == 0 {
        return Ok(());
    }
    out.push(b'.');
    for _ in 0..scale / 9 {
        push_group(groups.next(4)?, 9, usize::MAX, out);
    }
    if !scale.is_multiple_of(9) {
        push_group(groups.next(group_len(scale % 9))?, scale % 9, usize::MAX, out);
    }
    Ok(())
}

struct Groups<'a> {
    rest: &'a [u8],
    first: bool,
    invert: u8,
}

impl Groups<'_> {
    #[inline]
    fn next(&mut self, len: u8) -> Result<u32, Malformed> {
        let (head, tail) = self.rest.split_at_checked(usize::from(len)).ok_or(Malformed::SHORT)?;
        self.rest = tail;
        let mut value = 0;
        for byte in head {
            let byte = byte ^ self.invert ^ if self.first { 0x80 } else { 0 };
            self.first = false;
            value = value << 8 | u32::from(byte);
        }
        Ok(value)
    }
}

/// Appends a group's digits; leading zeros are left out while nothing stands at or after `start`.
#[inline]
fn push_group(value: u32, digits: u8, start: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 9];
    let mut rest = value;
    for slot in text.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let skip = if out.len() == start {
        text.iter().take_while(|c| **c == b'0').count()
    } else {
        9_usize.saturating_sub(usize::from(digits))
    };
    out.extend_from_slice(text.get(skip..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], precision: u8, scale: u8) -> String {
        let mut out = Vec::new();
        format(bytes, precision, scale, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_manuals_example() {
        let bytes = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        assert_eq!(len(14, 4), Some(7));
        assert_eq!(text(&bytes, 14, 4), "1234567890.1234");
        let negative: Vec<u8> = bytes.iter().map(|b| !b).collect();
        assert_eq!(text(&negative, 14, 4), "-1234567890.1234");
    }

    #[test]
    fn zeros() {
        assert_eq!(text(&[0x80, 0, 0], 5, 2), "0.00");
        assert_eq!(text(&[0x80], 2, 2), "0.00");
        assert_eq!(text(&[0x80, 0, 0, 0, 0], 10, 0), "0");
        assert_eq!(text(&[0x80, 0, 0, 0, 5], 10, 0), "5");
    }

    #[test]
    fn lengths() {
        assert_eq!(len(65, 30), Some(30));
        assert_eq!((len(66, 0), len(0, 0), len(3, 4)), (None, None, None));
    }
}
