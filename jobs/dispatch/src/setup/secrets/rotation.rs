//! Whose keys the server takes, as a pure function of what lies in the Secrets.
//!
//! The server's Secret is written before any job's. So at each moment the server takes the key that a job's Secret holds,
//! whichever it is, and the one that the job's pods may have read before.

use std::collections::BTreeMap;

use drover::queue::JOBS;
use nkeys::{KeyPair, KeyPairType};

/// The most keys of one job that a server takes: more than one start and one that was killed need, so that a setup which
/// is killed for ever does not make the list grow for ever.
const KEYS_LIMIT: usize = 4;

/// Public keys of each job that a server takes, newest first.
pub(super) type Accepted = BTreeMap<String, Vec<String>>;

/// What becomes of the keys of one job.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Turn {
    /// The public keys that the server takes from now on, newest first.
    pub(super) accepted: Vec<String>,
    /// Whether the job gets the new one.
    pub(super) is_new: bool,
}

/// Decides for every job, by the keys that the last server was to take, those that the jobs' Secrets hold, and the new
/// ones.
///
/// A setup that was killed before each job had its key is finished: who has the new one keeps it, and the key of the last
/// server that ran stays good for all. Where it had come to its end, every job gets a new key.
pub(super) fn turn(
    recorded: &Accepted,
    held: &BTreeMap<&str, String>,
    fresh: &BTreeMap<&str, String>,
) -> BTreeMap<&'static str, Turn> {
    let newest = |job: &str| recorded.get(job).and_then(|keys| keys.first());
    let is_at_newest = |job: &str| newest(job).is_some() && newest(job) == held.get(job);
    let is_unfinished = JOBS.iter().any(|job| newest(job).is_some() && !is_at_newest(job));
    let decide = |job: &'static str| {
        let recorded = recorded.get(job).map_or(&[] as &[String], Vec::as_slice);
        if is_unfinished && is_at_newest(job) {
            return Turn { accepted: recorded.to_vec(), is_new: false };
        }
        let earlier = match held.get(job) {
            // What it was to get, and never got, is nobody's.
            Some(held) if is_unfinished => [std::slice::from_ref(held), recorded.get(1..).unwrap_or_default()].concat(),
            Some(held) => vec![held.clone()],
            // It had a key which was lost: whichever it was.
            None => recorded.to_vec(),
        };
        Turn { accepted: distinct(fresh.get(job).cloned().into_iter().chain(earlier)), is_new: true }
    };
    JOBS.into_iter().map(|job| (job, decide(job))).collect()
}

fn distinct(keys: impl Iterator<Item = String>) -> Vec<String> {
    let mut distinct = Vec::new();
    for key in keys {
        if !distinct.contains(&key) {
            distinct.push(key);
        }
    }
    distinct.truncate(KEYS_LIMIT);
    distinct
}

/// The record of the keys that a server takes. Whatever else stands there is left out: it would go into the server's
/// configuration.
pub(super) fn read_record(text: &[u8]) -> Accepted {
    let mut record: Accepted = serde_json::from_slice(text).unwrap_or_default();
    for keys in record.values_mut() {
        keys.retain(|key| KeyPair::from_public_key(key).is_ok_and(|key| key.key_pair_type() == KeyPairType::User));
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every job with the same keys, so that a table of one serves.
    fn all<T: Clone>(value: &T) -> BTreeMap<&'static str, T> {
        JOBS.into_iter().map(|job| (job, value.clone())).collect()
    }

    fn record(keys: &BTreeMap<&'static str, Vec<&str>>) -> Accepted {
        let keys = keys.iter();
        keys.map(|(job, keys)| ((*job).to_owned(), keys.iter().map(ToString::to_string).collect())).collect()
    }

    fn held(keys: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
        keys.iter().map(|(job, key)| (*job, (*key).to_owned())).collect()
    }

    fn new() -> BTreeMap<&'static str, String> {
        all(&"new".to_owned())
    }

    #[track_caller]
    fn check(recorded: &[&str], held_key: Option<&str>, accepted: &[&str], is_new: bool) {
        let held = held_key.map(|key| all(&key.to_owned())).unwrap_or_default();
        let turns = turn(&record(&all(&recorded.to_vec())), &held, &new());
        for job in JOBS {
            assert_eq!(
                (turns[job].accepted.clone(), turns[job].is_new),
                (accepted.iter().map(ToString::to_string).collect(), is_new)
            );
        }
    }

    #[test]
    fn at_the_first_start_there_is_one_key() {
        let turns = turn(&Accepted::new(), &BTreeMap::new(), &new());
        assert_eq!(turns, all(&Turn { accepted: vec!["new".to_owned()], is_new: true }));
    }

    #[test]
    fn each_start_makes_new_keys_and_takes_those_of_the_start_before() {
        check(&["b"], Some("b"), &["new", "b"], true);
        check(&["b", "a"], Some("b"), &["new", "b"], true);
    }

    #[test]
    fn what_a_killed_start_gave_to_nobody_is_dropped_and_the_last_servers_key_stays() {
        check(&["b", "a"], Some("a"), &["new", "a"], true);
        check(&["c", "b", "a"], Some("b"), &["new", "b", "a"], true);
    }

    #[test]
    fn keys_that_were_lost_stay_good_and_are_not_too_many() {
        check(&["b", "a"], None, &["new", "b", "a"], true);
        check(&["d", "c", "b", "a"], None, &["new", "d", "c", "b"], true);
    }

    #[test]
    fn a_key_that_somebody_put_there_is_taken() {
        check(&["b", "a"], Some("own"), &["new", "own", "a"], true);
    }

    #[test]
    fn a_killed_start_is_finished_and_nobody_gets_a_second_key_of_it() {
        let recorded = record(&all(&vec!["b", "a"]));
        let left = ["retention-prune", "restore", "dispatch", "setup"];
        let keys: Vec<_> = [("snapshot", "b"), ("upload", "b")].into_iter().chain(left.map(|job| (job, "a"))).collect();
        let turns = turn(&recorded, &held(&keys), &new());
        for job in ["snapshot", "upload"] {
            assert_eq!(turns[job], Turn { accepted: vec!["b".to_owned(), "a".to_owned()], is_new: false }, "{job}");
        }
        for job in left {
            assert_eq!(turns[job], Turn { accepted: vec!["new".to_owned(), "a".to_owned()], is_new: true }, "{job}");
        }
    }

    #[test]
    fn a_job_that_is_new_to_drover_is_no_unfinished_start() {
        let mut keys = all(&vec!["b", "a"]);
        keys.remove("setup");
        let mut held = all(&"b".to_owned());
        held.remove("setup");
        let turns = turn(&record(&keys), &held, &new());
        assert_eq!(turns["setup"], Turn { accepted: vec!["new".to_owned()], is_new: true });
        assert_eq!(turns["upload"], Turn { accepted: vec!["new".to_owned(), "b".to_owned()], is_new: true });
    }

    #[test]
    fn a_record_holds_public_keys_of_users_alone() {
        let (user, account) = (KeyPair::new_user().public_key(), KeyPair::new_account().public_key());
        let text = serde_json::json!({"upload": [user, account, "}} listen: 1"]}).to_string();
        assert_eq!(read_record(text.as_bytes()), Accepted::from([("upload".to_owned(), vec![user])]));
        assert_eq!(read_record(b"nonsense"), Accepted::new());
    }
}
