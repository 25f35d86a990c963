//! Whether binlog files follow each other.

use super::TraceError;
use crate::model::GtidSet;

/// What is known at the end of the files so far.
#[derive(Default)]
pub(super) struct Follows {
    file: String,
    /// The file that the last one names as the next.
    next: Option<String>,
    /// Every GTID up to the end; `None` where that is not known.
    seen: Option<GtidSet>,
    /// PREVIOUS_GTIDS of the file that is being read came.
    met: bool,
}

impl Follows {
    /// Within a file, with every GTID up to there.
    pub(super) fn within(file: &str, seen: Option<GtidSet>) -> Self {
        Self { file: file.to_owned(), next: None, seen, met: true }
    }

    /// Every GTID so far; `None` where that is not known.
    pub(super) fn seen(&self) -> Option<&GtidSet> {
        self.seen.as_ref()
    }

    /// A file begins. `Err` where its name says that one is missing between.
    pub(super) fn begin(&mut self, name: &str) -> Result<(), TraceError> {
        let before = std::mem::replace(&mut self.file, name.to_owned());
        let next = self.next.take();
        self.met = false;
        if before.is_empty() || self.seen.as_ref().is_some_and(|seen| !seen.is_empty()) {
            return Ok(()); // GTIDs will tell
        }
        let wrong = match (&next, number(&before), number(name)) {
            (Some(next), ..) if next == name => None,
            (Some(next), _, Some(_)) => Some(format!("it names {next} as the next")),
            (None, Some(a), Some(b)) if a + 1 != b => Some("their numbers do not follow".to_owned()),
            _ => None,
        };
        match wrong {
            Some(reason) => Err(gap(&before, name, &reason)),
            None => Ok(()),
        }
    }

    /// ROTATE at a file's end.
    pub(super) fn rotate(&mut self, next: &str) {
        self.next = Some(next.to_owned());
    }

    /// PREVIOUS_GTIDS of the file; `before` is the name of the one read before.
    pub(super) fn previous(&mut self, set: &GtidSet, before: Option<&str>) -> Result<(), TraceError> {
        if std::mem::replace(&mut self.met, true) {
            return Ok(()); // a relay log has two
        }
        let seen = self.seen.replace(set.clone());
        let (Some(seen), Some(before)) = (seen, before) else { return Ok(()) };
        let missing = set.minus(&seen);
        if !missing.is_empty() {
            return Err(gap(before, &self.file, &format!("GTIDs {missing} lie between")));
        }
        let twice = seen.minus(set);
        if !twice.is_empty() {
            return Err(gap(
                before,
                &self.file,
                &format!("GTIDs {twice} are in files before, but not before it"),
            ));
        }
        Ok(())
    }

    /// A transaction of the file.
    pub(super) fn gtid(&mut self, gtid: &crate::model::Gtid) {
        if let Some(seen) = &mut self.seen {
            seen.insert(gtid);
        }
    }
}

fn gap(file: &str, next: &str, what: &str) -> TraceError {
    let reason = format!("{what}; give the files in order and without a gap, or --allow-gaps");
    TraceError::Gap { file: file.to_owned(), next: next.to_owned(), reason }
}

/// `binlog.000012` is number 12.
fn number(name: &str) -> Option<u64> {
    let (_, digits) = name.rsplit_once('.')?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_where_gtids_do_not() {
        let mut follows = Follows::default();
        follows.begin("b.000001").unwrap();
        follows.rotate("b.000002");
        follows.begin("b.000002").unwrap();
        assert!(
            follows.begin("b.000004").unwrap_err().to_string().contains("b.000004 does not follow b.000002")
        );
        let mut copied = Follows::default();
        copied.begin("monday").unwrap();
        copied.rotate("b.000002");
        copied.begin("tuesday").unwrap();
    }

    #[test]
    fn gtids_tell_what_is_missing() {
        let set = |text: &str| text.parse::<GtidSet>().unwrap();
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let mut follows = Follows::default();
        follows.begin("b.1").unwrap();
        follows.previous(&set(""), None).unwrap();
        follows.gtid(&format!("{uuid}:1").parse().unwrap());
        follows.begin("b.2").unwrap();
        follows.previous(&set(&format!("{uuid}:1")), Some("b.1")).unwrap();
        follows.begin("b.5").unwrap();
        let error = follows.previous(&set(&format!("{uuid}:1-3")), Some("b.2")).unwrap_err();
        assert!(error.to_string().contains(&format!("{uuid}:2-3")), "{error}");
    }
}
