//! Waits until the cluster serves what the archive's definitions define.

use std::sync::Arc;
use std::time::Duration;

use drover::api::RequestError;
use drover::exit::{Exit, Fault};
use futures::{StreamExt, stream};
use snafu::Snafu;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::discovery::{self, DiscoveryError};
use crate::api::request::Server;
use crate::objects::definitions::{Definition, GROUP, PLURAL};
use crate::report::progress::Gauge;
use crate::survey::types::{Type, Types};

/// How long definitions may take to be established; an API server needs a second or two for hundreds of them.
const DEADLINE: Duration = Duration::from_mins(1);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Definitions looked at at the same time.
const READS_AT_ONCE: usize = 16;

/// Why it is not known whether the definitions are ready.
#[derive(Debug, Snafu)]
pub(crate) enum EstablishError {
    #[snafu(display("failed to see whether the definition {name:?} is established"))]
    Get { name: String, source: RequestError },
    #[snafu(transparent)]
    Discover { source: DiscoveryError },
}

impl Fault for EstablishError {
    fn exit(&self) -> Exit {
        match self {
            Self::Get { source, .. } => source.exit(),
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
    gauge: &Arc<Gauge>,
    shutdown: &CancellationToken,
) -> Result<Types, EstablishError> {
    let deadline = Instant::now() + DEADLINE;
    let (mut served, mut left) = look_at_all(server, definitions).await?;
    while let Some(words) = waited_for(&left) {
        if Instant::now() >= deadline || shutdown.is_cancelled() {
            tracing::warn!("after {} s the cluster still does not serve {}", DEADLINE.as_secs(), left.join(", "));
            break;
        }
        let _wait = gauge.wait(words);
        tokio::time::sleep(PAUSE).await;
        (served, left) = look_at_all(server, definitions).await?;
    }
    Ok(Types::new(served, &[]))
}

/// What the cluster serves, and what it does not yet of the definitions, in an order that is the same from look to look.
async fn look_at_all(server: &Server, definitions: &[Definition]) -> Result<(Vec<Type>, Vec<String>), EstablishError> {
    let mut left = waiting(server, definitions).await?;
    let served = discovery::served(server).await?;
    left.extend(missing(definitions, &served));
    left.sort_unstable();
    Ok((served, left))
}

/// What is said while definitions are waited for; none where none is.
fn waited_for(left: &[String]) -> Option<String> {
    let (first, others) = left.split_first()?;
    let others = if others.is_empty() { String::new() } else { format!(", and {} more", others.len()) };
    Some(format!(
        "the API server to serve {first}{others}; see what the conditions of the definition say (kubectl describe crd), and \
         what stands in its way"
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_served_yet_is_named_with_how_to_see_why() {
        assert_eq!(waited_for(&[]), None);
        let left = ["a.x.io (NamesAccepted: \"A\" is in use)".to_owned(), "b.x.io".to_owned(), "c.x.io".to_owned()];
        let one = waited_for(&left[..1]).unwrap();
        assert!(one.starts_with("the API server to serve a.x.io (NamesAccepted: \"A\" is in use); see what"), "{one}");
        assert!(one.contains("kubectl describe crd"), "{one}");
        let all = waited_for(&left).unwrap();
        assert!(all.contains("is in use), and 2 more; see what"), "{all}");
    }
}
