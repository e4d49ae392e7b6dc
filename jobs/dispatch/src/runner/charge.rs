//! Who is in charge: the Rancher backup operator while it runs, drover otherwise.

use std::sync::Arc;
use std::time::Duration;

use drover::coexistence;
use drover::exit::Chain;
use kube::Client;
use tokio::time::sleep;
use tracing::{info, warn};

use super::shared::Shared;
use super::state::Charge;

/// How often the operator is looked for: it is one small request, and drover takes over within half a minute.
const INTERVAL: Duration = Duration::from_secs(10);

/// Looks for the operator for ever. While the API server does not answer, what it last said holds.
pub(crate) async fn follow(client: Client, namespace: String, shared: Arc<Shared>) {
    loop {
        match coexistence::operator(&client, &namespace).await {
            Ok(Some(operator)) => learn(&shared, Charge::Theirs(operator)),
            Ok(None) => learn(&shared, Charge::Ours),
            Err(error) => warn!("{}", Chain(&error)),
        }
        sleep(INTERVAL).await;
    }
}

fn learn(shared: &Shared, charge: Charge) {
    if shared.state().charge == charge {
        return;
    }
    match &charge {
        Charge::Theirs(operator) => info!("drover starts nothing: {}", operator.message()),
        Charge::Ours => info!("drover is in charge of Backups and Restores"),
        Charge::Unknown => {}
    }
    shared.change(|state| state.charge = charge);
}
