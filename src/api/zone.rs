//! Time zones by name or offset, as users write them.

use jiff::tz::{Offset, TimeZone};

/// A time zone as users name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Reads `UTC`, a name of the system's time zone database (`Europe/Berlin`) or an offset (`+05:30`).
    ///
    /// # Errors
    /// Words that say what was found.
    pub fn read(text: &str) -> Result<Self, String> {
        if let Some(offset) = offset(text) {
            return Ok(Self(offset.to_time_zone()));
        }
        TimeZone::get(text).map(Self).map_err(|_| format!("{text:?} is no time zone of this machine"))
    }

    /// The zone itself.
    pub fn time_zone(&self) -> &TimeZone {
        &self.0
    }
}

/// `+HH:MM` or `-HH:MM`, up to 14 hours.
fn offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let legal = minutes < 60 && hours * 60 + minutes <= 14 * 60;
    if legal { Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_offsets() {
        for good in ["UTC", "Europe/Berlin", "+05:30", "-14:00", "+00:00"] {
            assert!(Zone::read(good).is_ok(), "{good}");
        }
        for bad in ["", "+5:30", "+25:00", "+05:60", "Mars/Olympus", "0530", "+é:00"] {
            assert!(Zone::read(bad).is_err(), "{bad}");
        }
    }
}
