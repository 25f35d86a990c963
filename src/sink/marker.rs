//! Who owns an index, as recorded in its mapping:
//! `"_meta": {"binlog-operator": {"tasks": {"namespace/name": {"shared": false, "synced": true}}}}`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const KEY: &str = "binlog-operator";
const TASKS: &str = "tasks";

/// What is recorded of one task.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Mark {
    /// Accepts other tasks that say the same.
    pub(super) shared: bool,
    /// The task was in sync once: if its state is missing, the state is lost.
    pub(super) synced: bool,
}

fn tasks(meta: &Map<String, Value>) -> Option<&Map<String, Value>> {
    meta.get(KEY)?.get(TASKS)?.as_object()
}

/// The mark of a task.
pub(super) fn mark_of(meta: &Map<String, Value>, task: &str) -> Option<Mark> {
    tasks(meta)?.get(task).map(read)
}

/// A mark that cannot be read claims the index for itself alone.
fn read(mark: &Value) -> Mark {
    serde_json::from_value(mark.clone()).unwrap_or_default()
}

/// The task that does not let this one in.
pub(super) fn rival<'a>(meta: &'a Map<String, Value>, task: &str, shared: bool) -> Option<&'a str> {
    let others = tasks(meta)?.iter().filter(|(name, _)| name.as_str() != task);
    let mut rivals = others.filter(|(_, mark)| !(shared && read(mark).shared));
    rivals.next().map(|(name, _)| name.as_str())
}

/// `_meta` with a task's mark set, or taken away.
pub(super) fn with_mark(meta: &Map<String, Value>, task: &str, mark: Option<Mark>) -> Map<String, Value> {
    let mut tasks = tasks(meta).cloned().unwrap_or_default();
    match mark.and_then(|mark| serde_json::to_value(mark).ok()) {
        Some(mark) => tasks.insert(task.to_owned(), mark),
        None => tasks.remove(task),
    };
    let mut ours = meta.get(KEY).and_then(Value::as_object).cloned().unwrap_or_default();
    ours.insert(TASKS.to_owned(), Value::Object(tasks));
    let mut meta = meta.clone();
    meta.insert(KEY.to_owned(), Value::Object(ours));
    meta
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: Mark = Mark { shared: true, synced: false };

    #[test]
    fn marks_live_beside_what_others_keep() {
        let mut meta = Map::new();
        meta.insert("team".into(), "shop".into());
        assert_eq!((mark_of(&meta, "a/b"), rival(&meta, "a/b", false)), (None, None));
        let meta = with_mark(&meta, "a/b", Some(Mark { shared: false, synced: true }));
        assert_eq!(mark_of(&meta, "a/b"), Some(Mark { shared: false, synced: true }));
        assert_eq!(meta["team"], "shop");
        let meta = with_mark(&meta, "a/b", None);
        assert_eq!(mark_of(&meta, "a/b"), None);
    }

    #[test]
    fn sharing_needs_both() {
        let alone = with_mark(&Map::new(), "a/b", Some(Mark::default()));
        let open = with_mark(&Map::new(), "a/b", Some(SHARED));
        let rivals = |meta, shared| rival(meta, "c/d", shared).map(str::to_owned);
        assert_eq!(rivals(&alone, false).as_deref(), Some("a/b"));
        assert_eq!(rivals(&alone, true).as_deref(), Some("a/b"));
        assert_eq!(rivals(&open, false).as_deref(), Some("a/b"));
        assert_eq!(rivals(&open, true), None);
        assert_eq!(rival(&alone, "a/b", false), None);
        let broken = serde_json::json!({"binlog-operator": {"tasks": {"a/b": 7}}});
        assert!(rival(broken.as_object().unwrap(), "c/d", true).is_some());
    }
}
