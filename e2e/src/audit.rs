//! The operator's own log of its actions (`--write-log`), checked for fencing.

use crate::search::Doc;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// One action and what the index said.
#[derive(Clone, Debug, Deserialize)]
pub struct Action {
    /// The document.
    pub id: String,
    /// The version it carried.
    pub version: i64,
    /// `index` or `delete`.
    pub op: String,
    /// The transactions that the read had to have: a GTID set, or a number of locks.
    pub snapshot: String,
    /// `Done`, `Superseded(Some(1))`, `Rejected("...")`, ...
    pub verdict: String,
    /// The run that sent it.
    pub owner: String,
}

impl Action {
    /// The index accepted it.
    pub fn done(&self) -> bool {
        self.verdict == "Done"
    }
}

/// All actions in the order of their answers.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// The actions.
    pub actions: Vec<Action>,
}

impl Audit {
    /// Reads a log. A last line that a killed process left half-written is left out.
    pub fn read(path: &Path) -> Self {
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        let actions = whole.lines().filter_map(|line| {
            // a kill in mid-line and a restart leave one line that cannot be read
            serde_json::from_str(line).ok()
        });
        Self { actions: actions.collect() }
    }

    /// Without the first `count` actions.
    #[must_use]
    pub fn since(&self, count: usize) -> Self {
        Self { actions: self.actions.iter().skip(count).cloned().collect() }
    }

    /// Fails the test unless
    /// - an id's accepted versions never fall within a run,
    /// - within a run a higher version never carries an older snapshot than a lower one of the same id (a new
    ///   owner begins at the checkpoint, and asks for less than the last one had seen),
    /// - the index holds exactly what the highest accepted version of each id said.
    pub fn check(&self, docs: &BTreeMap<String, Doc>) {
        let mut accepted: BTreeMap<&str, &Action> = BTreeMap::new();
        let mut of_owner: BTreeMap<(&str, &str), &Action> = BTreeMap::new();
        for action in self.actions.iter().filter(|action| action.done()) {
            if let Some(before) = of_owner.insert((&action.owner, &action.id), action) {
                assert!(before.version <= action.version, "versions fell: {before:?}, then {action:?}");
            }
            let last = accepted.entry(&action.id).or_insert(action);
            if last.version <= action.version {
                *last = action;
            }
        }
        let mut sorted: Vec<&Action> = self.actions.iter().collect();
        sorted.sort_by(|a, b| (&a.owner, &a.id, a.version).cmp(&(&b.owner, &b.id, b.version)));
        for pair in sorted.windows(2) {
            let (lower, higher) = (pair[0], pair[1]);
            if lower.owner == higher.owner && lower.id == higher.id && lower.version < higher.version {
                let (old, new) = (numbers(&lower.snapshot), numbers(&higher.snapshot));
                let falls = old.iter().any(|(uuid, last)| new.get(uuid).is_none_or(|now| now < last));
                assert!(!falls, "a higher version has an older snapshot: {lower:?}, then {higher:?}");
            }
        }
        for (id, last) in accepted {
            match (last.op.as_str(), docs.get(id)) {
                ("index", Some(doc)) => assert_eq!(doc.version, last.version, "{last:?}"),
                ("delete", None) => {}
                (_, doc) => panic!("the index holds {doc:?}, the last accepted action is {last:?}"),
            }
        }
    }
}

/// The highest number of each UUID in a GTID set.
pub fn numbers(set: &str) -> BTreeMap<String, u64> {
    let mut numbers = BTreeMap::new();
    for part in set.split(',') {
        let mut fields = part.trim().split(':');
        let Some(uuid) = fields.next().filter(|uuid| uuid.len() == 36) else { continue };
        let last = fields.next_back().and_then(|range| range.rsplit('-').next());
        if let Some(last) = last.and_then(|last| last.parse().ok()) {
            numbers.insert(uuid.to_owned(), last);
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn action(version: i64, op: &str, last: u64, verdict: &str) -> Action {
        Action {
            id: "7".into(),
            version,
            op: op.into(),
            snapshot: format!("{UUID}:1-3:5-{last}"),
            verdict: verdict.into(),
            owner: "a".into(),
        }
    }

    fn docs(version: Option<i64>) -> BTreeMap<String, Doc> {
        version.map(|version| ("7".to_owned(), Doc { version, source: "{}".into() })).into_iter().collect()
    }

    #[test]
    fn good_logs_pass() {
        let good = [action(5, "index", 9, "Done"), action(8, "delete", 12, "Done")];
        Audit { actions: good.to_vec() }.check(&docs(None));
        let retried = [action(5, "index", 9, "Retry(\"x\")"), action(8, "index", 9, "Done")];
        Audit { actions: retried.to_vec() }.check(&docs(Some(8)));
    }

    #[test]
    #[should_panic(expected = "older snapshot")]
    fn an_older_snapshot_under_a_higher_version_is_found() {
        let bad = [action(5, "index", 12, "Superseded(Some(8))"), action(8, "index", 9, "Done")];
        Audit { actions: bad.to_vec() }.check(&docs(Some(8)));
    }

    #[test]
    #[should_panic(expected = "versions fell")]
    fn falling_versions_are_found() {
        let bad = [action(8, "delete", 12, "Done"), action(5, "index", 9, "Done")];
        Audit { actions: bad.to_vec() }.check(&docs(Some(5)));
    }
}
