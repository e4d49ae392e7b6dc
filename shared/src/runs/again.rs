use kube::ResourceExt;

use crate::labels::BACKUP_UID_LABEL;
use crate::resources::Backup;

/// The command that makes a backup now. `dispatch` keeps a CronJob for each Backup, also for a one-time one; its name is another
/// one where the Backup's is too long for it or taken, so it is found by its label.
#[must_use]
pub fn again(namespace: &str, backup: &Backup) -> String {
    let uid = backup.uid().unwrap_or_default();
    format!(
        "kubectl -n {namespace} create job again-$(date +%s) --from=$(kubectl -n {namespace} get cronjobs --selector \
         {BACKUP_UID_LABEL}={uid} --output name)"
    )
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::backup;
    use super::*;

    #[test]
    fn a_backup_is_made_now_by_its_own_cron_job() {
        let command = "kubectl -n n create job again-$(date +%s) --from=$(kubectl -n n get cronjobs --selector \
                       drover.dev/backup-uid=uid-1 --output name)";
        assert_eq!(again("n", &backup()), command);
    }
}
