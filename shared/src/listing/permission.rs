//! What gives the right to read a type.

use crate::selection::ResourceType;

/// The name of the ServiceAccount that snapshots run as, by the manifests.
pub const SNAPSHOT_ACCOUNT: &str = "drover-snapshot";

/// The ServiceAccount that a job runs as.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: &'static str,
}

/// What gives the right to `verb` a type: for a ServiceAccount the commands to the letter.
pub(super) fn how_to_permit(resource: &ResourceType, verb: &str, account: Option<&Account>) -> String {
    let type_name = resource.type_name();
    if let Some(account) = account.filter(|_| is_word(&type_name)) {
        return format!("to allow it, run \"{}\"", command(&type_name, verb, account));
    }
    let ResourceType { group, plural, .. } = resource;
    format!(
        "whoever asks needs a ClusterRole with the rule apiGroups: [{group:?}], resources: [{plural:?}], verbs: [{verb:?}]"
    )
}

/// The right to `verb` a type, as it is noted for whoever can tell when it is there; none where the type's name is no word.
pub(super) fn right(resource: &ResourceType, verb: &str) -> Option<String> {
    let type_name = resource.type_name();
    is_word(&type_name).then(|| format!("{verb} {type_name}"))
}

/// For this type alone, without its subresources: `get` on those of pods, or on all, leads into pods.
fn command(type_name: &str, verb: &str, Account { namespace, name }: &Account) -> String {
    let role = format!("{name}-{verb}-{type_name}");
    format!(
        "kubectl create clusterrole {role} --verb={verb} --resource={type_name} && kubectl create clusterrolebinding {role} \
         --clusterrole={role} --serviceaccount={namespace}:{name}"
    )
}

/// Whether a name can stand in a command as it is: another server says what its types are called.
fn is_word(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(plural: &str, account: Option<&Account>, expected: &str) {
        let resource = ResourceType { group: "a.io".into(), plural: plural.into(), ..ResourceType::default() };
        assert_eq!(how_to_permit(&resource, "get", account), expected);
    }

    #[test]
    fn a_service_account_gets_commands_to_the_letter_and_anybody_else_the_rule() {
        let account = Account { namespace: "n".into(), name: "drover-snapshot" };
        let command = "kubectl create clusterrole drover-snapshot-get-things.a.io --verb=get --resource=things.a.io && \
                       kubectl create clusterrolebinding drover-snapshot-get-things.a.io \
                       --clusterrole=drover-snapshot-get-things.a.io --serviceaccount=n:drover-snapshot";
        check("things", Some(&account), &format!("to allow it, run \"{command}\""));
        let rule = |plural| {
            format!(
                "whoever asks needs a ClusterRole with the rule apiGroups: [\"a.io\"], resources: [\"{plural}\"], verbs: \
                 [\"get\"]"
            )
        };
        check("things", None, &rule("things"));
        check("$(reboot)", Some(&account), &rule("$(reboot)"));
        let right = |plural: &str| {
            right(&ResourceType { group: "a.io".into(), plural: plural.into(), ..ResourceType::default() }, "get")
        };
        assert_eq!((right("things").as_deref(), right("a,b")), (Some("get things.a.io"), None));
    }
}
