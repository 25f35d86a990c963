//! The core's view as conditions, numbers and metrics.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::core::{Counts, FULL, INITIAL, View};
use super::feed::StreamCounts;
use super::shared::Shared;
use crate::mapping::WalkSelection;
use crate::metrics::TaskMetrics;
use crate::model::{Build, BuildPhase, BuildProgress, ConditionType, Key, TaskStatus};

/// Rates are over this long.
const WINDOW: Duration = Duration::from_secs(5);

/// Makes a task's status of the core's views, one after the other.
pub(super) struct Reporter {
    stall_timeout: u64,
    counts: Counts,
    rates: HashMap<String, Rate>,
    stream: [u64; 4],
    /// What the preflight found that is not good, one line each.
    warnings: String,
    /// Builds that cannot run, and why.
    pub(super) refused: HashMap<String, String>,
}

#[derive(Clone, Copy)]
struct Rate {
    since: Instant,
    from: u64,
    per_second: f64,
}

impl Reporter {
    pub(super) fn new(stall_timeout: Duration, warnings: &[String]) -> Self {
        let stall_timeout = stall_timeout.as_millis() as u64;
        Self {
            stall_timeout,
            counts: Counts::default(),
            rates: HashMap::new(),
            stream: [0; 4],
            refused: HashMap::new(),
            warnings: warnings.join("\n"),
        }
    }

    /// The status now.
    pub(super) fn status(&mut self, view: &View, shared: &Shared) -> TaskStatus {
        let now = shared.clock.millis();
        let mut status = TaskStatus {
            lag_seconds: lag(view),
            pending_ids: view.pending as u64,
            dead_letters: view.dead_letters as u64,
            documents_written: view.counts.written,
            documents_deleted: view.counts.deleted,
            position: Some(view.position.clone()),
            mapping: shared.mapping(),
            binlog_kept: shared.binlog_kept,
            ..TaskStatus::default()
        };
        for built in &view.builds {
            let rate = self.rate(&built.name, built.build.keys_done);
            status.builds.insert(
                built.name.clone(),
                BuildProgress {
                    cause: built.build.cause.clone(),
                    phase: built.build.phase,
                    keys_done: built.build.keys_done,
                    documents: built.build.documents,
                    keys_estimate: estimate(&built.name, &built.build, shared),
                    rate,
                    cursor: built.build.cursor.as_ref().map(Key::document_id),
                    failed: built.build.failed.clone(),
                },
            );
        }
        // the task's own build is not refused with one that took its name
        for (name, words) in self.refused.iter().filter(|(name, _)| *name != FULL) {
            let refused = BuildProgress {
                cause: "reindex".to_owned(),
                phase: BuildPhase::Failed,
                failed: words.clone(),
                ..BuildProgress::default()
            };
            status.builds.insert(name.clone(), refused);
        }
        let reason = if self.warnings.is_empty() { "Passed" } else { "Warnings" };
        status.set(ConditionType::Preflight, true, reason, self.warnings.as_str());
        conditions(view, &mut status, now.saturating_sub(view.progressed) > self.stall_timeout);
        status
    }

    fn rate(&mut self, build: &str, done: u64) -> f64 {
        let fresh = Rate { since: Instant::now(), from: done, per_second: 0.0 };
        let rate = self.rates.entry(build.to_owned()).or_insert(fresh);
        let elapsed = rate.since.elapsed();
        if elapsed >= WINDOW {
            let per_second = done.saturating_sub(rate.from) as f64 / elapsed.as_secs_f64();
            *rate = Rate { per_second, ..fresh };
        } else if rate.per_second == 0.0 && elapsed.as_millis() > 200 {
            return done.saturating_sub(rate.from) as f64 / elapsed.as_secs_f64();
        }
        rate.per_second
    }

