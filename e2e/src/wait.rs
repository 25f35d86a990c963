//! Waiting on conditions: the only place of the tests that sleeps.

use std::time::Duration;
use tokio::time::{Instant, sleep};

const PAUSE: Duration = Duration::from_millis(25);

/// Repeats `condition` until it is `Ok`; the last `Err` once `timeout` has passed.
pub async fn poll<T>(
    timeout: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let end = Instant::now() + timeout;
    let mut last = "none".to_owned();
    loop {
        last = match tokio::time::timeout_at(end, condition()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(last)) => last,
            Err(_) => {
                return Err(format!("the check itself did not end in time; the one before said: {last}"));
            }
        };
        if Instant::now() >= end {
            return Err(last);
        }
        sleep(PAUSE).await;
    }
}

/// Like [`poll`], but fails the test when the time is up, with what was awaited and the last answer.
pub async fn wait_until<T>(
    what: &str,
    timeout: Duration,
    condition: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    match poll(timeout, condition).await {
        Ok(value) => value,
        Err(last) => panic!("waited {timeout:?} in vain for: {what}\nlast answer: {last}"),
    }
}
