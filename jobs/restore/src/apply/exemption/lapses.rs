//! The exemption where it is gone: whoever owns the configurations wrote them anew.

use std::sync::atomic::Ordering;

use drover::exit::Chain;
use tokio::time::Instant;
use tracing::{debug, info};

use super::error::ExemptionError;
use super::put_in::PutIn;
use super::state::State;
use super::{Exemption, lock};
use crate::api::request::Server;

/// How often configurations may be written anew: who takes the condition away more often does it on purpose.
const MOST_REWRITES: u32 = 10;

impl Exemption {
    /// Puts the exemption in again where it is gone: the configurations were written anew, or for the first time.
    pub(super) async fn look(&self, server: &Server, state: &mut State) {
        state.looked = Some(Instant::now());
        if self.lost.is_cancelled() || state.rewrites() >= MOST_REWRITES {
            return;
        }
        match self.put_in_if_there(server, state).await {
            Ok(None) => {}
            Ok(Some(put_in)) => {
                self.lapses.fetch_add(1, Ordering::Relaxed);
                state.note_rewritten(&put_in.rewritten);
                self.tell_of_lapse(server, &put_in, state).await;
                if state.rewrites() >= MOST_REWRITES {
                    let words = format!(
                        "the condition was taken away {MOST_REWRITES} times and is not put in again: see who does that"
                    );
                    self.teller.warn("NotExempted", words).await;
                }
            }
            Err(error) => info!("the exemption cannot be looked after: {}", Chain(&error)),
        }
    }

    /// Tells that it was put in again, or for the first time, since the webhooks were registered only now.
    async fn tell_of_lapse(&self, server: &Server, put_in: &PutIn, state: &mut State) {
        let names = self.names.join(", ");
        match self.user(server).await {
            Ok(Some(user)) if !state.is_told => {
                state.is_told = true;
                self.teller.begin(user, put_in.webhooks, &names).await;
            }
            _ => self.teller.again(put_in.changed, &names).await,
        }
    }

    /// What it came to, where a webhook lacked the condition.
    async fn put_in_if_there(&self, server: &Server, state: &mut State) -> Result<Option<PutIn>, ExemptionError> {
        let before = lock(&self.webhooks).clone();
        // Who asks is not worth a request where there is no webhook.
        if self.find(server).await?.is_empty() {
            return Ok(None);
        }
        let put_in = self.put_in(server, state).await?;
        // It was told when it was put in first, and is met each time. The condition may still be where it was.
        if let Some(failure) = put_in.failure() {
            debug!("{failure}");
            lock(&self.webhooks).extend(before);
        }
        Ok((put_in.changed > 0).then_some(put_in))
    }
}
