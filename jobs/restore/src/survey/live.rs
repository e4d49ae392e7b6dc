//! What is live of an archive's objects: each type is listed once, and each page compared while the next one comes.

mod comparison;
mod error;
pub(crate) mod look;
mod node_ports;
mod presence;
mod read;
mod scope;
mod survey;

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, stream};

use self::comparison::Found;
use self::error::CompareSnafu;
pub(crate) use self::error::LiveError;
use self::node_ports::NodePorts;
pub(crate) use self::presence::Presence;
use self::read::get;
pub(crate) use self::scope::Scope;
use self::survey::Survey;
use crate::api::request::Server;
use crate::apply::away::{Away, Unseen};
use crate::objects::compare::{UidMark, UidMarks};
use crate::objects::shape::Shape;
use crate::prune::Candidate;
use crate::report::progress::Progress;
use crate::survey::archive::facts::{Owner, OwnerIndex, Position};
use crate::survey::types::Type;

/// Types listed at the same time; the comparison keeps two cores busy with fewer.
const LISTS_AT_ONCE: usize = 4;
/// Objects read one by one at the same time, where a type cannot be listed and for owners outside of the archive.
const READS_AT_ONCE: usize = 16;

/// What is live of an archive's objects; a byte for each, and a little more for those with owners.
#[derive(Debug)]
pub(crate) struct Live {
    presences: Vec<Presence>,
    references: HashMap<Position, Box<[Option<UidMark>]>>,
    owner_uids: HashMap<OwnerIndex, String>,
    marks: UidMarks,
    candidates: Vec<Candidate>,
    unseen: Unseen,
    node_ports: NodePorts,
    notes: HashMap<Position, Arc<str>>,
}

impl Live {
    /// Looks at everything that the facts are about.
    ///
    /// # Errors
    ///
    /// When any of it cannot be looked at: what is not seen would be taken for missing. Only where another server is away
    /// that a type needs it goes on without that type, which is [unseen](Live::unseen) then.
    pub(crate) async fn survey(server: &Server, scope: &Scope<'_>) -> Result<Self, LiveError> {
        let mut live = Self {
            presences: vec![Presence::Absent; scope.facts.len()],
            references: HashMap::new(),
            owner_uids: HashMap::new(),
            marks: UidMarks::default(),
            candidates: Vec::new(),
            unseen: Unseen::default(),
            node_ports: NodePorts::default(),
            notes: HashMap::new(),
        };
        let mut progress = Progress::new("live objects compared", 0);
        let survey = Survey { scope, marks: live.marks.clone() };
        let (listed, single): (Vec<_>, Vec<_>) = survey.looks().into_iter().partition(|look| look.known.can_list);
        let pages = stream::iter(listed).map(|look| {
            let known = Arc::clone(&look.known);
            survey.pages(server, look).map(move |page| (Arc::clone(&known), page))
        });
        let mut pages = std::pin::pin!(pages.flatten_unordered(LISTS_AT_ONCE));
        let mut compared = 0;
        while let Some((known, page)) = pages.next().await {
            let Some((found, items)) = live.seen(scope, &known, page).await? else { continue };
            compared += items as u64;
            progress.advance_to(compared);
            live.add_all(found);
        }
        for look in single {
            let known = Arc::clone(&look.known);
            let found = survey.one_by_one(server, look).await;
            let found = live.seen(scope, &known, found).await?;
            live.add_all(found.unwrap_or_default());
        }
        live.find_other_owners(server, scope).await?;
        live.judge_node_ports();
        let Self { candidates, unseen, .. } = &mut live;
        candidates.retain(|candidate| unseen.why(&candidate.known).is_none());
        Ok(live)
    }

    /// The types that could not be looked at.
    pub(crate) const fn unseen(&self) -> &Unseen {
        &self.unseen
    }

    /// What was seen of a type; nothing where it cannot be looked at, for another server is away.
    async fn seen<T>(
        &mut self,
        scope: &Scope<'_>,
        known: &Arc<Type>,
        seen: Result<T, LiveError>,
    ) -> Result<Option<T>, LiveError> {
        let error = match seen {
            Ok(seen) => return Ok(Some(seen)),
            Err(error) => error,
        };
        let Some(request) = error.request() else { return Err(error) };
        let Some(away) = Away::of(request, known) else { return Err(error) };
        let (_, why) = scope.away.learn(away, request).await;
        self.unseen.add(known, why);
        Ok(None)
    }

