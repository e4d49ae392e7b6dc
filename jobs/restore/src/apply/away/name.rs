//! Who it is that does not answer: the configuration, the Service and what else the cluster knows of it.

use drover::api::ApiService;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::cause::Away;
use super::guard::{ClientConfig, Hook};
use crate::api::request::Server;
use crate::objects::definitions::{GROUP, PLURAL};

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";

/// The types of the configurations of admission webhooks: kind and plural name.
const CONFIGURATIONS: [(&str, &str); 2] = [
    ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
    ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
];

/// What the cluster knows of a server that does not answer.
#[derive(Debug)]
pub(super) struct Known {
    /// Who it is, as people know it.
    pub(super) who: String,
    /// The webhooks of that name.
    pub(super) hooks: Vec<Hook>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct List<T> {
    items: Vec<T>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration {
    metadata: Metadata,
    webhooks: Vec<Hook>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Definition {
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    conversion: Conversion,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Conversion {
    webhook: Option<ConversionWebhook>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ConversionWebhook {
    client_config: ClientConfig,
}

/// Asks the cluster. What it does not tell is left out: the name alone helps more than an error.
pub(super) async fn know(server: &Server, away: &Away) -> Known {
    match away {
        Away::Admission { webhook } => {
            let mut found = Vec::new();
            for (kind, plural) in CONFIGURATIONS {
                let list: List<Configuration> =
                    read(server, &format!("{ADMISSION}/{plural}")).await.unwrap_or_default();
                found.extend(list.items.into_iter().map(|configuration| (kind, configuration)));
            }
            admission(webhook, found)
        }
        Away::Conversion { definition } => {
            let live: Option<Definition> = read(server, &format!("/apis/{GROUP}/v1/{PLURAL}/{definition}")).await;
            let webhook = live.and_then(|live| live.spec.conversion.webhook);
            let place = webhook.map(|webhook| webhook.client_config.place()).unwrap_or_default();
            Known { who: format!("the conversion webhook of the definition {definition:?}{place}"), hooks: Vec::new() }
        }
        Away::Api { api_version } => {
            let api: Option<ApiService> = match ApiService::path_of(api_version) {
                Some(path) => read(server, &path).await,
                None => None,
            };
            let why = api.and_then(|api| api.why_away()).map(|why| format!(" ({why})")).unwrap_or_default();
            Known { who: format!("the server of the aggregated API {api_version:?}{why}"), hooks: Vec::new() }
        }
    }
}

fn admission(webhook: &str, found: Vec<(&'static str, Configuration)>) -> Known {
    let (mut names, mut hooks) = (Vec::new(), Vec::new());
    for (kind, configuration) in found {
        for hook in configuration.webhooks.into_iter().filter(|hook| hook.name == webhook) {
            let place = hook.client_config.place();
            names.push(format!(" of the {kind} {:?}{place}", configuration.metadata.name));
            hooks.push(hook);
        }
    }
    Known { who: format!("the webhook {webhook:?}{}", names.join(" and")), hooks }
}

async fn read<T: DeserializeOwned>(server: &Server, path: &str) -> Option<T> {
    let answer = server.get(path).await;
    let read = answer.map_err(|error| error.to_string());
    let read = read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
    read.inspect_err(|error| tracing::debug!("failed to see at {path:?} who does not answer: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn configuration(name: &str, hooks: &[&str]) -> Configuration {
        let hooks: Vec<_> = hooks
            .iter()
            .map(|hook| json!({"name": hook, "clientConfig": {"service": {"namespace": "a", "name": "w"}}}))
            .collect();
        serde_json::from_value(json!({"metadata": {"name": name}, "webhooks": hooks})).unwrap()
    }

    #[test]
    fn a_webhook_is_named_with_its_configurations_and_services() {
        let found = vec![
            ("ValidatingWebhookConfiguration", configuration("one", &["w.a.io", "other.a.io"])),
            ("MutatingWebhookConfiguration", configuration("two", &["w.a.io"])),
        ];
        let known = admission("w.a.io", found);
        let one = "of the ValidatingWebhookConfiguration \"one\" (Service \"a/w\")";
        let two = "of the MutatingWebhookConfiguration \"two\" (Service \"a/w\")";
        assert_eq!(known.who, format!("the webhook \"w.a.io\" {one} and {two}"));
        assert_eq!(known.hooks.len(), 2);
    }

    #[test]
    fn one_that_is_gone_has_its_name() {
        let known = admission("w.a.io", vec![("MutatingWebhookConfiguration", configuration("two", &["x.a.io"]))]);
        assert_eq!((known.who.as_str(), known.hooks.len()), ("the webhook \"w.a.io\"", 0));
    }
}
