//! An APIService: what hands the requests for a group's version to another server, and whether that one answers.

use serde::Deserialize;

/// What an APIService says of the server behind it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct ApiService {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
struct Metadata {
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
struct Spec {
    group: String,
    version: String,
    service: Option<Service>,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
struct Service {
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
}

impl ApiService {
    /// The path of all of them.
    pub const PATH: &str = "/apis/apiregistration.k8s.io/v1/apiservices";

    /// The path of the one that an API version belongs to, such as `metrics.k8s.io/v1beta1`; none for the core group.
    #[must_use]
    pub fn path_of(api_version: &str) -> Option<String> {
        let (group, version) = api_version.split_once('/')?;
        Some(format!("{}/{version}.{group}", Self::PATH))
    }

    /// The API version that it serves.
    #[must_use]
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.spec.group, self.spec.version)
    }

    /// Why its API cannot be had, with its name, its Service and Kubernetes' own words; none where the API server itself
    /// serves it, or the server behind it is well.
    #[must_use]
    pub fn why_away(&self) -> Option<String> {
        let Service { namespace, name: service } = self.spec.service.as_ref()?;
        let available = self.status.conditions.iter().find(|condition| condition.kind == "Available");
        let words = match available {
            Some(Condition { status, .. }) if status == "True" => return None,
            Some(Condition { reason, message, .. }) => format!("{reason}: {message}"),
            None => "nobody has looked at it yet".to_owned(),
        };
        let name = &self.metadata.name;
        Some(format!("the APIService {name:?} (Service \"{namespace}/{service}\") is not available: {words}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(service: &serde_json::Value, conditions: &serde_json::Value, expected: Option<&str>) {
        let api: ApiService = serde_json::from_value(json!({
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {"group": "metrics.k8s.io", "version": "v1beta1", "service": service},
            "status": {"conditions": conditions},
        }))
        .unwrap();
        assert_eq!(api.why_away().as_deref(), expected);
        assert_eq!(api.api_version(), "metrics.k8s.io/v1beta1");
    }

    #[test]
    fn what_is_away_is_told_in_the_words_of_kubernetes() {
        let service = json!({"namespace": "kube-system", "name": "metrics-server", "port": 443});
        let not_there = json!([{"type": "Available", "status": "False", "reason": "ServiceNotFound",
            "message": "service/metrics-server in \"kube-system\" is not present"}]);
        let named =
            "the APIService \"v1beta1.metrics.k8s.io\" (Service \"kube-system/metrics-server\") is not available: ";
        let words = "ServiceNotFound: service/metrics-server in \"kube-system\" is not present";
        check(&service, &not_there, Some(&format!("{named}{words}")));
        check(&service, &json!([]), Some(&format!("{named}nobody has looked at it yet")));
        check(&service, &json!([{"type": "Available", "status": "True", "reason": "Passed"}]), None);
        check(&serde_json::Value::Null, &not_there, None);
    }

    #[test]
    fn its_name_follows_from_the_api_version() {
        let path = ApiService::path_of("metrics.k8s.io/v1beta1").unwrap();
        assert_eq!(path, "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io");
        assert_eq!(ApiService::path_of("v1"), None);
    }
}