    /// Takes out what the ResourceSet selects and the archive lacks.
    pub(crate) fn take_candidates(&mut self) -> Vec<Candidate> {
        std::mem::take(&mut self.candidates)
    }

    /// Whether the object is live, and as it should be.
    pub(crate) fn presence(&self, position: Position) -> Presence {
        self.presences[position as usize]
    }

    /// For each owner that the archive's object names the UID that the live object names it with.
    pub(crate) fn reference_marks(&self, position: Position) -> &[Option<UidMark>] {
        self.references.get(&position).map_or(&[], |references| references)
    }

    /// What is to be said of live objects that are as they should be, and not in all as the archive has them.
    pub(crate) const fn notes(&self) -> &HashMap<Position, Arc<str>> {
        &self.notes
    }

    /// The UID of an owner, if it is live.
    pub(crate) fn owner_mark(&self, owner: OwnerIndex) -> Option<UidMark> {
        self.owner_uids.get(&owner).map(|uid| self.marks.mark(uid))
    }

    /// The UIDs of the owners that are live.
    pub(crate) fn into_owner_uids(self) -> HashMap<OwnerIndex, String> {
        self.owner_uids
    }

    fn add_all(&mut self, all: Vec<Found>) {
        for found in all {
            self.add(found);
        }
    }

    fn add(&mut self, found: Found) {
        let seen = match found {
            Found::Archived(seen) => seen,
            Found::Candidate(candidate) => return self.candidates.push(candidate),
            Found::NodePorts(holder) => return self.node_ports.add(holder),
        };
        self.presences[seen.position as usize] = seen.presence;
        self.node_ports.ask(seen.position, seen.node_ports);
        if let Some(note) = seen.note {
            self.notes.insert(seen.position, note.into());
        }
        if !seen.references.is_empty() {
            self.references.insert(seen.position, seen.references);
        }
        self.owner_uids.extend(seen.owner);
    }

    /// A Service that may be given a node port of the archive's differs; what keeps one from that is said.
    fn judge_node_ports(&mut self) {
        for (position, note) in std::mem::take(&mut self.node_ports).judge() {
            let presence = &mut self.presences[position as usize];
            match note {
                Some(note) => {
                    self.notes.insert(position, note.into());
                }
                None if *presence == Presence::Same => *presence = Presence::Differs,
                None => {}
            }
        }
    }

    /// Owners that the archive does not hold may be live all the same.
    async fn find_other_owners(&mut self, server: &Server, scope: &Scope<'_>) -> Result<(), LiveError> {
        let is_other = |owner: &Owner| owner.position.is_none() && owner.kind.served;
        let others = (0..).zip(scope.facts.owners()).filter(|(_, owner)| is_other(owner));
        let asked: Vec<(OwnerIndex, &Owner)> =
            others.filter(|(_, owner)| self.unseen.why(&owner.kind).is_none()).collect();
        let found = stream::iter(asked)
            .map(|(index, owner)| async move { (index, owner, uid(server, owner).await) })
            .buffer_unordered(READS_AT_ONCE);
        let mut found = std::pin::pin!(found);
        while let Some((index, owner, uid)) = found.next().await {
            let uid = self.seen(scope, &owner.kind, uid).await?.flatten();
            self.owner_uids.extend(uid.map(|uid| (index, uid)));
        }
        Ok(())
    }
}

/// The UID of an owner that stays: what names one that is on its way out would go with it.
///
/// # Errors
///
/// Where the server does not say whether it is there.
pub(crate) async fn uid(server: &Server, owner: &Owner) -> Result<Option<String>, LiveError> {
    let live = get(server, &owner.kind, &owner.namespace, &owner.name).await?;
    let identity = live.and_then(|live| Some(Shape::split(&live).ok()?.identity()));
    Ok(identity.filter(|identity| identity.deletion_timestamp.is_none()).map(|identity| identity.uid))
}
