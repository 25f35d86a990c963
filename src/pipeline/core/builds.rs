//! Builds: walks of keys, page by page, each page acknowledged before the cursor passes it.

use std::collections::{BTreeMap, VecDeque};

use super::protocol::{BuildSpec, Page, Selection};
use crate::model::{Build, BuildPhase, Key};

/// The name of the build that the task starts by itself: initial sync and repairs.
pub const FULL: &str = "full";

/// The cause of the first Full of a task: nothing is repaired by it.
pub const INITIAL: &str = "initial sync";

#[derive(Debug)]
struct WalkedPage {
    hold: u64,
    last: Option<Key>,
    keys: u64,
    documents: u64,
    waiting: u64,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) spec: BuildSpec,
    pub(super) run: u64,
    pub(super) record: Build,
    pages: VecDeque<WalkedPage>,
    pub(super) after: Option<Key>,
    pub(super) asked: bool,
    walked: bool,
    swept_once: bool,
    /// Keys of an explicit selection that are not walked.
    rest: Option<VecDeque<Key>>,
}

/// What a build needs next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    Walk { after: Option<Key>, limit: usize },
    Keys(Page),
    Sweep { below: u64, first: bool },
    Complete,
    Sweeping,
    Nothing,
}

#[derive(Debug, Default)]
pub(super) struct Builds {
    /// In the order in which they run; the first is active.
    queue: VecDeque<Running>,
    /// Those that are complete, as they stand in the checkpoint.
    pub(super) done: BTreeMap<String, Build>,
    runs: u64,
    sweep: bool,
}

impl Builds {
    pub(super) fn new(sweep: bool) -> Self {
        Self { sweep, ..Self::default() }
    }

    /// Queues a build, or goes on with the one that the checkpoint knows by the same name and hash.
    pub(super) fn add(
        &mut self,
        spec: BuildSpec,
        known: Option<Build>,
        cause: &str,
        first_version: u64,
        front: bool,
    ) {
        if self
            .queue
            .iter()
            .any(|b| b.spec.name == spec.name && b.record.selection_hash == spec.selection_hash)
        {
            return;
        }
        let known = known.filter(|build| build.selection_hash == spec.selection_hash);
        if let Some(build) = known.as_ref().filter(|build| build.phase.is_over()) {
            self.done.insert(spec.name, build.clone());
            return;
        }
        self.runs += 1;
        let record = known.unwrap_or_else(|| Build {
            cause: cause.to_owned(),
            selection_hash: spec.selection_hash.clone(),
            phase: BuildPhase::Pending,
            cursor: None,
            first_version,
            keys_done: 0,
            documents: 0,
            keys_estimate: if let Selection::Keys(keys) = &spec.selection { keys.len() as u64 } else { 0 },
            failed: String::new(),
        });
        self.done.remove(&spec.name);
        let rest = if let Selection::Keys(keys) = &spec.selection { Some(keys) } else { None };
        let mut rest: Option<VecDeque<Key>> = rest.map(|keys| keys.iter().cloned().collect());
        if let (Some(rest), Some(cursor)) = (&mut rest, &record.cursor)
            && let Some(at) = rest.iter().position(|key| key == cursor)
        {
            rest.drain(..=at);
        }
        let running = Running {
            run: self.runs,
            after: record.cursor.clone(),
            walked: record.phase == BuildPhase::Sweeping,
            record,
            pages: VecDeque::new(),
            asked: false,
            swept_once: false,
            rest,
            spec,
        };
        if front { self.queue.push_front(running) } else { self.queue.push_back(running) }
    }

    /// Takes a build out, whatever its state.
    pub(super) fn remove(&mut self, name: &str) {
        self.queue.retain(|build| build.spec.name != name);
        self.done.remove(name);
    }

