//! A bar on a terminal while a trace runs.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::trace::Progress;

/// How often the bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// A bar that is drawn until it is dropped; nothing where standard error is no terminal.
pub(super) struct Bar {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    /// Shows how much of so many bytes has been read, with rate and time left; without time where nobody knows how many.
    pub(super) fn of(total: Option<u64>, progress: &Progress) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        if !std::io::stderr().is_terminal() {
            return Self { done, thread: None };
        }
        let total = total.unwrap_or(0);
        let (read, ended) = (Arc::clone(&progress.read), Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            let bar = if total > 0 { ProgressBar::new(total) } else { ProgressBar::no_length() };
            let form = "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
            if let (true, Ok(style)) = (total > 0, ProgressStyle::with_template(form)) {
                bar.set_style(style);
            }
            while !ended.load(Ordering::Relaxed) {
                bar.set_position(read.load(Ordering::Relaxed));
                std::thread::sleep(REDRAW);
            }
            bar.finish_and_clear();
        });
        Self { done, thread: Some(thread) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
