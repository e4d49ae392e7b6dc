//! Waits until the cluster serves what the archive's definitions define.

use std::time::Duration;

use drover::exit::{Exit, Fault};
use futures::{StreamExt, stream};
use snafu::Snafu;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::definitions::{Definition, GROUP, PLURAL};
use crate::discovery::{self, DiscoveryError};
use crate::request::{RequestError, Server};
use crate::types::{Type, Types};

/// How long definitions may take to be established; an API server needs a second or two for hundreds of them.
const DEADLINE: Duration = Duration::from_mins(1);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Definitions looked at at the same time.
const READS_AT_ONCE: usize = 16;

/// Why it is not known whether the definitions are ready.
#[derive(Debug, Snafu)]
pub(crate) enum EstablishError {
    /// The server does not say.
    #[snafu(display("failed to see whether the definition {name:?} is established"))]
    Get {
        /// Its name.
        name: String,
        /// The cause.
        source: RequestError,
    },
    /// The server does not say what it serves.
    #[snafu(transparent)]
    Discover {
        /// The cause.
        source: DiscoveryError,
    },
}

impl Fault for EstablishError {
    fn exit(&self) -> Exit {
        match self {
            Self::Get { source, .. } if source.is_unreachable() => Exit::Unavailable,
            Self::Get { .. } => Exit::Failure,
            Self::Discover { source } => source.exit(),
        }
    }
}

/// Waits until each definition that is there is established and served, and gives what the cluster serves then.
///
/// After the deadline it goes on with what there is: the objects of a type that is still not served fail by themselves.
pub(crate) async fn wait(
    server: &Server,
    definitions: &[Definition],
    shutdown: &CancellationToken,
) -> Result<Types, EstablishError> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let waiting = waiting(server, definitions).await?;
        let now = discovery::served(server).await?;
        let missing = missing(definitions, &now);
        if waiting.is_empty() && missing.is_empty() {
            return Ok(Types::new(now, &[]));
        }
        if Instant::now() >= deadline || shutdown.is_cancelled() {
            let left: Vec<&str> = waiting.iter().chain(&missing).map(String::as_str).collect();
            tracing::warn!("after {} s the cluster still does not serve {}", DEADLINE.as_secs(), left.join(", "));
            return Ok(Types::new(now, &[]));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The definitions that are there and not yet established, each with what it waits for.
async fn waiting(server: &Server, definitions: &[Definition]) -> Result<Vec<String>, EstablishError> {
    let looks = stream::iter(definitions).map(|definition| look(server, definition)).buffer_unordered(READS_AT_ONCE);
    let looks: Vec<Result<Option<String>, EstablishError>> = looks.collect().await;
    looks.into_iter().filter_map(Result::transpose).collect()
}

async fn look(server: &Server, definition: &Definition) -> Result<Option<String>, EstablishError> {
    let name = definition.name();
    match server.get(&format!("/apis/{GROUP}/v1/{PLURAL}/{name}")).await {
        Ok(live) => Ok(serde_json::from_slice::<Definition>(&live)
            .map_or_else(|error| Some(error.to_string()), |live| live.waits_for())
            .map(|reason| format!("{name} ({reason})"))),
        // It was refused, and its result says why.
        Err(error) if error.is_not_found() => Ok(None),
        Err(source) => Err(EstablishError::Get { name, source }),
    }
}

/// Versions that the definitions serve and the cluster does not, of types that it knows in no other version either or
/// that were just changed.
fn missing(definitions: &[Definition], served: &[Type]) -> Vec<String> {
    let defined = Types::new(Vec::new(), definitions);
    let is_served = |wanted: &Type| {
        served.iter().any(|known| {
            known.group == wanted.group && known.plural == wanted.plural && known.version == wanted.version
        })
    };
    defined
        .iter()
        .filter(|wanted| !is_served(wanted))
        .map(|wanted| format!("{}.{}", wanted.plural, wanted.api_version()))
        .collect()
}