    /// Moves the metrics to the view's numbers.
    pub(super) fn metrics(
        &mut self,
        view: &View,
        status: &TaskStatus,
        stream: &StreamCounts,
        metrics: &TaskMetrics,
    ) {
        let (old, new) = (std::mem::replace(&mut self.counts, view.counts), view.counts);
        metrics.lag_seconds.set(status.lag_seconds);
        if let Some(complete_until) = view.complete_until {
            metrics.watermark_timestamp_seconds.set(complete_until / 1_000_000);
        }
        metrics.pending_ids.set(status.pending_ids);
        metrics.in_flight_batches.set(view.in_flight as u64);
        metrics.dead_letters.set(status.dead_letters);
        metrics.epoch.set(view.epoch);
        metrics.documents_written.add(new.written - old.written);
        metrics.documents_deleted.add(new.deleted - old.deleted);
        metrics.superseded.add(new.superseded - old.superseded);
        metrics.dead_lettered.add(new.rejected - old.rejected);
        metrics.transactions.add(new.transactions - old.transactions);
        metrics.lookups.add(new.lookups - old.lookups);
        metrics.reads.add(new.reads - old.reads);
        metrics.reconnects.add(new.reconnects - old.reconnects);
        metrics.checkpoint_saves.add(new.saves - old.saves);
        metrics.foreign_writer.add(new.foreign_writers - old.foreign_writers);
        metrics.retried("source", new.source_retries - old.source_retries);
        metrics.retried("sink", new.sink_retries - old.sink_retries);
        metrics.retried("store", new.store_retries - old.store_retries);
        for _ in old.gaps..new.gaps {
            metrics.gap(gap_class(view.repairing.as_deref().unwrap_or_default()));
        }
        let counters = [
            (&stream.bytes, &metrics.source_bytes),
            (&stream.rows, &metrics.rows),
            (&stream.pruned, &metrics.rows_pruned),
            (&stream.ignored, &metrics.ignorable_events),
        ];
        for ((counted, metric), old) in counters.into_iter().zip(&mut self.stream) {
            let now = counted.load(Ordering::Relaxed);
            metric.add(now.saturating_sub(std::mem::replace(old, now)));
        }
        for (name, build) in &status.builds {
            if build.phase.is_over() {
                metrics.build_ended(name);
            } else {
                metrics.build(name, build.keys_done, build.keys_estimate);
            }
        }
        for (condition, said) in &status.conditions {
            metrics.condition(condition.name(), said.status == crate::model::ConditionStatus::True);
        }
    }
}

/// About how many keys a build walks: those it knows, or the main table's rows where it walks all of them.
fn estimate(name: &str, build: &Build, shared: &Shared) -> u64 {
    if build.keys_estimate > 0 {
        return build.keys_estimate;
    }
    match shared.walk(name) {
        Some(WalkSelection::All) => shared.main_rows.load(std::sync::atomic::Ordering::Relaxed),
        _ => 0,
    }
}

/// A gap's cause as a label of few values; the words stand in the condition Repairing and in the log.
fn gap_class(cause: &str) -> &'static str {
    const CLASSES: [(&str, &str); 7] = [
        ("state is lost", "state"),
        ("index", "index"),
        ("XA ", "xa"),
        ("1236", "position"),
        ("server lacks", "restored"),
        ("it was restored", "restored"),
        ("another server", "restored"),
    ];
    CLASSES.iter().find(|(words, _)| cause.contains(words)).map_or("events", |(_, class)| class)
}

fn lag(view: &View) -> u64 {
    let Some(oldest) = view.oldest_commit.filter(|oldest| *oldest > 0) else { return 0 };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    now.saturating_sub(oldest) / 1_000_000
}

fn conditions(view: &View, status: &mut TaskStatus, stalled: bool) {
    use ConditionType as C;
    let connected = view.streaming && view.source_error.is_none();
    let source = view.stream_error.as_ref().or(view.source_error.as_ref());
    let source = source.cloned().unwrap_or_default();
    let reason = if connected { "Streaming" } else { "NotStreaming" };
    status.set(C::SourceConnected, connected, reason, source.as_str());
    let sink = view.sink_error.clone().unwrap_or_default();
    let reason = if view.sink_error.is_none() { "Writing" } else { "NotWriting" };
    status.set(C::SinkConnected, view.sink_error.is_none(), reason, sink.as_str());
    let behind = format!("{} ids wait; the watermark is {}", view.pending, view.position);
    let reason = if view.caught_up { "CaughtUp" } else { "Behind" };
    status.set(C::CaughtUp, view.caught_up, reason, behind);
    let letters = format!("{} documents were refused", view.dead_letters);
    let reason = match (view.dead_letters, view.dead_letters_full) {
        (_, true) => "StoreFull",
        (0, _) => "None",
        _ => "Refused",
    };
    status.set(C::DeadLetters, view.dead_letters > 0, reason, letters);
    let repairing = view.repairing.as_ref().filter(|cause| *cause != INITIAL);
    let reason = if repairing.is_some() { "Building" } else { "None" };
    status.set(C::Repairing, repairing.is_some(), reason, repairing.cloned().unwrap_or_default());
    status.set(C::Paused, false, "Running", "");
    let reason = if view.foreign_writer { "VersionAboveOurs" } else { "None" };
    status.set(C::ForeignWriter, view.foreign_writer, reason, "");
    let (ready, reason, message) = readiness(view, stalled, connected);
    status.set(C::Ready, ready, reason, message);
}

