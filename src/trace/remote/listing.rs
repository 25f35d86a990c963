//! Lists of binlog files: put in order, held against each other, and cut to the time that is asked for.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::runtime::Handle;

use super::link::Link;
use super::moment;
use crate::trace::{Input, Selection, TraceError};

/// Lists say times to the second: a file's last event may be up to so much later (microseconds).
const SECOND: u64 = 1_000_000;

/// A file of a list.
#[derive(Debug)]
pub(super) struct Entry {
    /// As the server calls it, perhaps with `.gz` or `.zst`.
    pub(super) name: String,
    pub(super) link: Link,
    /// Bytes, as they lie there.
    pub(super) size: Option<u64>,
    /// Microseconds since 1970 of the first and the last change.
    pub(super) start: Option<u64>,
    pub(super) end: Option<u64>,
}

impl Entry {
    /// `binlog.000012.gz` is number 12 of `binlog`.
    fn number(&self) -> Option<(&str, u64)> {
        let name = [".gz", ".zst", ".zstd"].iter().find_map(|end| self.name.strip_suffix(end));
        let (base, digits) = name.unwrap_or(&self.name).rsplit_once('.')?;
        Some((base, digits.parse().ok()?))
    }
}

/// Binlog files that lie elsewhere.
#[derive(Debug)]
pub struct Listing {
    /// What it is, for messages.
    what: String,
    entries: Vec<Entry>,
}

impl Listing {
    pub(super) fn new(what: String, entries: Vec<Entry>) -> Self {
        Self { what, entries }
    }

    /// The files that may hold what is selected, in order, and what a user should know of them. Only these are fetched,
    /// when their turn comes.
    pub fn inputs(
        self,
        selection: &Selection,
        allow_gaps: bool,
        runtime: &Handle,
        read: &Arc<AtomicU64>,
    ) -> Result<(Vec<Input>, Vec<String>), TraceError> {
        let (entries, warnings) = self.within(selection.start_time, selection.stop_time, allow_gaps)?;
        let input = |entry: Entry| {
            let timed = entry.start.is_some();
            Input::remote(&entry.name, entry.link, entry.size, timed, runtime, read)
        };
        Ok((entries.into_iter().map(input).collect(), warnings))
    }

    fn failed(&self, why: &str) -> TraceError {
        TraceError::Option(format!("{}: {why}", self.what))
    }

    /// The entries of the span, in order and without a hole.
    fn within(
        mut self,
        start: Option<u64>,
        stop: Option<u64>,
        allow_gaps: bool,
    ) -> Result<(Vec<Entry>, Vec<String>), TraceError> {
        self.arrange()?;
        // where a file does not say when it ends, the next one's beginning does
        let next = |index: usize| self.entries.get(index + 1).and_then(|next| next.start);
        let ends: Vec<Option<u64>> =
            self.entries.iter().enumerate().map(|(index, entry)| entry.end.or_else(|| next(index))).collect();
        let holds = |(entry, end): (&Entry, &Option<u64>)| {
            start.is_none_or(|start| end.is_none_or(|end| end.saturating_add(SECOND) > start))
                && stop.is_none_or(|stop| entry.start.is_none_or(|first| first < stop))
        };
        let held: Vec<bool> = self.entries.iter().zip(&ends).map(holds).collect();
        let Some(first) = held.iter().position(|held| *held) else { return Err(self.nothing(start, stop)) };
        let last = held.iter().rposition(|held| *held).unwrap_or(first);
        if !allow_gaps {
            self.check_holes(first.saturating_sub(1), last + 1)?;
        }
        let mut warnings = Vec::new();
        let begins = self.entries.first().and_then(|entry| entry.start);
        if let (0, Some(begins), Some(start)) = (first, begins, start)
            && begins > start.saturating_add(SECOND)
        {
            warnings.push(format!(
                "{} begins at {}: what was changed between --start-time and then is not in it",
                self.what,
                moment::text(begins)
            ));
        }
        let entries = self.entries.into_iter().take(last + 1).skip(first).collect();
        Ok((entries, warnings))
    }

    /// Puts the entries in the order of their numbers, else of their times.
    fn arrange(&mut self) -> Result<(), TraceError> {
        if self.entries.is_empty() {
            return Err(self.failed("it has no files"));
        }
        let base = self.entries.first().and_then(Entry::number).map(|(base, _)| base.to_owned());
        let numbered =
            base.is_some() && self.entries.iter().all(|entry| entry.number().map(|n| n.0) == base.as_deref());
        if numbered {
            self.entries.sort_by_key(|entry| entry.number().map(|(_, number)| number));
        } else if let Some(entry) = self.entries.iter().find(|entry| entry.start.is_none()) {
            if self.entries.len() > 1 {
                return Err(self.failed(&format!(
                    "{}: neither a number at the names' ends nor startTime says which file comes first; give startTime for \
                     each",
                    entry.name
                )));
            }
        } else {
            self.entries.sort_by_key(|entry| entry.start);
        }
        for pair in self.entries.windows(2) {
            let [a, b] = pair else { continue };
            if a.name == b.name || (numbered && a.number() == b.number()) {
                return Err(self.failed(&format!("{} is there twice", b.name)));
            }
            if let (Some(earlier), Some(later)) = (a.start, b.start)
                && earlier > later
            {
                return Err(self.failed(&format!(
                    "{} begins at {}, and {}, whose number is greater, before that, at {}: they are not files of one \
                     server, or their times are wrong",
                    a.name,
                    moment::text(earlier),
                    b.name,
                    moment::text(later)
                )));
            }
        }
        Ok(())
    }

