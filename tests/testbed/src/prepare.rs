//! What drover needs in a cluster before its jobs can run, made in a testbed as a deployment would make it.

use std::time::Duration;

use drover::exit::{Exit, Failure};
use drover::queue::{self, NatsOptions};
use drover::resources::{DEFAULT_NAMESPACE, definitions};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt};
use snafu::{ResultExt, Snafu};

use crate::testbed::{self, Testbed};

/// How long the API server may take to serve a new type.
const ESTABLISH_LIMIT: Duration = Duration::from_secs(30);

/// Why a testbed could not be made ready for drover.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(transparent)]
    Testbed { source: testbed::Error },
    #[snafu(display("failed to install {name:?}"))]
    Install { name: String, source: kube::Error },
    #[snafu(display("failed to see the API server serve {name:?}"))]
    Establish { name: String },
    #[snafu(display("failed to set up NATS: {failure}"))]
    SetUpNats { failure: Failure },
}

/// Installs drover's custom resource definitions and its namespace, and sets NATS up, as far as the testbed has them.
///
/// # Errors
/// When the API server or NATS refuses.
pub async fn prepare(testbed: &Testbed) -> Result<(), Error> {
    if testbed.kubeconfig().is_ok() {
        let client = testbed.client().await?;
        install_definitions(&client, &definitions()).await?;
        make_namespace(&client, DEFAULT_NAMESPACE).await?;
    }
    if let Ok(url) = testbed.nats_url() {
        set_up_nats(url).await.map_err(|failure| Error::SetUpNats { failure })?;
    }
    Ok(())
}

async fn set_up_nats(url: &str) -> Result<(), Failure> {
    let address = url.parse().map_err(|error| Failure::new(Exit::Usage, format!("{error}")))?;
    let options = NatsOptions {
        urls: vec![address],
        credentials: None,
        nkey: None,
        user: None,
        password: None,
        ca: None,
        connect_seconds: 15,
        ping_interval: None,
    };
    let connection = queue::connect(&options, "setup").await?;
    queue::setup(&connection.jetstream, &queue::Settings::default()).await?;
    Ok(())
}

/// Installs definitions and waits until the API server serves them.
///
/// # Errors
/// When it refuses or does not.
pub async fn install_definitions(client: &Client, definitions: &[CustomResourceDefinition]) -> Result<(), Error> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let parameters = PatchParams::apply("drover-testbed").force();
    for definition in definitions {
        let name = definition.name_any();
        api.patch(&name, &parameters, &Patch::Apply(definition)).await.context(InstallSnafu { name })?;
    }
    for definition in definitions {
        let name = definition.name_any();
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        if !matches!(tokio::time::timeout(ESTABLISH_LIMIT, established).await, Ok(Ok(_))) {
            return EstablishSnafu { name }.fail();
        }
    }
    Ok(())
}

/// Makes a namespace, unless it is there.
///
/// # Errors
/// When the API server refuses.
pub async fn make_namespace(client: &Client, name: &str) -> Result<(), Error> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    api.patch(name, &PatchParams::apply("drover-testbed").force(), &Patch::Apply(&namespace))
        .await
        .context(InstallSnafu { name })?;
    Ok(())
}
