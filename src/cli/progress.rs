//! Progress for people: bars on a terminal, else log lines on transitions and now and then.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Level;

use crate::model::{BuildPhase, BuildProgress, Condition, ConditionStatus, ConditionType, TaskStatus};

/// How often progress is shown at most: on a terminal, and in log lines.
const REDRAW: Duration = Duration::from_millis(100);
const LINES: Duration = Duration::from_secs(10);

/// Shows progress until the status' sender goes.
pub(super) async fn show(mut status: watch::Receiver<TaskStatus>, bars: Option<MultiProgress>) {
    let mut transitions = Transitions::default();
    let mut lines = Lines::default();
    let mut bars = bars.map(Bars::new);
    loop {
        {
            let status = status.borrow_and_update();
            transitions.tell(&status);
            match &mut bars {
                Some(bars) => bars.draw(&status),
                None => lines.tell(&status, Instant::now()),
            }
        }
        tokio::time::sleep(REDRAW).await;
        if status.changed().await.is_err() {
            break;
        }
    }
    transitions.tell(&status.borrow());
    if let Some(bars) = bars {
        bars.finish();
    }
}

/// Log lines for what has become different.
#[derive(Default)]
struct Transitions {
    conditions: BTreeMap<ConditionType, Condition>,
    phases: BTreeMap<String, BuildPhase>,
}

impl Transitions {
    fn tell(&mut self, status: &TaskStatus) {
        for (type_, new) in self.conditions(status) {
            let (condition, reason, message) = (type_.name(), &*new.reason, &*new.message);
            match importance(type_, new) {
                Level::WARN => tracing::warn!(condition, status = %new.status, reason, "{message}"),
                Level::INFO => tracing::info!(condition, status = %new.status, reason, "{message}"),
                _ => tracing::debug!(condition, status = %new.status, reason, "{message}"),
            }
        }
        for (name, build) in self.builds(status) {
            let (phase, keys, cause) = (format!("{:?}", build.phase), build.keys_done, &*build.cause);
            tracing::info!(build = name, phase, keys, cause, "build {name}: {phase}");
        }
    }

    /// Conditions whose status or reason is new. What never held and does not hold is no news.
    fn conditions<'s>(&mut self, status: &'s TaskStatus) -> Vec<(ConditionType, &'s Condition)> {
        let mut news = Vec::new();
        for (type_, new) in &status.conditions {
            let is_news = match self.conditions.get(type_) {
                Some(old) => (old.status, &old.reason) != (new.status, &new.reason),
                None => !(type_.is_trouble() && new.status == ConditionStatus::False),
            };
            if is_news {
                news.push((*type_, new));
            }
            self.conditions.insert(*type_, new.clone());
        }
        news
    }

    fn builds<'s>(&mut self, status: &'s TaskStatus) -> Vec<(&'s str, &'s BuildProgress)> {
        let news = |(name, build): &(&'s String, &'s BuildProgress)| {
            self.phases.insert((*name).clone(), build.phase) != Some(build.phase)
        };
        status.builds.iter().filter(news).map(|(name, build)| (name.as_str(), build)).collect()
    }
}

fn importance(type_: ConditionType, new: &Condition) -> Level {
    let good = (new.status == ConditionStatus::True) != type_.is_trouble();
    if is_told_by_the_worker(type_, new) || comes_and_goes(type_, new) {
        Level::DEBUG
    } else if good || new.status == ConditionStatus::Unknown {
        Level::INFO
    } else {
        Level::WARN
    }
}

/// What stands in the way of a start: the worker logs it once, and both conditions repeat its words.
fn is_told_by_the_worker(type_: ConditionType, new: &Condition) -> bool {
    new.status == ConditionStatus::False
        && (type_ == ConditionType::Preflight || (type_ == ConditionType::Ready && new.reason == "Preflight"))
}

