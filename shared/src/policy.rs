//! What BackupPolicies say of a Backup.

use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt};
use snafu::{ResultExt, Snafu};

use crate::cluster::ApiError;
use crate::exit::{Exit, Fault};
use crate::resources::{Backup, BackupPolicy, FurtherLocation, Retention, ServerSideEncryption};
use crate::selection::Pattern;

/// What is said where the definition of policies is missing.
const UNDEFINED: &str = "failed to find the definition of BackupPolicy, so it is not known what policies say; apply your \
                         overlay's foundation again";

/// All policies, in the order in which they count: by name.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    readable: Vec<Policy>,
    refused: Vec<Refused>,
    /// Their definition is not there, so nobody knows what they say.
    is_undefined: bool,
}

#[derive(Clone, Debug)]
struct Policy {
    resource: BackupPolicy,
    pattern: Option<Pattern>,
}

/// Why the policies are not known.
#[derive(Debug, Snafu)]
#[snafu(display("failed to list the BackupPolicies"))]
pub struct LoadError {
    source: ApiError,
}

impl Fault for LoadError {
    fn exit(&self) -> Exit {
        self.source.exit()
    }
}

/// A policy that applies to nothing, since it cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Its name.
    pub policy: String,
    /// Why, and what to do.
    pub reason: String,
    /// Whether it says where archives go.
    pub names_places: bool,
    /// Whether it says which archives are refused.
    pub judges_archives: bool,
}

/// What holds for one Backup.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// The time zone that its schedule goes by where it names none itself.
    pub time_zone: Option<String>,
    /// The policy that suspends it, if one does.
    pub suspended_by: Option<String>,
    /// Where archives go besides the Backup's own place.
    pub further_locations: Vec<FurtherLocation>,
    /// Which archives are kept, where a policy says it.
    pub retention: Option<Retention>,
    /// UIDs of earlier clusters whose archives expire like this one's.
    pub adopted_clusters: Vec<String>,
    /// How services are asked to encrypt.
    pub server_side_encryption: Option<ServerSideEncryption>,
    /// The policy that lets no archive be restored of which nothing proves who made it, if one does.
    pub authentic_by: Option<String>,
    /// Why it is not known what all policies say: one of them cannot be read, and may be meant for this Backup, or their
    /// definition is missing. Then nothing expires.
    pub unknown: Option<String>,
    /// Why it is not known where archives go besides the Backup's own place: a policy that cannot be read says so. Then no
    /// archive counts as being at all of its places.
    pub unknown_locations: Option<String>,
    /// Why it is not known whether an archive must be authentic: a policy that cannot be read says something of that.
    pub unknown_authentic: Option<String>,
}

impl Settings {
    /// Whether no run begins by itself.
    #[must_use]
    pub const fn is_suspended(&self) -> bool {
        self.suspended_by.is_some()
    }
}