fn readiness(view: &View, stalled: bool, connected: bool) -> (bool, &'static str, String) {
    let words = |error: &Option<String>| error.clone().unwrap_or_default();
    if let Some(halted) = &view.halted {
        return (false, "Halted", halted.clone());
    }
    if view.dead_letters_full {
        let message = "the dead letters' store is full: heal or replay dead letters";
        return (false, "DeadLettersFull", message.into());
    }
    if view.store_error.is_some() {
        return (false, "CheckpointNotSaved", words(&view.store_error));
    }
    if view.sink_error.is_some() {
        return (false, "SinkUnavailable", words(&view.sink_error));
    }
    if !connected {
        let error = view.stream_error.as_ref().or(view.source_error.as_ref());
        let starting = "the binlog stream is being opened";
        return (false, "SourceUnavailable", error.cloned().unwrap_or_else(|| starting.into()));
    }
    let idle = view.caught_up && view.pending == 0;
    if stalled && !idle {
        return (false, "Stalled", "no progress for longer than spec.stallTimeout".into());
    }
    let building = view.builds.iter().any(|b| !b.build.phase.is_over());
    let reason = match (building, view.caught_up) {
        (true, _) => "Building",
        (false, true) => "InSync",
        (false, false) => "CatchingUp",
    };
    (true, reason, String::new())
}

#[cfg(test)]
mod tests {
    use super::super::core::{Config, Core, Identity, Now};
    use super::*;
    use crate::metrics::Metrics;

    /// A figure that is declared and never set would stand on every dashboard as 0.
    #[test]
    fn every_metric_of_the_view_is_told() {
        let now = Now { millis: 0, unix_micros: 0 };
        let core = Core::new(Config::default(), Identity::default(), None, Vec::new(), now);
        let counts = Counts {
            transactions: 2,
            written: 3,
            deleted: 4,
            superseded: 5,
            rejected: 6,
            source_retries: 7,
            sink_retries: 8,
            store_retries: 9,
            reads: 10,
            lookups: 11,
            saves: 12,
            reconnects: 13,
            gaps: 14,
            foreign_writers: 15,
        };
        let view = View { counts, epoch: 16, in_flight: 17, complete_until: Some(18_000_000), ..core.view() };
        let build = BuildProgress { keys_done: 19, keys_estimate: 20, ..BuildProgress::default() };
        let mut status =
            TaskStatus { lag_seconds: 21, pending_ids: 22, dead_letters: 23, ..TaskStatus::default() };
        status.builds.insert("full".into(), build);
        status.set(ConditionType::Ready, true, "InSync", "");
        let stream = StreamCounts::default();
        for (count, number) in
            [&stream.bytes, &stream.rows, &stream.pruned, &stream.ignored].into_iter().zip(24..)
        {
            count.store(number, Ordering::Relaxed);
        }
        let metrics = Metrics::new().unwrap();
        let task = metrics.task("orders").unwrap();
        task.read_seconds.took(Duration::from_secs(1)); // lanes tell these two
        task.bulk_seconds.took(Duration::from_secs(1));
        Reporter::new(Duration::from_secs(1), &[]).metrics(&view, &status, &stream, &task);
        let text = metrics.render().unwrap();
        let values: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit(' ').next())
            .collect();
        for number in 2..=27 {
            assert!(values.contains(&number.to_string().as_str()), "nothing tells {number}:\n{text}");
        }
        let told = |family: &str| {
            let of = |line: &str| {
                line.starts_with(&format!("{family}{{")) || line.starts_with(&format!("{family}_sum{{"))
            };
            text.lines().any(|line| of(line) && !line.ends_with(" 0"))
        };
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let silent: Vec<&str> = families.filter(|family| !told(family)).collect();
        assert!(silent.is_empty(), "{silent:?} of\n{text}");
    }
}
