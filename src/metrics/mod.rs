//! Every metric's name, help, labels and registry on one page.
//!
//! In: what workers count. Out: the text that Prometheus reads. Only [`Metrics::new`] and [`Metrics::task`] can
//! fail, and only by a mistake in this file.

use std::collections::HashMap;
use std::time::Duration;

use prometheus::core::{Collector as _, MetricVec, MetricVecBuilder};
use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

const PREFIX: &str = "binlog_operator";
const TASK: &[&str] = &["task"];

/// From a read by key to a page of a full build.
const SECONDS: [f64; 14] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// A mistake in a metric's name or labels.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// A number that goes up and down.
#[derive(Clone, Debug)]
pub struct Gauge(prometheus::IntGauge);

impl Gauge {
    /// Says its value.
    pub fn set(&self, value: u64) {
        self.0.set(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// Its value.
    pub fn get(&self) -> i64 {
        self.0.get()
    }
}

/// A number that only grows.
#[derive(Clone, Debug)]
pub struct Counter(prometheus::IntCounter);

impl Counter {
    /// Adds one.
    pub fn one(&self) {
        self.0.inc();
    }

    /// Adds so many.
    pub fn add(&self, count: u64) {
        self.0.inc_by(count);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// How long something takes.
#[derive(Clone, Debug)]
pub struct Timer(prometheus::Histogram);

impl Timer {
    /// Something took so long.
    pub fn took(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }
}

/// Metrics with the label `task`, declared once: kind, field, name, help.
macro_rules! task_metrics {
    ($($vec:ident $kind:ident $field:ident = $name:literal: $help:literal;)*) => {
        /// All metric families and their registry.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            labelled: Labelled,
            $($field: $vec,)*
        }

        /// One task's metrics. Clones count on the same numbers.
        #[derive(Clone, Debug)]
        pub struct TaskMetrics {
            task: String,
            labelled: Labelled,
            $(#[doc = $help] pub $field: $kind,)*
        }

        impl Metrics {
            /// Registers everything.
            pub fn new() -> Result<Self, MetricsError> {
                let registry = Registry::new();
                $(
                    let $field = $vec::new(opts::$vec($name, $help), TASK)?;
                    registry.register(Box::new($field.clone()))?;
                )*
                let labelled = Labelled::new(&registry)?;
                Ok(Self { registry, labelled, $($field,)* })
            }

            /// Takes everything away that was counted for a task.
            pub fn forget(&self, task: &str) {
                $(forget(&self.$field, task);)*
                self.labelled.forget(task);
            }

            /// The metrics of a task; they read 0 from now on.
            pub fn task(&self, task: &str) -> Result<TaskMetrics, MetricsError> {
                Ok(TaskMetrics {
                    task: task.to_owned(),
                    labelled: self.labelled.clone(),
                    $($field: $kind(self.$field.get_metric_with_label_values(&[task])?),)*
                })
            }
        }
    };
}

task_metrics! {
    IntGaugeVec Gauge lag_seconds = "lag_seconds": "Age of the oldest change that is not in the index yet; 0 when caught up.";
    IntGaugeVec Gauge watermark_timestamp_seconds = "watermark_timestamp_seconds": "What the source committed before this time is in the index or among the dead letters: the oldest waiting change's commit, else when the source was last asked; in seconds since 1970.";
    IntGaugeVec Gauge pending_ids = "pending_ids": "Ids that wait or are in flight.";
    IntGaugeVec Gauge in_flight_batches = "in_flight_batches": "Batches being read or written.";
    IntGaugeVec Gauge dead_letters = "dead_letters": "Documents that were refused and have not been healed.";
    IntGaugeVec Gauge epoch = "epoch": "The owner's epoch; it grows with each start of a worker.";
    IntCounterVec Counter documents_written = "documents_written_total": "Documents written.";
    IntCounterVec Counter documents_deleted = "documents_deleted_total": "Documents deleted.";
    IntCounterVec Counter superseded = "superseded_total": "Writes that found a newer version of the document.";
    IntCounterVec Counter dead_lettered = "dead_letters_total": "Documents that were refused, counted each time.";
    IntCounterVec Counter foreign_writer = "foreign_writer_total": "Versions of somebody else found in the index.";
    IntCounterVec Counter transactions = "transactions_total": "Transactions read from the binlog.";
    IntCounterVec Counter rows = "rows_total": "Changed rows of mapped tables read from the binlog.";
    IntCounterVec Counter rows_pruned = "rows_pruned_total": "Changed rows whose changed columns no document needs.";
    IntCounterVec Counter ignorable_events = "ignorable_events_total": "Unknown events that the server marked as ignorable.";
    IntCounterVec Counter source_bytes = "source_bytes_total": "Bytes of binlog read.";
    IntCounterVec Counter lookups = "lookups_total": "Queries that looked up which documents a change touches.";
    IntCounterVec Counter reads = "reads_total": "Queries that read documents.";
    IntCounterVec Counter reconnects = "reconnects_total": "Binlog streams opened again.";
    IntCounterVec Counter checkpoint_saves = "checkpoint_saves_total": "Checkpoints saved.";
    HistogramVec Timer read_seconds = "read_seconds": "Time of a query that reads documents, with the wait for its snapshot.";
    HistogramVec Timer bulk_seconds = "bulk_seconds": "Time of a bulk request.";
}

/// Removes the metrics of a task, whatever their other labels.
fn forget<T: MetricVecBuilder>(of: &MetricVec<T>, task: &str) {
    for family in of.collect() {
        for metric in family.get_metric() {
            let labels: HashMap<_, _> = metric.get_label().iter().map(|l| (l.name(), l.value())).collect();
            if labels.get("task") == Some(&task) {
                // it fails only where somebody else has just removed it
                let _ = of.remove(&labels);
            }
        }
    }
}

/// Metrics with a label beside `task`.
#[derive(Clone, Debug)]
struct Labelled {
    retries: IntCounterVec,
    gaps: IntCounterVec,
    build_keys_done: IntGaugeVec,
    build_keys_estimate: IntGaugeVec,
    condition: IntGaugeVec,
}

impl Labelled {
    fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let new = Self {
            retries: IntCounterVec::new(
                opts::IntCounterVec(
                    "retries_total",
                    "Requests that failed and are made again, by what failed: source (reads and lookups), sink or store.",
                ),
                &["task", "component"],
            )?,
            gaps: IntCounterVec::new(
                opts::IntCounterVec("gaps_total", "Changes that may have gone by unseen, by cause."),
                &["task", "cause"],
            )?,
            build_keys_done: IntGaugeVec::new(
                opts::IntGaugeVec("build_keys_done", "Keys that a build has walked."),
                &["task", "build"],
            )?,
            build_keys_estimate: IntGaugeVec::new(
                opts::IntGaugeVec("build_keys_estimate", "Estimate of the keys that a build walks in all."),
                &["task", "build"],
            )?,
            condition: IntGaugeVec::new(
                opts::IntGaugeVec("condition", "1 while the condition holds, else 0."),
                &["task", "type"],
            )?,
        };
        registry.register(Box::new(new.retries.clone()))?;
        registry.register(Box::new(new.gaps.clone()))?;
        registry.register(Box::new(new.build_keys_done.clone()))?;
        registry.register(Box::new(new.build_keys_estimate.clone()))?;
        registry.register(Box::new(new.condition.clone()))?;
        Ok(new)
    }

    fn forget(&self, task: &str) {
        forget(&self.retries, task);
        forget(&self.gaps, task);
        forget(&self.build_keys_done, task);
        forget(&self.build_keys_estimate, task);
        forget(&self.condition, task);
    }
}

impl TaskMetrics {
    /// So many things are tried again: `source`, `sink` or `store`.
    pub fn retried(&self, component: &str, count: u64) {
        self.labelled.retries.with_label_values(&[&*self.task, component]).inc_by(count);
    }

    /// Changes may have gone by unseen.
    pub fn gap(&self, cause: &str) {
        self.labelled.gaps.with_label_values(&[&*self.task, cause]).inc();
    }

    /// How far a build is; an estimate of 0 means unknown.
    pub fn build(&self, build: &str, done: u64, estimate: u64) {
        let labels = [&*self.task, build];
        Gauge(self.labelled.build_keys_done.with_label_values(&labels)).set(done);
        Gauge(self.labelled.build_keys_estimate.with_label_values(&labels)).set(estimate);
    }

    /// The build is over: its figures are no longer exported.
    pub fn build_ended(&self, build: &str) {
        let labels = [&*self.task, build];
        // one that was never exported is not there to be removed
        let _ = self.labelled.build_keys_done.remove_label_values(&labels);
        let _ = self.labelled.build_keys_estimate.remove_label_values(&labels);
    }

    /// Whether a condition holds.
    pub fn condition(&self, condition: &str, holds: bool) {
        self.labelled.condition.with_label_values(&[&*self.task, condition]).set(i64::from(holds));
    }
}

impl Metrics {
    /// The text that Prometheus reads.
    pub fn render(&self) -> Result<String, MetricsError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Options by the kind of family.
#[allow(non_snake_case)] // named after the families, so that the macro finds them
mod opts {
    use super::{HistogramOpts, Opts, PREFIX, SECONDS};

    pub(super) fn IntGaugeVec(name: &str, help: &str) -> Opts {
        Opts::new(name, help).namespace(PREFIX)
    }

    pub(super) fn IntCounterVec(name: &str, help: &str) -> Opts {
        Opts::new(name, help).namespace(PREFIX)
    }

    pub(super) fn HistogramVec(name: &str, help: &str) -> HistogramOpts {
        HistogramOpts::new(name, help).namespace(PREFIX).buckets(SECONDS.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::new().unwrap();
        let task = metrics.task("orders").unwrap();
        task.documents_written.add(5);
        task.clone().documents_written.one();
        task.lag_seconds.set(7);
        task.read_seconds.took(Duration::from_millis(3));
        task.retried("sink", 1);
        task.gap("purged");
        task.build("initial", 10, 100);
        task.condition("Ready", true);
        task.condition("Paused", false);
        let text = metrics.render().unwrap();
        for line in [
            "binlog_operator_documents_written_total{task=\"orders\"} 6",
            "binlog_operator_lag_seconds{task=\"orders\"} 7",
            "binlog_operator_read_seconds_bucket{task=\"orders\",le=\"0.005\"} 1",
            "binlog_operator_retries_total{component=\"sink\",task=\"orders\"} 1",
            "binlog_operator_gaps_total{cause=\"purged\",task=\"orders\"} 1",
            "binlog_operator_build_keys_done{build=\"initial\",task=\"orders\"} 10",
            "binlog_operator_build_keys_estimate{build=\"initial\",task=\"orders\"} 100",
            "binlog_operator_condition{task=\"orders\",type=\"Ready\"} 1",
            "binlog_operator_condition{task=\"orders\",type=\"Paused\"} 0",
            "binlog_operator_checkpoint_saves_total{task=\"orders\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert_eq!((task.documents_written.get(), task.lag_seconds.get()), (6, 7));
    }

    #[test]
    fn a_build_that_is_over_is_exported_no_longer() {
        let metrics = Metrics::new().unwrap();
        let task = metrics.task("orders").unwrap();
        for build in ["full", "part"] {
            task.build(build, 10, 100);
        }
        task.build_ended("full");
        task.build_ended("never-begun");
        let text = metrics.render().unwrap();
        assert!(!text.contains("build=\"full\"") && text.contains("build=\"part\""), "{text}");
    }

    #[test]
    fn tasks_count_apart() {
        let metrics = Metrics::new().unwrap();
        metrics.task("a").unwrap().rows.add(2);
        metrics.task("b").unwrap().rows.add(3);
        assert_eq!(metrics.task("a").unwrap().rows.get(), 2);
        metrics.task("a").unwrap().condition("Ready", true);
        metrics.forget("a");
        let text = metrics.render().unwrap();
        assert!(!text.contains("task=\"a\"") && text.contains("task=\"b\""), "{text}");
    }
}
