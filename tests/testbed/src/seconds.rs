use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Waits until this machine's clock, by which a testbed stamps what is made, has come to so many further seconds. Stamps are
/// whole seconds: what was made before has an earlier one than what is made after one, and what began after two.
pub async fn seconds_pass(count: u64) {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    let until = now() + count;
    while now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
