//! Where drover runs, as its workloads show it.

use std::collections::BTreeSet;

use drover::labels::{DROVER, PART_OF_LABEL};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{LocalObjectReference, PodTemplateSpec, ServiceAccount};
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use snafu::ensure;

use super::named::SecretName;
use super::{ElsewhereSnafu, GroundError, asked};
use crate::api::request::Server;

/// Where drover runs, and what its pods are pulled with.
#[derive(Debug, Default)]
pub(super) struct Home {
    /// The namespaces of its Deployments and CronJobs.
    namespaces: BTreeSet<String>,
    pull_secrets: BTreeSet<SecretName>,
}

impl Home {
    /// Looks for drover's workloads in the whole cluster, and for ServiceAccounts where it is said to run.
    ///
    /// # Errors
    ///
    /// When they cannot be listed, or drover runs in another namespace alone.
    pub(super) async fn find(server: &Server, namespace: &str) -> Result<Self, GroundError> {
        let deployments = labelled::<Deployment>(server, "Deployments").await?;
        let cron_jobs = labelled::<CronJob>(server, "CronJobs").await?;
        let mut home = Self::default();
        home.namespaces.extend(deployments.iter().filter_map(ResourceExt::namespace));
        home.namespaces.extend(cron_jobs.iter().filter_map(ResourceExt::namespace));
        home.is_not_elsewhere(namespace)?;
        for one in &deployments {
            home.pulled_by(one.namespace(), one.spec.as_ref().map(|spec| &spec.template));
        }
        for one in &cron_jobs {
            let job = one.spec.as_ref().and_then(|spec| spec.job_template.spec.as_ref());
            home.pulled_by(one.namespace(), job.map(|job| &job.template));
        }
        for one in &labelled::<StatefulSet>(server, "StatefulSets").await? {
            home.pulled_by(one.namespace(), one.spec.as_ref().map(|spec| &spec.template));
        }
        home.pulled_for(server, namespace).await?;
        Ok(home)
    }

    /// Whether drover runs anywhere.
    pub(super) fn is_somewhere(&self) -> bool {
        !self.namespaces.is_empty()
    }

    pub(super) fn into_pull_secrets(self) -> BTreeSet<SecretName> {
        self.pull_secrets
    }

    /// A restore that was told another namespace would take what drover stands on for others' things.
    fn is_not_elsewhere(&self, namespace: &str) -> Result<(), GroundError> {
        let Some(runs_in) = self.namespaces.first() else { return Ok(()) };
        ensure!(self.namespaces.contains(namespace), ElsewhereSnafu { namespace, runs_in });
        Ok(())
    }

    fn pulled_by(&mut self, namespace: Option<String>, template: Option<&PodTemplateSpec>) {
        let pod = template.and_then(|template| template.spec.as_ref());
        self.add(&namespace.unwrap_or_default(), pod.and_then(|pod| pod.image_pull_secrets.as_deref()));
    }

    /// The ServiceAccounts of drover's namespace give their pull Secrets to its pods.
    async fn pulled_for(&mut self, server: &Server, namespace: &str) -> Result<(), GroundError> {
        let path = <ServiceAccount as kube::Resource>::url_path(&(), Some(namespace));
        let accounts = asked::at::<ServiceAccount>(server, &path, "ServiceAccounts of drover's namespace").await?;
        for account in accounts.unwrap_or_default() {
            self.add(namespace, account.image_pull_secrets.as_deref());
        }
        Ok(())
    }

    fn add(&mut self, namespace: &str, references: Option<&[LocalObjectReference]>) {
        let named = references.unwrap_or_default().iter().filter(|reference| !reference.name.is_empty());
        self.pull_secrets.extend(named.map(|reference| (namespace.to_owned(), reference.name.clone())));
    }
}

/// The objects of a type, of whatever namespace, that carry drover's label.
async fn labelled<K>(server: &Server, what: &'static str) -> Result<Vec<K>, GroundError>
where
    K: kube::Resource<DynamicType = ()> + DeserializeOwned,
{
    let path = format!("{}?labelSelector={PART_OF_LABEL}%3D{DROVER}", K::url_path(&(), None));
    Ok(asked::at(server, &path, what).await?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use drover::exit::{Exit, Fault};
    use serde_json::json;

    use super::*;

    #[test]
    fn another_namespace_is_refused_where_drover_runs_in_one() {
        for (runs_in, namespace, is_refused) in [
            (&["home"][..], "home", false),
            (&[], "any", false),
            (&["home"], "shop", true),
            (&["another", "home"], "home", false),
        ] {
            let namespaces = runs_in.iter().map(|name| (*name).to_owned()).collect();
            let home = Home { namespaces, ..Home::default() };
            let refused = home.is_not_elsewhere(namespace).err();
            assert_eq!(refused.is_some(), is_refused, "{namespace:?} of {runs_in:?}");
            if let Some(error) = refused {
                assert!(error.to_string().ends_with("Use --drover-namespace home"), "{error}");
                assert_eq!(error.exit(), Exit::Usage);
            }
        }
    }

    #[test]
    fn pods_are_pulled_with_the_secrets_of_their_templates_and_accounts() {
        let template = json!({"spec": {"containers": [], "imagePullSecrets": [{"name": "registry"}, {"name": ""}]}});
        let template: PodTemplateSpec = serde_json::from_value(template).unwrap();
        let account: ServiceAccount =
            serde_json::from_value(json!({"imagePullSecrets": [{"name": "mirror"}]})).unwrap();
        let mut home = Home::default();
        home.pulled_by(Some("home".to_owned()), Some(&template));
        home.pulled_by(Some("home".to_owned()), None);
        home.add("home", account.image_pull_secrets.as_deref());
        let expected = ["mirror", "registry"].map(|name| ("home".to_owned(), name.to_owned()));
        assert_eq!(home.into_pull_secrets(), expected.into());
    }
}
