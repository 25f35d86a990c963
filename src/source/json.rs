//! Writes JSON tokens into a byte buffer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A string with its quotes. What comes in must be UTF-8.
pub(super) fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    while let Some((plain, tail)) =
        rest.iter().position(|byte| escapes(*byte)).and_then(|at| rest.split_at_checked(at))
    {
        out.extend_from_slice(plain);
        let Some((byte, tail)) = tail.split_first() else { break };
        escape(out, *byte);
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn escapes(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Bytes as base64 with padding, as a string.
pub(super) fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}

/// Bytes as lower-case hexadecimal digits, as a string.
pub(super) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    out.push(b'"');
    out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    out.push(b'"');
}

/// JSON text on one line: line breaks can only be white space between its tokens.
pub(super) fn one_line(out: &mut Vec<u8>, json: &[u8]) {
    if memchr::memchr2(b'\n', b'\r', json).is_none() {
        out.extend_from_slice(json);
    } else {
        out.extend(json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    }
}

/// DECIMAL's text as a number: leading zeros of ZEROFILL are not JSON. `None` where it is no number.
pub(super) fn decimal<'a>(out: &mut Vec<u8>, text: &'a [u8]) -> Option<&'a [u8]> {
    let (sign, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let mut whole = digits;
    while let [b'0', rest @ ..] = whole
        && rest.first().is_some_and(u8::is_ascii_digit)
    {
        whole = rest;
    }
    let legal = whole.iter().all(|b| b.is_ascii_digit() || *b == b'.')
        && whole.first().is_some_and(u8::is_ascii_digit)
        && whole.last().is_some_and(u8::is_ascii_digit)
        && memchr::memchr_iter(b'.', whole).count() <= 1;
    if !legal {
        return None;
    }
    if sign {
        out.push(b'-');
    }
    out.extend_from_slice(whole);
    Some(whole)
}

/// A number with at least so many digits.
pub(super) fn padded(out: &mut Vec<u8>, number: u32, digits: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number).as_bytes();
    for _ in text.len()..digits {
        out.push(b'0');
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest::proptest! {
        #[test]
        fn strings_are_what_serde_json_reads(text in ".*|[\\x00-\\x7f]*") {
            let json = written(|out| string(out, text.as_bytes()));
            let back: String = serde_json::from_str(&json).unwrap();
            proptest::prop_assert_eq!(&back, &text);
            proptest::prop_assert!(!json.bytes().any(|b| b < 0x20));
        }
    }

    #[test]
    fn decimals_lose_only_zero_fill() {
        let number = |text: &str| written(|out| assert!(decimal(out, text.as_bytes()).is_some()));
        assert_eq!(number("0000012.30"), "12.30");
        assert_eq!(number("-0.00"), "-0.00");
        assert_eq!(number("0000"), "0");
        assert_eq!(number("98765432109876543210.123456789"), "98765432109876543210.123456789");
        for bad in ["", "-", ".5", "5.", "1e5", "1.2.3"] {
            assert!(decimal(&mut Vec::new(), bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
