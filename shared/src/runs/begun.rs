use jiff::Timestamp;
use kube::ResourceExt;

use crate::clock::is_future;
use crate::resources::BackupRun;

/// When a run was opened, for whatever is decided by it: as the API server stamped its record, for the clock of the node
/// that it began on may have been wrong, and where there is no stamp as the run says. None where that lies in the future.
#[must_use]
pub fn begun_at(run: &BackupRun, now: Timestamp) -> Option<Timestamp> {
    let stamped = run.creation_timestamp().map(|time| time.0);
    stamped.or_else(|| run.spec.started_at.parse().ok()).filter(|time| !is_future(*time, now))
}

/// The time that a run's record holds of one of its stages; where a wrong clock put it into the future, when the run was
/// opened, and where that too is not known, the beginning of time.
#[must_use]
pub fn recorded_at(run: &BackupRun, text: &str, now: Timestamp) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    if is_future(time, now) { Some(begun_at(run, now).unwrap_or(Timestamp::UNIX_EPOCH)) } else { Some(time) }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::super::history::tests::run;
    use super::*;
    use crate::resources::RunState;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(stamped: Option<&str>, said: &str, expected: Option<&str>) {
        let mut run = run(1, RunState::Completed, true);
        run.metadata.creation_timestamp = stamped.map(|text| Time(at(text)));
        said.clone_into(&mut run.spec.started_at);
        assert_eq!(begun_at(&run, at("2026-11-23T12:00:00Z")), expected.map(at), "{stamped:?} {said}");
    }

    #[test]
    fn the_stamp_of_the_api_server_counts_and_no_time_in_the_future() {
        let (before, ahead) = ("2026-11-23T02:00:00Z", "2026-11-26T02:00:00Z");
        check(Some(before), ahead, Some(before));
        check(Some(before), "2026-11-20T02:00:00Z", Some(before));
        check(Some(ahead), before, None);
        check(None, before, Some(before));
        check(None, ahead, None);
        check(None, "noon", None);
    }

    #[test]
    fn a_stage_of_the_future_is_of_when_its_run_was_opened() {
        let (run, now) = (run(1, RunState::Completed, true), at("2026-11-23T12:00:00Z"));
        let of = |text| recorded_at(&run, text, now);
        assert_eq!(of("2026-11-23T02:00:00Z"), Some(at("2026-11-23T02:00:00Z")));
        assert_eq!(of("2026-11-26T02:00:00Z"), run.spec.started_at.parse().ok());
        assert_eq!(of("noon"), None);
    }
}