impl Policies {
    /// The policies of a cluster; the log says which ones cannot be read. Where their definition is not installed it is not
    /// known what they said.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn load(client: &Client) -> Result<Self, LoadError> {
        let policies = Self::reload(client).await?;
        policies.warn();
        Ok(policies)
    }

    /// The same, where the log has said it.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn reload(client: &Client) -> Result<Self, LoadError> {
        // Each for itself: one that an earlier definition let through must not hide the others.
        let policies: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::erase::<BackupPolicy>(&()));
        match policies.list(&ListParams::default()).await.map_err(ApiError::from) {
            Ok(listed) => Ok(Self::of(listed.items)),
            Err(error) if error.code() == Some(404) => Ok(Self::undefined()),
            Err(error) => Err(error).context(LoadSnafu),
        }
    }

    /// What is known where the definition of policies is not installed: nothing.
    #[must_use]
    pub fn undefined() -> Self {
        Self { is_undefined: true, ..Self::default() }
    }

    /// Policies as the API server has them. What one says that cannot be read is unknown.
    fn of(objects: Vec<DynamicObject>) -> Self {
        let (mut resources, mut refused) = (Vec::new(), Vec::new());
        for object in objects {
            let policy = object.name_any();
            match object.try_parse() {
                Ok(resource) => resources.push(resource),
                Err(error) => {
                    let reason = format!("failed to read the BackupPolicy {policy:?}: {error}; correct it");
                    refused.push(Refused { policy, reason, names_places: true, judges_archives: true });
                }
            }
        }
        let mut policies = Self::new(resources);
        policies.refused.extend(refused);
        policies
    }

    /// Policies, in whatever order.
    #[must_use]
    pub fn new(resources: impl IntoIterator<Item = BackupPolicy>) -> Self {
        let mut policies = Self::default();
        for resource in resources {
            match pattern(&resource) {
                Ok(pattern) => policies.readable.push(Policy { resource, pattern }),
                Err(reason) => {
                    let policy = resource.name_any();
                    let judges_archives = resource.spec.require_authentic.is_some();
                    let names_places = resource.spec.additional_storage_locations.is_some_and(|all| !all.is_empty());
                    policies.refused.push(Refused { policy, reason, names_places, judges_archives });
                }
            }
        }
        policies.readable.sort_by_key(|policy| policy.resource.name_any());
        policies
    }

    /// Those that cannot be read.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Says in the log which ones cannot be read.
    pub fn warn(&self) {
        for Refused { policy, reason, .. } in &self.refused {
            tracing::warn!(policy, "{reason}");
        }
        if self.is_undefined {
            tracing::warn!("{UNDEFINED}");
        }
    }

    /// Why it is not known what policies say, where it is not; only those count that `is_meant` takes.
    fn unknown(&self, is_meant: impl Fn(&Refused) -> bool) -> Option<String> {
        let refused = self.refused.iter().find(|refused| is_meant(refused)).map(|refused| refused.reason.clone());
        self.is_undefined.then(|| UNDEFINED.to_owned()).or(refused)
    }

    /// What holds for a Backup: of each field the first policy that sets it.
    #[must_use]
    pub fn settings(&self, backup: &Backup) -> Settings {
        self.settings_of(&backup.name_any())
    }

    /// What holds for a Backup of this name, which need not be there.
    #[must_use]
    pub fn settings_of(&self, name: &str) -> Settings {
        let applying = || self.readable.iter().filter(|policy| policy.applies_to(name)).map(|policy| &policy.resource);
        let zone = applying().find_map(|policy| policy.spec.time_zone.clone().filter(|zone| !zone.is_empty()));
        let suspending = applying().find(|policy| policy.spec.suspend.is_some());
        let suspended_by = suspending.filter(|policy| policy.spec.suspend == Some(true)).map(ResourceExt::name_any);
        let judging = applying().find(|policy| policy.spec.require_authentic.is_some());
        let authentic_by =
            judging.filter(|policy| policy.spec.require_authentic == Some(true)).map(ResourceExt::name_any);
        let further = applying().find_map(|policy| policy.spec.additional_storage_locations.clone());
        let adopted = applying().find_map(|policy| policy.spec.adopt_cluster_uids.clone());
        Settings {
            time_zone: zone,
            suspended_by,
            further_locations: further.unwrap_or_default(),
            retention: applying().find_map(|policy| policy.spec.retention.clone()),
            adopted_clusters: adopted.unwrap_or_default(),
            server_side_encryption: applying().find_map(|policy| policy.spec.server_side_encryption.clone()),
            authentic_by,
            unknown: self.unknown(|_| true),
            unknown_locations: self.unknown(|refused| refused.names_places),
            unknown_authentic: self.unknown(|refused| refused.judges_archives),
        }
    }
}

impl Policy {
    fn applies_to(&self, backup: &str) -> bool {
        let names = &self.resource.spec.backup_names;
        match &self.pattern {
            Some(pattern) => pattern.matches(backup) || names.iter().any(|name| name == backup),
            None => names.is_empty() || names.iter().any(|name| name == backup),
        }
    }
}

