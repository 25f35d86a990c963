//! Dead letters as a ConfigMap's data: who owns them, and a line of JSON each, for people to read.

use std::collections::BTreeMap;

use crate::model::Key;
use crate::pipeline::core::DeadLetter;

/// The ConfigMap's name after the task's.
pub(super) const PART: &str = "dead-letters";

/// A ConfigMap takes 1 MiB. Where the letters would not fit the task stalls loudly (DESIGN, invariant 9).
const MAX_BYTES: usize = 1_000_000;

/// The index may quote a whole document in its reason.
const MAX_REASON: usize = 400;

/// A task's dead letters and their owner.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Letters {
    pub(super) epoch: u64,
    owner: String,
    by_key: BTreeMap<Key, DeadLetter>,
}

impl Letters {
    /// Reads a ConfigMap's data.
    pub(super) fn read(data: &BTreeMap<String, String>) -> Result<Self, serde_json::Error> {
        let text = |key: &str| data.get(key).map(String::as_str).unwrap_or_default();
        let lines = text("letters").lines().filter(|line| !line.trim().is_empty());
        let letters = lines.map(|line| {
            let letter: DeadLetter = serde_json::from_str(line)?;
            Ok((letter.key.clone(), letter))
        });
        Ok(Self {
            by_key: letters.collect::<Result<_, serde_json::Error>>()?,
            epoch: text("epoch").parse().unwrap_or(0),
            owner: text("owner").to_owned(),
        })
    }

    pub(super) fn data(&self) -> Result<BTreeMap<String, String>, serde_json::Error> {
        Ok(BTreeMap::from([
            ("epoch".to_owned(), self.epoch.to_string()),
            ("owner".to_owned(), self.owner.clone()),
            ("letters".to_owned(), self.lines()?),
        ]))
    }

    fn lines(&self) -> Result<String, serde_json::Error> {
        let mut lines = String::new();
        for letter in self.by_key.values() {
            lines.push_str(&serde_json::to_string(letter)?);
            lines.push('\n');
        }
        Ok(lines)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &DeadLetter> {
        self.by_key.values()
    }

    /// The same letters with a new owner.
    pub(super) fn claimed_by(&self, epoch: u64, owner: &str) -> Self {
        Self { epoch, owner: owner.to_owned(), by_key: self.by_key.clone() }
    }

    pub(super) fn is_owned_like(&self, other: &Self) -> bool {
        (self.epoch, &self.owner) == (other.epoch, &other.owner)
    }

    pub(super) fn change(&mut self, add: &[DeadLetter], remove: &[Key]) {
        for letter in add {
            let reason = letter.reason.chars().take(MAX_REASON).collect();
            self.by_key.insert(letter.key.clone(), DeadLetter { reason, ..letter.clone() });
        }
        for key in remove {
            self.by_key.remove(key);
        }
    }

    /// Why they do not fit.
    pub(super) fn too_large(&self) -> Option<String> {
        let bytes = self.lines().map_or(usize::MAX, |lines| lines.len());
        (bytes > MAX_BYTES).then(|| {
            let count = self.by_key.len();
            format!("{count} dead letters take {bytes} bytes, a ConfigMap holds {MAX_BYTES}; heal or replay dead letters")
        })
    }
}
