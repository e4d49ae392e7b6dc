//! Texts of Kubernetes without the names that it makes at random: what is told of one try after the other is to say the same
//! as long as the cause is the same.

/// How many letters and digits Kubernetes puts behind the name of a Job for its pod.
const SUFFIX: usize = 5;

/// How many digits an id has at least: a UID has 32, the id of a sandbox 64.
const DIGITS: usize = 32;

/// What stands before the digest of an image, which is no id: it says which image is meant.
const DIGEST: &str = "sha256:";

/// A text about a Job: its own name, and those of its pods, are told as that of its CronJob, and ids not at all.
pub(crate) fn stable(text: &str, job: &str, cron_job: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut left = text;
    while let Some((before, after)) = left.split_once(job).filter(|_| !job.is_empty()) {
        told.push_str(before);
        let is_longer_name = after.starts_with(|next: char| next.is_ascii_alphanumeric());
        told.push_str(if is_longer_name { job } else { cron_job });
        left = if is_longer_name { after } else { without_suffix(after) };
    }
    told.push_str(left);
    without_ids(&told)
}

/// What follows the name of a Job, without what makes it that of a pod.
fn without_suffix(after: &str) -> &str {
    let Some(rest) = after.strip_prefix('-') else { return after };
    let end = rest.find(|next: char| !next.is_ascii_alphanumeric()).unwrap_or(rest.len());
    if end <= SUFFIX { &rest[end..] } else { after }
}

fn without_ids(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut left = text;
    while !left.is_empty() {
        let end = left.find(|next: char| !(next.is_ascii_alphanumeric() || next == '-')).unwrap_or(left.len());
        let (word, rest) = left.split_at(end);
        told.push_str(if is_id(word) && !told.ends_with(DIGEST) { "…" } else { word });
        let mut rest = rest.chars();
        told.extend(rest.next());
        left = rest.as_str();
    }
    told
}

fn is_id(word: &str) -> bool {
    let digits = word.chars().filter(|digit| *digit != '-');
    digits.clone().count() >= DIGITS && digits.clone().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(stable(text, "daily-1f9c", "daily"), expected);
    }

    #[test]
    fn names_of_jobs_and_of_their_pods_are_told_as_those_of_their_cron_jobs() {
        check(
            "Error creating: pods \"daily-1f9c-\" is forbidden: exceeded quota: none",
            "Error creating: pods \"daily\" is forbidden: exceeded quota: none",
        );
        check("pods \"daily-1f9c-x7k2p\" not found", "pods \"daily\" not found");
        check("back-off restarting pod=daily-1f9c-x7k2p_ns", "back-off restarting pod=daily_ns");
        check("the Job daily-1f9c-longer is another's", "the Job daily-longer is another's");
        check("secret \"daily-1f9c2\" not found", "secret \"daily-1f9c2\" not found");
        assert_eq!(stable("as it is", "", "daily"), "as it is");
    }

    #[test]
    fn ids_are_left_out_and_digests_of_images_are_not() {
        let (uid, sandbox) = ("0197c0de-0000-7000-8000-00000000000a", "0a".repeat(32));
        check(&format!("pod_ns({uid}) is gone"), "pod_ns(…) is gone");
        check(&format!("network for sandbox \"{sandbox}\": no"), "network for sandbox \"…\": no");
        let image = format!("failed to pull \"drover@sha256:{sandbox}\"");
        check(&image, &image);
        check("nothing-of-the-kind 1234 é", "nothing-of-the-kind 1234 é");
    }
}
