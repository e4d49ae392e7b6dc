//! The HTTP client that the AWS SDK is given, so that it brings none of its own.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use reqwest::{Body, Certificate, Client, Request};

/// Sends the requests of the SDK.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    client: Client,
}

impl Connector {
    /// Trusts only this authority, in PEM; without one, none.
    pub(super) fn new(ca_pem: Option<&str>) -> reqwest::Result<Self> {
        let authorities = ca_pem.map(|pem| Certificate::from_pem(pem.as_bytes())).transpose()?;
        Ok(Self { client: Client::builder().no_proxy().tls_certs_only(authorities).build()? })
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(send(self.client.clone(), request))
    }
}

async fn send(client: Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let request = Request::try_from(request.map(Body::wrap)).map_err(|error| ConnectorError::user(error.into()))?;
    let response = client.execute(request).await.map_err(|error| ConnectorError::io(error.into()))?;
    let response = aws_smithy_runtime_api::http::Response::try_from(reqwest_response(response));
    response.map_err(|error| ConnectorError::other(error.into(), None))
}

fn reqwest_response(response: reqwest::Response) -> http::Response<SdkBody> {
    http::Response::<Body>::from(response).map(SdkBody::from_body_1_x)
}