    /// An error where a number is missing from `first` to `last`.
    fn check_holes(&self, first: usize, last: usize) -> Result<(), TraceError> {
        let window = self.entries.iter().take(last + 1).skip(first);
        for (a, b) in window.clone().zip(window.skip(1)) {
            if let (Some((base, number)), Some((other, following))) = (a.number(), b.number())
                && base == other
                && number + 1 != following
            {
                return Err(TraceError::Gap {
                    file: a.name.clone(),
                    next: b.name.clone(),
                    reason: format!(
                        "{} lacks {}; add what is missing, or give --allow-gaps",
                        self.what,
                        if number + 2 == following {
                            format!("number {}", number + 1)
                        } else {
                            format!("numbers {} to {}", number + 1, following - 1)
                        }
                    ),
                });
            }
        }
        Ok(())
    }

    fn nothing(&self, start: Option<u64>, stop: Option<u64>) -> TraceError {
        let time = |time: Option<u64>| time.map_or_else(|| "...".to_owned(), moment::text);
        let begins = self.entries.first().and_then(|entry| entry.start);
        let ends = self.entries.iter().rev().find_map(|entry| entry.end.or(entry.start));
        self.failed(&format!(
            "none of its files has changes from {} to {}: they are of {} to {}",
            time(start),
            time(stop),
            time(begins),
            time(ends)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, first and last second.
    fn listing(files: &[(&str, Option<u64>, Option<u64>)]) -> Listing {
        let entry = |(name, start, end): &(&str, Option<u64>, Option<u64>)| Entry {
            name: (*name).to_owned(),
            link: Link::Url("http://x/".into()),
            size: None,
            start: start.map(|s| s * SECOND),
            end: end.map(|s| s * SECOND),
        };
        Listing::new("the list".into(), files.iter().map(entry).collect())
    }

    fn names(listing: Listing, start: Option<u64>, stop: Option<u64>) -> Result<String, String> {
        let within = listing.within(start.map(|s| s * SECOND), stop.map(|s| s * SECOND), false);
        let (entries, _) = within.map_err(|e| e.to_string())?;
        Ok(entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(" "))
    }

    fn four() -> Listing {
        listing(&[
            ("b.000010", Some(30), Some(40)),
            ("b.000008.gz", Some(10), Some(20)),
            ("b.000011", Some(40), None),
            ("b.000009", Some(20), Some(30)),
        ])
    }

    #[test]
    fn files_come_in_order_and_only_those_of_the_time() {
        for (start, stop, expected) in [
            (None, None, "b.000008.gz b.000009 b.000010 b.000011"),
            (Some(15), Some(25), "b.000008.gz b.000009"),
            // to the second: the last event of 9 may be at 30.9
            (Some(30), Some(31), "b.000009 b.000010"),
            (Some(31), Some(32), "b.000010"),
            (Some(31), Some(30 + 9), "b.000010"),
            (Some(99), None, "b.000011"),
            (None, Some(20), "b.000008.gz"),
        ] {
            assert_eq!(names(four(), start, stop).as_deref(), Ok(expected), "{start:?} {stop:?}");
        }
        let error = names(four(), None, Some(5)).unwrap_err();
        assert!(error.contains("none of its files has changes from ... to 1970-01-01T00:00:05Z"), "{error}");
    }

    #[test]
    fn a_hole_counts_where_it_is_asked_for() {
        let hole = || {
            listing(&[
                ("b.1", Some(10), Some(20)),
                ("b.2", Some(20), Some(30)),
                ("b.4", Some(40), Some(50)),
                ("b.5", Some(50), Some(60)),
            ])
        };
        let error = names(hole(), None, None).unwrap_err();
        assert!(error.contains("b.4 does not follow b.2") && error.contains("lacks number 3"), "{error}");
        assert!(names(hole(), Some(32), Some(45)).is_err(), "what lies before 4 is asked for");
        assert_eq!(names(hole(), Some(12), Some(15)).as_deref(), Ok("b.1"));
        assert_eq!(names(hole(), Some(55), None).as_deref(), Ok("b.5"));
        let (all, _) = hole().within(None, None, true).unwrap();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn lists_that_contradict_themselves_are_refused() {
        for (files, expected) in [
            (&[][..], "it has no files"),
            (&[("b.1", None, None), ("b.1", None, None)], "b.1 is there twice"),
            (&[("b.1", None, None), ("b.01", None, None)], "b.01 is there twice"),
            (&[("b.1", Some(9), None), ("b.2", Some(8), None)], "b.2, whose number is greater"),
            (&[("monday", None, None), ("tuesday", Some(1), None)], "which file comes first"),
        ] {
            let error = names(listing(files), None, None).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let unnumbered = listing(&[("tuesday", Some(2), None), ("monday", Some(1), None)]);
        assert_eq!(names(unnumbered, None, None).as_deref(), Ok("monday tuesday"));
        assert_eq!(names(listing(&[("monday", None, None)]), None, None).as_deref(), Ok("monday"));
    }

    #[test]
    fn a_list_that_begins_too_late_is_told() {
        let (_, warnings) = four().within(Some(SECOND), None, false).unwrap();
        assert!(warnings.iter().any(|w| w.contains("begins at 1970-01-01T00:00:10Z")), "{warnings:?}");
        assert_eq!(four().within(Some(10 * SECOND), None, false).unwrap().1, Vec::<String>::new());
    }
}