    pub(super) fn active(&mut self) -> Option<&mut Running> {
        self.queue.front_mut()
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Running> {
        self.queue.iter()
    }

    pub(super) fn idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Every build's record for the checkpoint.
    pub(super) fn records(&self) -> BTreeMap<String, Build> {
        let running = self.queue.iter().map(|build| (build.spec.name.clone(), build.record.clone()));
        self.done.clone().into_iter().chain(running).collect()
    }

    pub(super) fn estimate(&mut self, name: &str, keys: u64) {
        for build in self.queue.iter_mut().filter(|build| build.spec.name == name) {
            build.record.keys_estimate = keys;
        }
    }

    /// True where a sweep is all that the active build waits for.
    pub(super) fn sweeps(&self) -> bool {
        let active = self.queue.front();
        active.is_some_and(|build| build.record.phase == BuildPhase::Sweeping && !build.swept_once)
    }

    /// What the active build needs next; `Complete` ends it. A sweep begins only if it `may`.
    pub(super) fn need(&mut self, may: bool) -> Need {
        let sweep = self.sweep;
        let Some(build) = self.queue.front_mut() else { return Need::Nothing };
        if build.asked {
            return Need::Nothing;
        }
        let sweeps = sweep && build.spec.selection == Selection::Full;
        if build.record.phase == BuildPhase::Pending {
            build.record.phase = BuildPhase::Walking;
        }
        match build.record.phase {
            BuildPhase::Walking if !build.walked => build.walk(),
            BuildPhase::Walking if !build.pages.is_empty() => Need::Nothing,
            BuildPhase::Walking if sweeps => {
                build.record.phase = BuildPhase::Sweeping;
                Need::Sweeping
            }
            BuildPhase::Sweeping if sweeps && !build.swept_once && !may => Need::Nothing,
            BuildPhase::Sweeping if sweeps && !(build.swept_once && build.walked) => {
                let first = !std::mem::replace(&mut build.swept_once, true);
                (build.asked, build.walked) = (true, false);
                Need::Sweep { below: build.record.first_version, first }
            }
            _ if !build.pages.is_empty() => Need::Nothing,
            _ => Need::Complete,
        }
    }

    /// The active build is through: gives its name.
    pub(super) fn complete(&mut self) -> Option<String> {
        let mut build = self.queue.pop_front()?;
        build.record.phase = BuildPhase::Complete;
        build.record.cursor = None;
        self.done.insert(build.spec.name.clone(), build.record);
        Some(build.spec.name)
    }

    /// Gives a build up where its selection cannot be read; a Full is never given up. True where it was.
    pub(super) fn fail(&mut self, name: &str, run: u64, why: &str) -> bool {
        let part = |b: &Running| b.spec.name == name && b.run == run && b.spec.selection == Selection::Part;
        let Some(at) = self.queue.iter().position(part) else { return false };
        let Some(mut build) = self.queue.remove(at) else { return false };
        build.record.phase = BuildPhase::Failed;
        why.clone_into(&mut build.record.failed);
        self.done.insert(build.spec.name.clone(), build.record);
        true
    }

    /// A page came for this run of a build; `hold` names it. False where nobody asked.
    pub(super) fn walked(&mut self, name: &str, run: u64, hold: u64, page: &Page) -> bool {
        let Some(build) = self.queue.iter_mut().find(|b| b.spec.name == name && b.run == run) else {
            return false;
        };
        build.asked = false;
        build.walked = !page.more;
        let last = page.keys.last().cloned();
        if build.record.phase == BuildPhase::Walking {
            build.after = last.clone().or(build.after.take());
        }
        let last = last.filter(|_| build.record.phase == BuildPhase::Walking);
        build.pages.push_back(WalkedPage {
            hold,
            last,
            keys: page.keys.len() as u64,
            documents: 0,
            waiting: 0,
        });
        true
    }

    /// Ids that a build awaits besides those that it walks.
    pub(super) fn also(&mut self, name: &str, hold: u64) {
        if let Some(build) = self.queue.iter_mut().find(|build| build.spec.name == name) {
            build.pages.push_back(WalkedPage { hold, last: None, keys: 0, documents: 0, waiting: 0 });
        }
    }

    /// The page could not be fetched.
    pub(super) fn walk_failed(&mut self, name: &str, run: u64) {
        if let Some(build) = self.queue.iter_mut().find(|b| b.spec.name == name && b.run == run) {
            build.asked = false;
            if build.record.phase == BuildPhase::Sweeping {
                // a scroll cannot go on after a failed page: the sweep begins again
                (build.swept_once, build.walked) = (false, true);
            }
        }
    }

    pub(super) fn wait(&mut self, hold: u64) {
        if let Some(page) = self.page(hold) {
            page.waiting += 1;
        }
    }

    /// An id of a page is acknowledged. True where the hold is a build's page.
    pub(super) fn release(&mut self, hold: u64) -> bool {
        let Some(page) = self.page(hold) else { return false };
        page.waiting = page.waiting.saturating_sub(1);
        true
    }

    /// The document of an id is written: the pages of builds that wait for it count it.
    pub(super) fn wrote(&mut self, holds: &[u64]) {
        for hold in holds {
            if let Some(page) = self.page(*hold) {
                page.documents += 1;
            }
        }
    }

    /// Moves the cursors over the pages that are wholly acknowledged. True where one moved.
    pub(super) fn advance(&mut self) -> bool {
        let mut moved = false;
        for build in &mut self.queue {
            while build.pages.front().is_some_and(|page| page.waiting == 0) {
                let Some(page) = build.pages.pop_front() else { break };
                build.record.documents += page.documents;
                if build.record.phase == BuildPhase::Walking {
                    build.record.keys_done += page.keys;
                    build.record.cursor = page.last.or(build.record.cursor.take());
                }
                moved = true;
            }
        }
        moved
    }

    fn page(&mut self, hold: u64) -> Option<&mut WalkedPage> {
        self.queue.iter_mut().flat_map(|build| &mut build.pages).find(|page| page.hold == hold)
    }
}

impl Running {
    fn walk(&mut self) -> Need {
        let limit = self.spec.page_size.max(1);
        self.asked = true;
        let Some(rest) = &mut self.rest else { return Need::Walk { after: self.after.clone(), limit } };
        let keys: Vec<Key> = rest.drain(..rest.len().min(limit)).collect();
        Need::Keys(Page { more: !rest.is_empty(), keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(selection: Selection) -> BuildSpec {
        BuildSpec { name: "b".into(), selection, selection_hash: "h".into(), page_size: 2 }
    }

    fn page(keys: &[i64], more: bool) -> Page {
        Page { keys: keys.iter().map(|key| Key::int(*key)).collect(), more }
    }

    #[test]
    fn the_cursor_follows_acknowledgement_in_order() {
        let mut builds = Builds { sweep: true, ..Builds::default() };
        builds.add(spec(Selection::Full), None, "initial", 7, false);
        assert_eq!(builds.need(true), Need::Walk { after: None, limit: 2 });
        assert_eq!(builds.need(true), Need::Nothing);
        builds.walked("b", 1, 100, &page(&[1, 2], true));
        builds.wait(100);
        assert_eq!(builds.need(true), Need::Walk { after: Some(Key::int(2)), limit: 2 });
        builds.walked("b", 1, 101, &page(&[3], false));
        assert!(!builds.advance());
        assert_eq!(builds.records()["b"].cursor, None);
        assert_eq!(builds.need(true), Need::Nothing);
        builds.wrote(&[100]);
        assert_eq!(builds.records()["b"].documents, 0);
        builds.release(100);
        assert!(builds.advance());
        assert_eq!(builds.records()["b"].documents, 1);
        assert_eq!(
            (builds.records()["b"].cursor.clone(), builds.records()["b"].keys_done),
            (Some(Key::int(3)), 3)
        );
        assert_eq!(builds.need(true), Need::Sweeping);
        assert_eq!(builds.need(false), Need::Nothing);
        assert_eq!(builds.need(true), Need::Sweep { below: 7, first: true });
        builds.walked("b", 1, 102, &page(&[9], true));
        assert_eq!(builds.need(true), Need::Sweep { below: 7, first: false });
        builds.walk_failed("b", 1);
        assert_eq!(builds.need(true), Need::Sweep { below: 7, first: true });
        builds.walked("b", 1, 103, &page(&[], false));
        builds.wait(102);
        builds.advance();
        assert_eq!(builds.need(true), Need::Nothing);
        builds.release(102);
        builds.advance();
        assert_eq!(builds.need(true), Need::Complete);
        assert_eq!(builds.complete().as_deref(), Some("b"));
    }

    #[test]
    fn goes_on_at_its_cursor_and_runs_once() {
        let mut builds = Builds::default();
        let keys: Vec<Key> = (1..=5).map(Key::int).collect();
        builds.add(spec(Selection::Keys(keys.clone())), None, "reindex", 0, false);
        let mut known = builds.records()["b"].clone();
        known.cursor = Some(Key::int(2));
        let mut again = Builds::default();
        again.add(spec(Selection::Keys(keys)), Some(known.clone()), "reindex", 0, false);
        assert_eq!(again.need(true), Need::Keys(page(&[3, 4], true)));
        known.phase = BuildPhase::Complete;
        let mut third = Builds::default();
        third.add(spec(Selection::Part), Some(known), "reindex", 0, false);
        assert!(third.idle() && third.done.contains_key("b"));
    }
}