fn pattern(policy: &BackupPolicy) -> Result<Option<Pattern>, String> {
    let text = &policy.spec.backup_name_regexp;
    if text.is_empty() {
        return Ok(None);
    }
    Pattern::new(text).map(Some).map_err(|error| {
        format!(
            "failed to read backupNameRegexp {text:?} of the BackupPolicy {:?}: {} at character {}; it applies to no \
             Backup until it is corrected",
            policy.name_any(),
            error.problem,
            error.position
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{BackupPolicySpec, BackupSpec};

    fn policy(name: &str, names: &[&str], regexp: &str, zone: Option<&str>, suspend: Option<bool>) -> BackupPolicy {
        let spec = BackupPolicySpec {
            backup_names: names.iter().map(|name| (*name).to_owned()).collect(),
            backup_name_regexp: regexp.to_owned(),
            time_zone: zone.map(str::to_owned),
            suspend,
            ..BackupPolicySpec::default()
        };
        BackupPolicy::new(name, spec)
    }

    #[track_caller]
    fn check(policies: &[BackupPolicy], backup: &str, zone: Option<&str>, suspended_by: Option<&str>) {
        let settings = Policies::new(policies.to_vec()).settings(&Backup::new(backup, BackupSpec::default()));
        assert_eq!((settings.time_zone.as_deref(), settings.suspended_by.as_deref()), (zone, suspended_by), "{backup}");
    }

    #[test]
    fn a_policy_applies_by_name_by_regexp_or_to_all() {
        let zone = Some("Europe/Berlin");
        for (names, regexp, backup, applies) in [
            (&["daily"][..], "", "daily", true),
            (&["daily"], "", "rancher-daily", false),
            (&[], "^rancher-", "rancher-daily", true),
            (&[], "^rancher-", "daily", false),
            (&["daily"], "^rancher-", "daily", true),
            (&[], ".", "daily", true),
            (&[], "", "daily", true),
        ] {
            let expected = zone.filter(|_| applies);
            check(&[policy("p", names, regexp, zone, None)], backup, expected, None);
        }
    }

    #[test]
    fn of_several_policies_the_first_by_name_that_sets_a_field_counts_for_it() {
        let policies = [
            policy("c-zone", &[], ".", Some("Asia/Tokyo"), Some(true)),
            policy("a-suspend", &[], "^r", None, Some(true)),
            policy("b-running", &["daily"], "", Some(""), Some(false)),
        ];
        check(&policies, "rancher", Some("Asia/Tokyo"), Some("a-suspend"));
        check(&policies, "daily", Some("Asia/Tokyo"), None);
        check(&policies, "weekly", Some("Asia/Tokyo"), Some("c-zone"));
    }

    #[test]
    fn a_policy_that_cannot_be_read_applies_to_nothing_and_is_named() {
        let policies = Policies::new([policy("bad", &["daily"], "(", None, Some(true))]);
        let settings = policies.settings(&Backup::new("daily", BackupSpec::default()));
        assert!(settings.unknown.as_ref().is_some_and(|why| why.contains("\"bad\"")), "{settings:?}");
        assert_eq!(settings, Settings { unknown: settings.unknown.clone(), ..Settings::default() });
        let Refused { policy, reason, .. } = &policies.refused()[0];
        assert_eq!(policy, "bad");
        assert!(reason.contains("backupNameRegexp \"(\" of the BackupPolicy \"bad\""), "{reason}");
    }

    #[test]
    fn archives_must_be_authentic_by_the_first_policy_that_says_so_or_not() {
        let judging = |name: &str, regexp: &str, require_authentic| {
            let mut policy = policy(name, &[], regexp, None, None);
            policy.spec.require_authentic = Some(require_authentic);
            policy
        };
        let policies = Policies::new([judging("b-all", ".", true), judging("a-tests", "^test-", false)]);
        assert_eq!(policies.settings_of("daily").authentic_by.as_deref(), Some("b-all"));
        assert_eq!(policies.settings_of("test-daily").authentic_by, None);
        let unknown = |policies: Policies| policies.settings_of("daily").unknown_authentic;
        assert_eq!(unknown(Policies::new([policy("bad", &[], "(", None, Some(true))])), None);
        assert!(unknown(Policies::new([judging("bad", "(", false)])).is_some_and(|why| why.contains("\"bad\"")));
        assert!(unknown(Policies::undefined()).is_some_and(|why| why.contains("definition of BackupPolicy")));
    }

    #[test]
    fn a_policy_of_another_form_is_named_and_hides_no_other() {
        let policy = |name: &str, spec: serde_json::Value| {
            let object = serde_json::json!({"apiVersion": "drover.dev/v1", "kind": "BackupPolicy",
                "metadata": {"name": name}, "spec": spec});
            serde_json::from_value(object).unwrap()
        };
        let garbled = policy("garbled", serde_json::json!({"additionalStorageLocations": "far"}));
        let policies = Policies::of(vec![garbled, policy("zone", serde_json::json!({"timeZone": "Europe/Berlin"}))]);
        let settings = policies.settings_of("daily");
        assert_eq!(settings.time_zone.as_deref(), Some("Europe/Berlin"));
        for unknown in [settings.unknown, settings.unknown_locations, settings.unknown_authentic] {
            assert!(unknown.unwrap().starts_with("failed to read the BackupPolicy \"garbled\": "));
        }
    }

    #[test]
    fn where_archives_go_is_unknown_where_a_policy_that_cannot_be_read_says_it() {
        let mut bad = policy("bad", &[], "(", None, None);
        let unknown = |policies: &Policies| policies.settings_of("daily").unknown_locations;
        assert_eq!(unknown(&Policies::new([bad.clone()])), None);
        bad.spec.additional_storage_locations = Some(Vec::new());
        assert_eq!(unknown(&Policies::new([bad.clone()])), None);
        let near = FurtherLocation { name: "near".into(), s3: None, local: None };
        bad.spec.additional_storage_locations = Some(vec![near]);
        assert!(unknown(&Policies::new([bad])).is_some_and(|why| why.contains("\"bad\"")));
        let Settings { unknown, unknown_locations, .. } = Policies::undefined().settings_of("daily");
        assert!(unknown.is_some_and(|why| why.contains("definition of BackupPolicy")) && unknown_locations.is_some());
    }
}
