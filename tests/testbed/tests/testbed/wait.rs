//! Waiting for what will be, and looking at processes.

use std::path::Path;
use std::time::{Duration, Instant};

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) -> crate::Outcome {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition().await {
        if Instant::now() > deadline {
            return Err(format!("this did not happen in 30 s: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The processes with the folder in their arguments, as every part of a testbed has it.
pub(crate) fn processes_of(folder: &Path) -> Vec<u32> {
    let folder = folder.display().to_string();
    let mentions = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&folder))
    };
    processes().filter(mentions).collect()
}

/// The processes that a process has started.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let line = format!("PPid:\t{parent}\n");
    let is_child =
        |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| status.contains(&line));
    processes().filter(is_child).collect()
}

pub(crate) fn exists(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