/// Under load a task falls behind by milliseconds and catches up every second: that is no news.
fn comes_and_goes(type_: ConditionType, new: &Condition) -> bool {
    type_ == ConditionType::CaughtUp
        || (type_ == ConditionType::Ready && matches!(&*new.reason, "CatchingUp" | "InSync"))
}

/// Log lines with figures while something is under way, not more often than [`LINES`].
#[derive(Default)]
struct Lines {
    last: Option<(Instant, String)>,
}

impl Lines {
    fn tell(&mut self, status: &TaskStatus, now: Instant) {
        if let Some(line) = self.line(status, now) {
            tracing::info!(
                lag_seconds = status.lag_seconds,
                pending_ids = status.pending_ids,
                dead_letters = status.dead_letters,
                documents_written = status.documents_written,
                documents_deleted = status.documents_deleted,
                "{line}"
            );
        }
    }

    fn line(&mut self, status: &TaskStatus, now: Instant) -> Option<String> {
        if self.last.as_ref().is_some_and(|(last, _)| now.duration_since(*last) < LINES) {
            return None;
        }
        let line = [figures(status)].into_iter().chain(under_way(status).map(|(n, b)| build_line(n, b)));
        let line = line.collect::<Vec<_>>().join("; ");
        let news = self.last.as_ref().is_none_or(|(_, last)| *last != line);
        self.last = Some((now, line.clone()));
        news.then_some(line)
    }
}

fn under_way(status: &TaskStatus) -> impl Iterator<Item = (&String, &BuildProgress)> {
    status.builds.iter().filter(|(_, b)| !b.phase.is_over() && b.phase != BuildPhase::Pending)
}

fn figures(status: &TaskStatus) -> String {
    let TaskStatus { lag_seconds, pending_ids, dead_letters, documents_written, documents_deleted, .. } =
        status;
    format!(
        "lag {lag_seconds} s, {pending_ids} pending, {dead_letters} dead, {documents_written} written, \
         {documents_deleted} deleted"
    )
}

fn build_line(name: &str, build: &BuildProgress) -> String {
    let mut line = format!("{name}: {:?} {}", build.phase, build.keys_done);
    if let Some(percent) = (build.keys_done * 100).checked_div(build.keys_estimate) {
        let _ = write!(line, " of about {} ({}%)", build.keys_estimate, percent.min(100));
    }
    if build.rate >= 1.0 {
        let _ = write!(line, ", {:.0}/s", build.rate);
        let left = build.keys_estimate.saturating_sub(build.keys_done) as f64 / build.rate;
        if left >= 1.0 {
            let _ = write!(line, ", {left:.0} s left");
        }
    }
    line
}

/// One bar per build that was seen under way, and a line with the figures below them.
struct Bars {
    all: MultiProgress,
    figures: ProgressBar,
    builds: BTreeMap<String, ProgressBar>,
}

impl Bars {
    fn new(all: MultiProgress) -> Self {
        let figures = all.add(ProgressBar::new_spinner());
        figures.enable_steady_tick(Duration::from_millis(250));
        Self { all, figures, builds: BTreeMap::new() }
    }

    fn draw(&mut self, status: &TaskStatus) {
        self.figures.set_message(figures(status));
        for (name, build) in &status.builds {
            let under_way = !build.phase.is_over() && build.phase != BuildPhase::Pending;
            if !self.builds.contains_key(name) && under_way {
                let bar = self.all.insert_before(&self.figures, ProgressBar::new(0)).with_style(style());
                self.builds.insert(name.clone(), bar);
            }
            let Some(bar) = self.builds.get(name).filter(|bar| !bar.is_finished()) else { continue };
            bar.set_length(build.keys_estimate.max(build.keys_done));
            bar.set_position(build.keys_done);
            bar.set_message(match build.phase {
                BuildPhase::Sweeping => format!("{name} (sweeping)"),
                _ => name.clone(),
            });
            if build.phase.is_over() {
                bar.set_length(build.keys_done);
                bar.finish_with_message(format!("{name} (complete)"));
            }
        }
    }

