//! The annotations that drover writes or reads, each of which stands here alone.
//!
//! | annotation | of | written by | read by |
//! | --- | --- | --- | --- |
//! | [`ALLOW_ANNOTATION`] | Backup | its user | snapshot, upload, retention-prune, dispatch |
//! | [`HEARTBEAT_ANNOTATION`] | Backup | its user | heartbeat, restore |
//! | [`PRUNE_ANNOTATION`], [`CREDENTIALS_ANNOTATION`], [`EXEMPT_ANNOTATION`], [`RECREATE_ANNOTATION`], [`REQUIRE_ANNOTATION`], [`PLACE_ANNOTATION`] | Restore | its user | restore |
//! | [`LATEST_OF_ANNOTATION`] | Restore | its user | restore, retention-prune |
//! | [`CLUSTER_ANNOTATION`] | Restore | its user | restore |
//! | [`RESOLVED_ANNOTATION`] | Restore | restore | restore, retention-prune, heartbeat |
//! | [`RESOLVED_PLACE_ANNOTATION`] | Restore | restore | restore |
//! | [`CONSUMER_ANNOTATION`] | CronJob of a stage | the manifests | dispatch |
//! | [`BACKUP_ANNOTATION`] | CronJob of a Backup | dispatch | dispatch |
//! | [`ATTEMPTS_ANNOTATION`], [`NEXT_ATTEMPT_ANNOTATION`], [`COUNTED_ANNOTATION`] | CronJob | dispatch | dispatch |
//! | [`ATTEMPTED_ANNOTATION`] | CronJob, Job | dispatch | dispatch |
//! | [`STARTED_BY_ANNOTATION`], [`POD_ANNOTATION`] | Job | dispatch | dispatch |
//! | [`INSTANTIATE_ANNOTATION`] | Job | `kubectl create job --from` | dispatch |
//! | [`ADDED_TO_ANNOTATION`] | file of ResourceSets | the manifests | `dispatch setup` |
//! | [`REPLICAS_ANNOTATION`] | controller that a restore scaled down | restore | restore |
//! | [`OBJECT_ANNOTATION`], [`OBJECT_UID_ANNOTATION`], [`LEAVING_ANNOTATION`] | Secret with the copy of an object | restore | restore |
//! | [`REPORT_ANNOTATION`] | ConfigMap with the report of a Restore | restore | `restore report` |
//! | [`PIECES_ANNOTATION`] | both of these | restore | restore |
//! | [`TOKEN_UID_ANNOTATION`] | Secret with a token | Kubernetes; restore where the live one has it | restore |
//! | [`FORCE_DEPLOY_ANNOTATION`] | Cluster of Rancher's management | restore | Rancher |
//!
//! What else Kubernetes annotates by itself, and a restore leaves to it, are rows of `jobs/restore/src/server_owned`. Those of
//! tools, which nothing that is made of a template keeps, are rows of `jobs/dispatch/src/runner/template.rs`.

pub mod known;

/// What the names of drover's annotations begin with.
const PREFIX: &str = "drover.dev/";

/// On a Backup: what drover otherwise refuses is allowed, for as long as it stands there, by words with commas between them.
pub const ALLOW_ANNOTATION: &str = "drover.dev/allow";

/// On a Backup: the name of a Secret in drover's namespace whose member `url` is that of a heartbeat monitor.
pub const HEARTBEAT_ANNOTATION: &str = "drover.dev/heartbeat";

/// On a Restore: `all` deletes also what prune holds back.
pub const PRUNE_ANNOTATION: &str = "drover.dev/prune";

/// On a Restore: `true` writes also the Secrets that live Backups, Restores and BackupPolicies name, and those of the
/// default location.
pub const CREDENTIALS_ANNOTATION: &str = "drover.dev/restore-credentials";

/// On a Restore: `none`, or the names of configurations whose webhooks are not asked about what it writes, beside Rancher's.
pub const EXEMPT_ANNOTATION: &str = "drover.dev/exempt-webhooks";

