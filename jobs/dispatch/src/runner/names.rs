//! Names of CronJobs and Jobs: the same for the same thing, so that it is never made twice.

use drover::digest::Sha256;
use drover::queue::JOBS;

/// The longest name of a CronJob: its Jobs get eleven characters more.
const CRON_JOB_LIMIT: usize = 52;

/// The workload of drover's that is no job.
const NATS: &str = "nats";

/// Characters of the digest that tells shortened names, and the Jobs of a CronJob, apart.
const DIGEST_LENGTH: usize = 10;

/// The name of a Backup's CronJob: the Backup's own, where a CronJob can have it.
pub(crate) fn cron_job_name(backup: &str) -> String {
    let is_own = backup == NATS || JOBS.contains(&backup);
    let fits = backup.len() <= CRON_JOB_LIMIT && !backup.contains('.') && !is_own;
    if fits { backup.to_owned() } else { hashed_name(backup) }
}

/// The name of a Backup's CronJob where the one of [`cron_job_name`] is somebody else's.
pub(crate) fn hashed_name(backup: &str) -> String {
    let room = CRON_JOB_LIMIT - DIGEST_LENGTH - 1;
    let short: String =
        backup.chars().map(|character| if character == '.' { '-' } else { character }).take(room).collect();
    format!("{}-{}", short.trim_end_matches('-'), digest(&[backup]))
}

/// The name of the Job that follows `last`, the UID of the newest Job of the CronJob `cron_job`. Whoever decides the same
/// from the same Jobs makes the same name, and the API server makes only one of a name.
pub(crate) fn job_name(cron_job: &str, uid: &str, last: Option<&str>) -> String {
    let short: String = cron_job.chars().take(CRON_JOB_LIMIT).collect();
    format!("{}-{}", short.trim_end_matches(['-', '.']), digest(&[uid, last.unwrap_or_default()]))
}

fn digest(parts: &[&str]) -> String {
    format!("{:.DIGEST_LENGTH$}", Sha256::of(parts.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_cron_job_can_have_stays() {
        let long = "x".repeat(52);
        for name in ["rancher-daily-backup", "a", &long] {
            assert_eq!(cron_job_name(name), name);
        }
    }

    #[test]
    fn a_name_that_is_too_long_or_taken_is_shortened_with_a_digest() {
        let long = "x".repeat(53);
        let cut = format!("{}-{}", "x".repeat(41), digest(&[&long]));
        for (name, expected) in [(long.as_str(), cut.as_str()), ("a.b", "a-b-7e86c34a98"), ("upload", "upload-")] {
            let got = cron_job_name(name);
            assert!(got.len() <= CRON_JOB_LIMIT && got != name && !got.contains('.'), "{got}");
            assert!(name == "a.b" || got.starts_with(expected), "{got}");
        }
        assert_ne!(cron_job_name("a.b"), cron_job_name("a-b"));
        let (one, other) = (format!("{}1", "x".repeat(60)), format!("{}2", "x".repeat(60)));
        assert_ne!(cron_job_name(&one), cron_job_name(&other));
    }

    #[test]
    fn a_job_is_named_after_the_one_before_it() {
        let first = job_name("daily", "uid", None);
        assert_eq!(first, job_name("daily", "uid", None));
        assert!(first.starts_with("daily-") && first.len() == "daily-".len() + DIGEST_LENGTH);
        assert_ne!(first, job_name("daily", "uid", Some("job-1")));
        assert_ne!(first, job_name("daily", "other", None));
        assert!(job_name(&"x".repeat(52), "uid", None).len() <= 63);
    }
}
