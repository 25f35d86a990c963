//! Dates from one form into another.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::api::{DateFormat, Zone};

/// A form of dates.
#[derive(Clone, Debug)]
enum Form {
    Iso,
    EpochSeconds,
    EpochMillis,
    Pattern(String),
}

impl Form {
    fn read(text: Option<&str>) -> Self {
        match text {
            None | Some("iso") => Self::Iso,
            Some("epochSeconds") => Self::EpochSeconds,
            Some("epochMillis") => Self::EpochMillis,
            Some(pattern) => Self::Pattern(pattern.to_owned()),
        }
    }
}

/// From which form into which.
#[derive(Clone, Debug)]
pub(super) struct Dates {
    from: Form,
    to: Form,
    zone: TimeZone,
}

impl Dates {
    /// A zone that the checks refuse counts as UTC.
    pub(super) fn new(format: &DateFormat) -> Self {
        let zone = format.zone.as_deref().and_then(|zone| Zone::read(zone).ok()).unwrap_or(Zone::UTC);
        Self {
            from: Form::read(format.from.as_deref()),
            to: Form::read(Some(&format.to)),
            zone: zone.time_zone().clone(),
        }
    }

    /// A date's JSON in the other form.
    pub(super) fn convert(&self, json: &str) -> Result<String, String> {
        let text = if json.starts_with('"') {
            serde_json::from_str(json).map_err(|error| error.to_string())?
        } else {
            json.to_owned()
        };
        let date = self.read(&text)?;
        match &self.to {
            Form::Iso => Ok(format!("\"{}\"", date.strftime("%Y-%m-%dT%H:%M:%S%.f%:z"))),
            Form::EpochSeconds => Ok(date.timestamp().as_second().to_string()),
            Form::EpochMillis => Ok(date.timestamp().as_millisecond().to_string()),
            Form::Pattern(pattern) => {
                let text = strtime::format(pattern, &date).map_err(|error| error.to_string())?;
                Ok(super::fields::quoted(&text))
            }
        }
    }

    fn read(&self, text: &str) -> Result<Zoned, String> {
        let local = |at: DateTime| at.to_zoned(self.zone.clone()).map_err(|error| error.to_string());
        let instant = |at: Timestamp| at.to_zoned(self.zone.clone());
        let number = || text.parse::<i64>().map_err(|_| "it is no whole number".to_owned());
        match &self.from {
            Form::EpochSeconds => Timestamp::from_second(number()?).map(instant).map_err(|e| e.to_string()),
            Form::EpochMillis => {
                Timestamp::from_millisecond(number()?).map(instant).map_err(|e| e.to_string())
            }
            Form::Iso => {
                if let Ok(at) = text.parse::<Timestamp>() {
                    return Ok(instant(at));
                }
                let day = || text.parse::<Date>().map(|day| day.at(0, 0, 0, 0));
                let at = text.parse::<DateTime>().or_else(|_| day());
                local(at.map_err(|_| "it is no date of ISO 8601".to_owned())?)
            }
            Form::Pattern(pattern) => {
                let wrong = |_| format!("it is no date of the form {pattern}");
                let parsed = strtime::parse(pattern, text).map_err(wrong)?;
                if let Ok(at) = parsed.to_timestamp() {
                    return Ok(instant(at));
                }
                let day = || parsed.to_date().map(|day| day.at(0, 0, 0, 0));
                local(parsed.to_datetime().or_else(|_| day()).map_err(wrong)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(from: Option<&str>, to: &str, zone: Option<&str>, json: &str) -> Result<String, String> {
        let owned = |text: &str| text.to_owned();
        let format =
            DateFormat { field: "at".into(), from: from.map(owned), to: to.into(), zone: zone.map(owned) };
        Dates::new(&format).convert(json)
    }

    #[test]
    fn forms_and_zones() {
        let berlin = Some("Europe/Berlin");
        for (from, to, zone, json, wanted) in [
            (None, "%d.%m.%Y", None, r#""2026-02-28""#, r#""28.02.2026""#),
            (None, "iso", None, r#""2026-02-28T23:59:59.070""#, r#""2026-02-28T23:59:59.07+00:00""#),
            (None, "iso", berlin, r#""2026-07-01T12:00:00""#, r#""2026-07-01T12:00:00+02:00""#),
            (None, "iso", berlin, r#""2026-07-01T12:00:00Z""#, r#""2026-07-01T14:00:00+02:00""#),
            (None, "epochMillis", Some("+05:30"), r#""1970-01-01T05:30:00.25""#, "250"),
            (Some("%d/%m/%Y %H:%M"), "epochSeconds", None, r#""02/01/1970 00:01""#, "86460"),
            (Some("epochMillis"), "%Y-%m-%d", None, "86400000", r#""1970-01-02""#),
            (Some("epochSeconds"), "%Y", None, r#""0""#, r#""1970""#),
            (Some("%Y%m%d"), "%Y-%m", None, "20260228", r#""2026-02""#),
        ] {
            let found = converted(from, to, zone, json);
            assert_eq!(found.as_deref(), Ok(wanted), "{from:?} {to} {zone:?} {json}");
        }
        for (from, json) in
            [(None, r#""soon""#), (Some("%Y"), r#""x""#), (Some("epochMillis"), "1.5"), (None, "{}")]
        {
            assert!(converted(from, "iso", None, json).is_err(), "{from:?} {json}");
        }
    }
}
