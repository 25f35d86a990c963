//! Times as lists write them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Microseconds since 1970 of `2026-11-21T14:05:00Z` or `2026-11-21 14:05:00` (UTC).
pub(super) fn micros(text: &str) -> Option<u64> {
    let own = text.parse::<Timestamp>();
    let time = own.or_else(|_| TimeZone::UTC.to_timestamp(text.parse::<DateTime>()?)).ok()?;
    u64::try_from(time.as_microsecond()).ok()
}

/// `2026-11-21T14:05:00Z`, the fraction of the second cut off.
pub(super) fn text(micros: u64) -> String {
    let second = i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX);
    Timestamp::from_second(second).map_or_else(|_| micros.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (written, expected) in [
            ("2026-11-21T14:05:00Z", Some(1_795_269_900_000_000)),
            ("2026-11-21 14:05:00", Some(1_795_269_900_000_000)),
            ("2026-11-21T16:05:00.5+02:00", Some(1_795_269_900_500_000)),
            ("1969-01-01T00:00:00Z", None),
            ("noon", None),
        ] {
            assert_eq!(micros(written), expected, "{written}");
        }
        assert_eq!(text(1_795_269_900_500_000), "2026-11-21T14:05:00Z");
    }
}