    fn finish(self) {
        for bar in self.builds.values().filter(|bar| !bar.is_finished()) {
            bar.abandon();
        }
        let last = self.figures.message();
        self.figures.finish_with_message(last);
    }
}

fn style() -> ProgressStyle {
    const TEMPLATE: &str = "{msg:24!} [{bar:30}] {human_pos}/{human_len} {per_sec} ETA {eta}";
    ProgressStyle::with_template(TEMPLATE)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(phase: BuildPhase) -> TaskStatus {
        let mut status = TaskStatus { pending_ids: 3, ..Default::default() };
        let build =
            BuildProgress { phase, keys_done: 50, keys_estimate: 200, rate: 25.0, ..Default::default() };
        status.builds.insert("initial".into(), build);
        status
    }

    #[test]
    fn only_transitions_are_told() {
        let mut transitions = Transitions::default();
        let mut status = status(BuildPhase::Walking);
        status.set(ConditionType::Repairing, false, "NoGap", "");
        status.set(ConditionType::Ready, false, "Starting", "");
        assert_eq!(transitions.conditions(&status).len(), 1);
        assert_eq!(transitions.builds(&status).len(), 1);
        status.set(ConditionType::Ready, false, "Starting", "still");
        assert!(transitions.conditions(&status).is_empty() && transitions.builds(&status).is_empty());
        status.set(ConditionType::Repairing, true, "Purged", "");
        assert_eq!(transitions.conditions(&status)[0].0, ConditionType::Repairing);
    }

    #[test]
    fn a_refusal_is_left_to_the_worker_to_tell() {
        let mut status = TaskStatus::default();
        status.set(ConditionType::Preflight, false, "Refused", "no such index");
        status.set(ConditionType::Ready, false, "Preflight", "no such index");
        let levels = |status: &TaskStatus| -> Vec<Level> {
            let news = Transitions::default().conditions(status).into_iter();
            news.map(|(type_, condition)| importance(type_, condition)).collect()
        };
        assert_eq!(levels(&status), [Level::DEBUG, Level::DEBUG]);
        status.set(ConditionType::Ready, false, "Halted", "403");
        status.set(ConditionType::Preflight, true, "Passed", "");
        assert!(levels(&status).contains(&Level::WARN) && levels(&status).contains(&Level::INFO));
    }

    #[test]
    fn lines_come_every_ten_seconds_if_there_is_news() {
        let (mut lines, start) = (Lines::default(), Instant::now());
        let line = lines.line(&status(BuildPhase::Walking), start).unwrap();
        assert_eq!(
            line,
            "lag 0 s, 3 pending, 0 dead, 0 written, 0 deleted; initial: Walking 50 of about 200 (25%), 25/s, 6 s left"
        );
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(lines.line(&status(BuildPhase::Sweeping), after(9)), None);
        assert!(lines.line(&status(BuildPhase::Sweeping), after(10)).is_some());
        assert_eq!(lines.line(&status(BuildPhase::Sweeping), after(20)), None);
    }

    #[test]
    fn bars_follow_builds_to_their_end() {
        let all = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        let mut bars = Bars::new(all);
        bars.draw(&status(BuildPhase::Pending));
        assert!(bars.builds.is_empty());
        bars.draw(&status(BuildPhase::Walking));
        bars.draw(&status(BuildPhase::Complete));
        assert!(bars.builds["initial"].is_finished());
        bars.finish();
    }

    #[tokio::test]
    async fn showing_ends_with_the_sender() {
        let (sender, receiver) = watch::channel(status(BuildPhase::Walking));
        let shown = tokio::spawn(show(receiver, None));
        sender.send_replace(status(BuildPhase::Complete));
        drop(sender);
        shown.await.unwrap();
    }
}
