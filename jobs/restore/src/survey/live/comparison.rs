//! Comparing live objects of one type with the archive's, and finding those that the archive lacks.

use std::borrow::Cow;
use std::sync::Arc;

use drover::object::{ListPage, Object};
use snafu::{ResultExt, Snafu};

use super::Presence;
use super::node_ports::Holder;
use crate::objects::compare::{UidMark, UidMarks, compare};
use crate::objects::server_owned::{node_ports, waits_for_volume, with_live_node_ports};
use crate::objects::shape::Shape;
use crate::objects::special_case::{Subject, Treatment};
use crate::objects::special_cases::{is_ours, special_case};
use crate::prune::Candidate;
use crate::survey::archive::facts::{Facts, OwnerIndex, Place, Position};
use crate::survey::archive::part::Archive;
use crate::survey::ground::Ground;
use crate::survey::live::look::Look;

/// Why a page of live objects cannot be compared.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub(crate) enum CompareError {
    #[snafu(display("failed to read what the server sent"))]
    Page { source: drover::object::ParseError },
    #[snafu(display("failed to read an object"))]
    Object { source: serde_json::Error },
    #[snafu(display("failed to load an object of the archive"))]
    Load { source: std::io::Error },
    #[snafu(display("failed to wait for the comparison"))]
    Aborted { source: tokio::task::JoinError },
}

/// What was seen of one live object.
#[derive(Debug)]
pub(super) enum Found {
    /// The archive holds it.
    Archived(Seen),
    /// The archive's ResourceSet selects it, and the archive lacks it.
    Candidate(Candidate),
    /// It has node ports, which no other Service can have.
    NodePorts(Holder),
}

/// What was seen of a live object that the archive holds.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) position: Position,
    pub(super) presence: Presence,
    pub(super) references: Box<[Option<UidMark>]>,
    pub(super) owner: Option<(OwnerIndex, String)>,
    /// Node ports that the archive's Service has, and the live one has others in their place.
    pub(super) node_ports: Vec<u64>,
    /// What is to be said of it.
    pub(super) note: Option<String>,
}

/// Compares the live objects of one type.
pub(super) struct Comparison {
    pub(super) archive: Arc<Archive>,
    pub(super) facts: Arc<Facts>,
    pub(super) ground: Arc<Ground>,
    pub(super) marks: UidMarks,
    pub(super) look: Look,
}

impl Comparison {
    /// Compares a page; blocks. Gives what concerns the restore, and how many objects the page had.
    pub(super) fn page(&self, page: &[u8]) -> Result<(Vec<Found>, usize), CompareError> {
        let page = ListPage::parse(page).context(PageSnafu)?;
        let mut found = Vec::new();
        for item in &page.items {
            found.extend(self.object(item.get().as_bytes())?);
        }
        Ok((found, page.items.len()))
    }

    /// Looks at a live object. Gives what concerns the restore, and the node ports of a Service in any case.
    pub(super) fn object(&self, live_bytes: &[u8]) -> Result<impl Iterator<Item = Found> + use<>, CompareError> {
        let live = Shape::split(live_bytes).context(ObjectSnafu)?;
        let (namespace, name) = place(&live);
        let at = |type_index| self.find(type_index, &namespace, &name);
        let position = self.look.type_index.and_then(at);
        let found = match position {
            Some(position) => Some(Found::Archived(self.archived(position, &live, live_bytes)?)),
            None if self.look.other_versions.iter().any(|index| at(*index).is_some()) => None,
            None => self.candidate(&live, live_bytes, &namespace, &name)?.map(Found::Candidate),
        };
        let ports = node_ports(self.kind(), live_bytes);
        let holder = (!ports.is_empty())
            .then(|| Found::NodePorts(Holder { position, name: format!("{namespace}/{name}"), ports }));
        Ok([found, holder].into_iter().flatten())
    }

    fn archived(&self, position: Position, live: &Shape<'_>, live_bytes: &[u8]) -> Result<Seen, CompareError> {
        let loaded = self.archive.load(position).context(LoadSnafu)?;
        let changed = self.facts.changed(position, &loaded.object, Some(live_bytes)).context(ObjectSnafu)?;
        let wanted = changed.as_deref().unwrap_or(&loaded.object);
        let kept = with_live_node_ports(self.kind(), wanted, live_bytes);
        let wanted = kept.as_ref().map_or(wanted, |(kept, _)| kept.as_slice());
        let shape = Shape::split(wanted).context(ObjectSnafu)?;
        let difference = compare(&shape, live, self.look.known.status, &self.marks);
        let identity = live.identity();
        let differs = difference.body || difference.status || identity.deletion_timestamp.is_some();
        let presence = match (is_ours(live), differs) {
            (true, _) => Presence::Ours,
            (false, true) => Presence::Differs,
            (false, false) => Presence::Same,
        };
        let owner = self.facts.owner_at(position).map(|owner| (owner, identity.uid));
        let note = waits_for_volume(self.kind(), &loaded.object, live_bytes);
        let node_ports = kept.as_ref().map(|(_, asked)| asked.clone()).unwrap_or_default();
        Ok(Seen { position, presence, references: difference.owners, owner, node_ports, note })
    }

    /// Group and plural name of the type.
    fn kind(&self) -> (&str, &str) {
        (&self.look.known.group, &self.look.known.plural)
    }

    fn find(&self, type_index: u16, namespace: &str, name: &str) -> Option<Position> {
        self.facts.find(Place { type_index, namespace, name })
    }

    /// The object, if it belongs to the ResourceSet; one that is all but gone does not count.
    fn candidate(
        &self,
        live: &Shape<'_>,
        live_bytes: &[u8],
        namespace: &str,
        name: &str,
    ) -> Result<Option<Candidate>, CompareError> {
        let (Some(plan), known) = (&self.look.selection, &self.look.known) else { return Ok(None) };
        let object = Object::parse(live_bytes).context(PageSnafu)?;
        if object.is_vanishing(&known.kind) || !plan.selects_unasked(&object) {
            return Ok(None);
        }
        let subject =
            Subject { group: &known.group, plural: &known.plural, namespace, name, shape: live, ground: &self.ground };
        let kept = special_case(&subject)
            .filter(|case| matches!(case.treatment, Treatment::Keep | Treatment::KeepLive))
            .map(|case| case.reason);
        Ok(Some(Candidate {
            known: Arc::clone(known),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: live.identity().uid,
            made: live.metadata_text("creationTimestamp").and_then(|stamp| stamp.parse().ok()),
            owners: live.owner_references().into_iter().map(|owner| owner.uid).collect(),
            kept,
        }))
    }
}

/// Namespace and name of a live object; the first is empty where it has none.
fn place<'a>(live: &Shape<'a>) -> (Cow<'a, str>, Cow<'a, str>) {
    let text = |name| live.metadata_text(name).unwrap_or_default();
    (text("namespace"), text("name"))
}
