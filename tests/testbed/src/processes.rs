//! Processes of containers, found by their cgroups: this machine sees those in the node's namespaces too.

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal to every process in cgroups whose path has this in it. One that has ended needs none.
pub(crate) fn signal_cgroup(name: &str, signal: Signal) {
    for pid in all().filter(|pid| is_in(*pid, name)) {
        let _ = kill_process(pid, signal);
    }
}

fn is_in(pid: Pid, name: &str) -> bool {
    let cgroups = std::fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_pid()));
    !name.is_empty() && cgroups.is_ok_and(|cgroups| cgroups.contains(name))
}

fn all() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_among_all_and_in_no_cgroup_of_a_container() {
        let own = rustix::process::getpid();
        assert!(all().any(|pid| pid == own));
        assert!(!is_in(own, "no-container") && !is_in(own, ""));
    }
}
