//! The wait until the exemption is in force.

use std::time::Duration;

use tokio::time::sleep;
use tracing::info;

use super::state::State;
use super::trial::{self, Trial};
use super::{Exemption, IN_FORCE_WITHIN, UNSEEN, lock};
use crate::api::request::Server;

/// Between two looks whether the condition is still there: longer than API servers mostly take to learn of it.
const LOOK_WITHIN: Duration = Duration::from_secs(3);

impl Exemption {
    /// Waits until the exemption is in force, as far as that can be seen.
    pub(super) async fn settle(&self, server: &Server, state: &mut State, trials: &[&'static Trial]) {
        if trials.is_empty() {
            info!("no write on trial can show that the exemption is in force; waiting {} s", UNSEEN.as_secs());
            sleep(UNSEEN).await;
            return;
        }
        if self.comes_into_force(server, state, trials).await {
            info!("the exemption is in force: writes on trial pass the webhooks");
        } else {
            let seconds = IN_FORCE_WITHIN.as_secs();
            let words = format!(
                "after {seconds} s writes on trial do not show that no webhook is asked; what they refuse is named, and \
                 what they change is not"
            );
            self.teller.warn("NotExempted", words).await;
        }
    }

    /// Whether trials show that the exemption is in force before its time is over. Nobody else looks meanwhile whether it is
    /// still there.
    async fn comes_into_force(&self, server: &Server, state: &mut State, trials: &[&'static Trial]) -> bool {
        let mut in_a_row = 0;
        while state.is_young() {
            let webhooks = lock(&self.webhooks).clone();
            if trial::pass(server, trials, &webhooks, &mut in_a_row, LOOK_WITHIN).await {
                return true;
            }
            self.look(server, state).await;
        }
        false
    }
}