/// On a Restore: the objects that are deleted and created again where they cannot be changed.
pub const RECREATE_ANNOTATION: &str = "drover.dev/recreate";

/// On a Restore: the name of a further storage location of a BackupPolicy, where the archive is taken from; `default` is
/// what the Restore itself names.
pub const PLACE_ANNOTATION: &str = "drover.dev/place";

/// On a Restore of the latest archive: the Backup's place where it was found; none where that is what the Restore itself
/// names.
pub const RESOLVED_PLACE_ANNOTATION: &str = "drover.dev/backup-place";

/// On a Restore: `authentic` refuses an archive of which nothing proves who made it.
pub const REQUIRE_ANNOTATION: &str = "drover.dev/require";

/// On a Restore of the [latest](crate::resources::LATEST) archive: the Backup of which.
pub const LATEST_OF_ANNOTATION: &str = "drover.dev/latest-of";

/// On such a Restore: the cluster of which, by the UID of its namespace kube-system.
pub const CLUSTER_ANNOTATION: &str = "drover.dev/cluster-uid";

/// On such a Restore: the file name of the archive that was chosen.
pub const RESOLVED_ANNOTATION: &str = "drover.dev/backup-filename";

/// On a stage's CronJob: the consumer that its Jobs drain.
pub const CONSUMER_ANNOTATION: &str = "drover.dev/consumer";

/// On a Backup's CronJob: the Backup's name, which a label might be too short for.
pub const BACKUP_ANNOTATION: &str = "drover.dev/backup";

/// On a CronJob: how many of its Jobs in a row did not do their work.
pub const ATTEMPTS_ANNOTATION: &str = "drover.dev/attempts";

/// On a CronJob: when the next Job is started for work that is not new.
pub const NEXT_ATTEMPT_ANNOTATION: &str = "drover.dev/next-attempt";

/// On a CronJob: end and UID of the last Job that is counted in [`ATTEMPTS_ANNOTATION`].
pub const COUNTED_ANNOTATION: &str = "drover.dev/counted";

/// On a Job: the work that it was started for; on a CronJob: the work that its Jobs since the last success were started for.
/// What is not in it is new, and starts a Job at once.
pub const ATTEMPTED_ANNOTATION: &str = "drover.dev/attempted";

/// On a Job: who started it.
pub const STARTED_BY_ANNOTATION: &str = "drover.dev/started-by";

/// On a Job: the digest of the pod that its CronJob said when it was made.
pub const POD_ANNOTATION: &str = "drover.dev/pod";

/// On a Job: `manual` where a person made it of a CronJob.
pub const INSTANTIATE_ANNOTATION: &str = "cronjob.kubernetes.io/instantiate";

/// On a file that makes no ResourceSet of its own: the names of those that its content is added to, with commas between them.
pub const ADDED_TO_ANNOTATION: &str = "drover.dev/added-to";

/// On a controller that a restore scaled down: the count that it gets back.
pub const REPLICAS_ANNOTATION: &str = "drover.dev/replicas-before-restore";

/// On a piece of a copy: the path of the object on the API server.
pub const OBJECT_ANNOTATION: &str = "drover.dev/object";

/// On a piece of a copy: the UID of the object.
pub const OBJECT_UID_ANNOTATION: &str = "drover.dev/object-uid";

/// On a piece of a copy: that the object was still being deleted when the restore that did it ended.
pub const LEAVING_ANNOTATION: &str = "drover.dev/leaving";

/// On a piece of a report: the id of the report that it is of.
pub const REPORT_ANNOTATION: &str = "drover.dev/report";

/// On a piece of a copy or a report: how many there are of that one.
pub const PIECES_ANNOTATION: &str = "drover.dev/pieces";

/// On a Secret with a token: the UID of its ServiceAccount.
pub const TOKEN_UID_ANNOTATION: &str = "kubernetes.io/service-account.uid";

/// On a Cluster: `true` has Rancher deploy its agent again.
pub const FORCE_DEPLOY_ANNOTATION: &str = "io.cattle.agent.force.deploy";

/// Whether an annotation has a name of drover's. The API server takes capitals for another name, and a person does not.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}
