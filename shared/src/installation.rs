//! Since when drover is installed in a cluster.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::CronJob;
use kube::{Api, Client};
use snafu::{ResultExt, Snafu};

use crate::cluster::ApiError;
use crate::exit::{Exit, Fault};
use crate::job::name::RESTORE;
use crate::resources::Restore;

/// The CronJob that stands for the installation: the one that carries Restores out.
const CRON_JOB: &str = RESTORE;

/// Why it is not known since when drover is installed.
#[derive(Debug, Snafu)]
#[snafu(display("failed to read the CronJob {CRON_JOB:?} in the namespace {namespace:?}"))]
pub struct ReadError {
    namespace: String,
    source: ApiError,
}

impl Fault for ReadError {
    fn exit(&self) -> Exit {
        self.source.exit()
    }
}

/// When drover was installed into that namespace; `None` where it is not, and jobs are started by hand.
///
/// # Errors
/// When its CronJob cannot be read.
pub async fn since(client: &Client, namespace: &str) -> Result<Option<Timestamp>, ReadError> {
    let cron_jobs: Api<CronJob> = Api::namespaced(client.clone(), namespace);
    let found = cron_jobs.get_metadata_opt(CRON_JOB).await.map_err(ApiError::from);
    let found = found.context(ReadSnafu { namespace })?;
    Ok(found.and_then(|found| found.metadata.creation_timestamp).map(|time| time.0))
}

/// Whether a Restore was made before drover was installed. Such a one never runs: it was meant for another program, and
/// what it asks for may be long past.
#[must_use]
pub fn is_older(restore: &Restore, installed: Option<Timestamp>) -> bool {
    let created = restore.metadata.creation_timestamp.as_ref().map(|time| time.0);
    created.zip(installed).is_some_and(|(created, installed)| created < installed)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn only_a_restore_of_before_is_older() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut restore = Restore::new("r", crate::resources::RestoreSpec::default());
        assert!(!is_older(&restore, Some(at(5))));
        restore.metadata.creation_timestamp = Some(Time(at(5)));
        for (installed, expected) in [(None, false), (Some(at(4)), false), (Some(at(5)), false), (Some(at(6)), true)] {
            assert_eq!(is_older(&restore, installed), expected, "{installed:?}");
        }
    }
}
