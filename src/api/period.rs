//! Lengths of time as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time, written like `500ms`, `30s`, `5m`, `1h30m`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Period(pub Duration);

/// The notation, for the schema; [`Period::from_str`] reads exactly this.
pub(crate) const PATTERN: &str = "^([0-9]{1,9}(ms|s|m|h))+$";

impl Period {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The length as the standard library has it.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no length of time; write for example 500ms, 30s, 5m or 1h30m")]
pub struct NoPeriod(String);

impl FromStr for Period {
    type Err = NoPeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut total, mut rest) = (Duration::ZERO, text);
        let bad = || NoPeriod(text.to_owned());
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at_checked(digits).ok_or_else(bad)?;
            if digits > 9 {
                return Err(bad());
            }
            let number: u64 = number.parse().map_err(|_| bad())?;
            let (unit, tail) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
                .into_iter()
                .find_map(|(name, millis)| tail.strip_prefix(name).map(|tail| (millis, tail)))
                .ok_or_else(bad)?;
            total += Duration::from_millis(number * unit);
            rest = tail;
        }
        if text.is_empty() { Err(bad()) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "maxLength": 40, "pattern": PATTERN})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        for (text, millis, printed) in [
            ("500ms", 500, "500ms"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("0s", 0, "0s"),
            ("1s1ms", 1_001, "1s1ms"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!((period.get().as_millis(), period.to_string()), (millis, printed.to_owned()));
        }
    }

    #[test]
    fn refuses_what_the_schema_refuses() {
        let pattern = regex::Regex::new(PATTERN).unwrap();
        for bad in ["", "5", "s", "5 m", "1.5h", "-5s", "5sec", "5d", "1234567890s", "é", "5é"] {
            assert!(bad.parse::<Period>().is_err() && !pattern.is_match(bad), "{bad}");
        }
        assert!(pattern.is_match("1h30m5s500ms"));
    }
}
