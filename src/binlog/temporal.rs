//! Dates and times in row images. Source: WL#946 (fractional seconds), strings/my_time.cc.

use super::cursor::Cursor;
use super::error::Malformed;
use crate::model::Value;

/// DATE: 5 bits day, 4 bits month, 15 bits year.
pub(super) fn date(packed: u32) -> Value<'static> {
    Value::Date { year: (packed >> 9) as u16, month: (packed >> 5 & 15) as u8, day: (packed & 31) as u8 }
}

/// Microseconds of a fraction of 0 to 3 bytes: hundredths, ten-thousandths or millionths.
fn micros(fraction: u64, len: u8) -> u32 {
    fraction as u32
        * match len {
            0 | 1 => 10_000,
            2 => 100,
            _ => 1,
        }
}

/// TIME(fsp): a big-endian integer of 24 bits (hours, minutes, seconds) and a fraction behind it, shifted so
/// that negative times sort first.
pub(super) fn time(c: &mut Cursor<'_>, fraction_len: u8) -> Result<Value<'static>, Malformed> {
    let shift = u32::from(fraction_len) * 8;
    let raw = c.uint_be(3 + usize::from(fraction_len))? as i64 - (0x80_0000 << shift);
    Ok(time_value(raw, shift, fraction_len))
}

fn time_value(raw: i64, shift: u32, fraction_len: u8) -> Value<'static> {
    let magnitude = raw.unsigned_abs();
    let whole = magnitude >> shift;
    Value::Time {
        negative: raw < 0,
        hours: (whole >> 12 & 0x3ff) as u16,
        minute: (whole >> 6 & 63) as u8,
        second: (whole & 63) as u8,
        micros: micros(magnitude & ((1 << shift) - 1), fraction_len),
    }
}

/// DATETIME(fsp): 40 bits, big endian, then the fraction.
pub(super) fn datetime(c: &mut Cursor<'_>, fraction_len: u8) -> Result<Value<'static>, Malformed> {
    let whole = c.uint_be(5)? & 0x7f_ffff_ffff;
    let fraction = c.uint_be(usize::from(fraction_len))?;
    Ok(datetime_value(whole, micros(fraction, fraction_len)))
}

fn datetime_value(whole: u64, micros: u32) -> Value<'static> {
    let months = whole >> 22;
    Value::DateTime {
        year: (months / 13) as u16,
        month: (months % 13) as u8,
        day: (whole >> 17 & 31) as u8,
        hour: (whole >> 12 & 31) as u8,
        minute: (whole >> 6 & 63) as u8,
        second: (whole & 63) as u8,
        micros,
    }
}

/// TIMESTAMP(fsp): big-endian seconds, then the fraction.
pub(super) fn timestamp(c: &mut Cursor<'_>, fraction_len: u8) -> Result<Value<'static>, Malformed> {
    let seconds = c.uint_be(4)? as u32;
    let fraction = c.uint_be(usize::from(fraction_len))?;
    Ok(Value::Timestamp { seconds, micros: micros(fraction, fraction_len) })
}

/// TIME before 5.6: the decimal digits hhmmss as a signed integer of 24 bits.
pub(super) fn old_time(raw: u32) -> Value<'static> {
    let signed = (raw << 8) as i32 >> 8;
    let digits = signed.unsigned_abs();
    Value::Time {
        negative: signed < 0,
        hours: (digits / 10_000) as u16,
        minute: (digits / 100 % 100) as u8,
        second: (digits % 100) as u8,
        micros: 0,
    }
}

/// DATETIME before 5.6: the decimal digits yyyymmddhhmmss.
pub(super) fn old_datetime(digits: u64) -> Value<'static> {
    let (date, time) = (digits / 1_000_000, digits % 1_000_000);
    Value::DateTime {
        year: (date / 10_000) as u16,
        month: (date / 100 % 100) as u8,
        day: (date % 100) as u8,
        hour: (time / 10_000) as u8,
        minute: (time / 100 % 100) as u8,
        second: (time % 100) as u8,
        micros: 0,
    }
}

/// The 64-bit form within JSON: 40 bits as above and 24 bits of microseconds (TIME: signed).
pub(super) fn packed_datetime(raw: i64) -> Value<'static> {
    let magnitude = raw.unsigned_abs();
    datetime_value(magnitude >> 24, (magnitude & 0xff_ffff) as u32)
}

/// See [`packed_datetime`].
pub(super) fn packed_time(raw: i64) -> Value<'static> {
    time_value(raw, 24, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time_of(bytes: &[u8]) -> Value<'static> {
        time(&mut Cursor::new(bytes), bytes.len() as u8 - 3).unwrap()
    }

    fn expect(negative: bool, hours: u16, minute: u8, second: u8, micros: u32) -> Value<'static> {
        Value::Time { negative, hours, minute, second, micros }
    }

    #[test]
    fn negative_times_borrow_from_the_fraction() {
        assert_eq!(time_of(&[0x7f, 0xff, 0xff, 0xce]), expect(true, 0, 0, 0, 500_000));
        assert_eq!(time_of(&[0x7f, 0xff, 0xfe, 0xce]), expect(true, 0, 0, 1, 500_000));
        assert_eq!(time_of(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff]), expect(true, 0, 0, 0, 1));
        assert_eq!(time_of(&[0x80, 0, 1]), expect(false, 0, 0, 1, 0));
        assert_eq!(time_of(&[0x4b, 0x91, 0x05]), expect(true, 838, 59, 59, 0)); // -838:59:59: 0x34 6e fb
    }

    #[test]
    fn times_of_old_servers() {
        assert_eq!(old_time(0x80_0a59), expect(true, 838, 59, 59, 0));
        assert!(matches!(
            old_datetime(99_991_231_235_958),
            Value::DateTime { year: 9999, month: 12, day: 31, hour: 23, minute: 59, second: 58, micros: 0 }
        ));
    }
}
