//! Changes an object that is there: as it is at that moment, and again where somebody else was quicker.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use snafu::ResultExt;

use super::error::{BeingDeletedSnafu, ContendedSnafu, RequestSnafu, WriteError};
use super::{CONFLICTS, Job, Written, held, parse};
use crate::apply::write::extent::Extent;
use crate::objects::compare::{Difference, compare};
use crate::objects::server_owned::waits_for_volume;
use crate::objects::shape::{Identity, Shape};
use crate::objects::special_case::{SpecialCase, Treatment};
use crate::objects::special_cases::{OURS, is_ours};
use crate::report::outcome::Outcome;

impl Job<'_> {
    /// Changes the live object, whatever it is by now: a plan may be minutes old. One that is gone is created.
    pub(super) async fn change(&self, extent: Extent) -> Result<Written, WriteError> {
        for _ in 0..CONFLICTS {
            match self.change_once(extent).await {
                Err(error) if error.is_outdated() => {}
                other => return other,
            }
        }
        ContendedSnafu { again: self.writer.again }.fail()
    }

    async fn change_once(&self, extent: Extent) -> Result<Written, WriteError> {
        let live_bytes = match self.writer.server.get(&self.path()).await {
            // Gone since it was listed, or a name that only the plan took for there. Boxed, as the two call each other.
            Err(error) if error.is_not_found() => return Box::pin(self.create()).await,
            other => other.context(RequestSnafu { step: "" })?,
        };
        let live = parse(&live_bytes, "the live object")?;
        self.remember(&live.identity());
        match extent {
            Extent::Whole => self.replace(&live, &live_bytes).await,
            Extent::Owners => self.name_owners(&live).await,
        }
    }

    /// Makes the live object what is wanted; makes it anew where it cannot be changed, and may be.
    async fn replace(&self, live: &Shape<'_>, live_bytes: &[u8]) -> Result<Written, WriteError> {
        if let Some(SpecialCase { treatment: Treatment::KeepLive | Treatment::LeaveLive, reason, .. }) = self.case {
            return Ok(Written { outcome: Outcome::Kept, note: Cow::Borrowed(reason), dropped_owners: 0 });
        }
        if is_ours(live) {
            return Ok(Written { outcome: Outcome::Kept, note: Cow::Borrowed(OURS), dropped_owners: 0 });
        }
        let identity = live.identity();
        if identity.deletion_timestamp.is_some() {
            return BeingDeletedSnafu { held: held(live), again: self.writer.again }.fail();
        }
        let wanted = self.wanted(Some(live_bytes))?;
        let shape = parse(&wanted, "the object of the archive")?;
        let (owners, dropped_owners) = self.owners(&shape);
        let difference = compare(&shape, live, self.known.status, &self.marks);
        match self.write_difference(&shape, &wanted, &owners, &identity, &difference).await {
            Ok((outcome, given_up)) => {
                let note = waits_for_volume(self.kind(), &self.object, live_bytes).unwrap_or(given_up);
                Ok(Written { outcome, note: note.into(), dropped_owners })
            }
            Err(error) => {
                let obstacle = self.obstacle(error, &shape, live).await?;
                self.recreate(obstacle, live, live_bytes).await
            }
        }
    }

    /// Writes what differs; gives what is to be said of it too.
    async fn write_difference(
        &self,
        shape: &Shape<'_>,
        wanted: &[u8],
        owners: &[OwnerReference],
        live: &Identity,
        difference: &Difference,
    ) -> Result<(Outcome, String), WriteError> {
        let (mut now, mut note) = (live.clone(), String::new());
        if difference.body || !self.same_owners(shape, difference) {
            let (answer, given_up) = self.send(wanted, owners, Some(&live.resource_version)).await?;
            now = self.identity(&answer)?;
            note = given_up;
        }
        if difference.status {
            now = self.replace_status(shape, wanted, owners, &now).await?;
        }
        // The server keeps the version where a write changes nothing: what it leaves out or fills in is no difference.
        let unchanged = now.resource_version == live.resource_version;
        Ok((if unchanged { Outcome::Unchanged } else { Outcome::Updated }, note))
    }

    fn same_owners(&self, shape: &Shape<'_>, difference: &Difference) -> bool {
        let wanted = self.uids().map(|uid| uid.map(|uid| self.marks.mark(&uid)));
        wanted.take(shape.owner_references().len()).eq(difference.owners.iter().copied())
    }

    pub(super) async fn replace_status(
        &self,
        shape: &Shape<'_>,
        wanted: &[u8],
        owners: &[OwnerReference],
        live: &Identity,
    ) -> Result<Identity, WriteError> {
        let body = self.body(shape, wanted, owners, Some(&live.resource_version))?;
        let path = format!("{}/status", self.path());
        let step = "the object itself is restored, its status is not";
        let answer = self.writer.server.replace(&path, body).await.context(RequestSnafu { step })?;
        self.identity(&answer)
    }
}
