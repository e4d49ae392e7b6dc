//! What is live of an archive's objects: each type is listed once, and each page compared while the next one comes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use drover::archive::TypeName;
use drover::exit::{Exit, Fault};
use drover::object::{ListPage, Object};
use drover::selection::{Request, TypePlan};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use snafu::{IntoError, ResultExt, Snafu};

use crate::archive::Archive;
use crate::compare::{UidMark, UidMarks, compare};
use crate::facts::{Facts, OwnerIndex, Place, Position};
use crate::ground::Ground;
use crate::pages::{PagesError, pages};
use crate::progress::Progress;
use crate::prune::Candidate;
use crate::request::{RequestError, Server};
use crate::selected::Selection;
use crate::shape::Shape;
use crate::special_cases::{SpecialCase, Subject, Treatment, is_ours, special_case};
use crate::types::Type;

/// Types listed at the same time; the comparison keeps two cores busy with fewer.
const LISTS_AT_ONCE: usize = 4;
/// Objects read one by one at the same time, where a type cannot be listed and for owners outside of the archive.
const READS_AT_ONCE: usize = 16;

/// Why it is not known what is live.
#[derive(Debug, Snafu)]
pub(crate) enum LiveError {
    /// A type could not be listed.
    #[snafu(transparent)]
    List {
        /// The cause.
        source: PagesError,
    },
    /// An object could not be read.
    #[snafu(display("failed to read the live {plural} {name:?}"))]
    Get {
        /// Its plural name.
        plural: String,
        /// Its name.
        name: String,
        /// The cause.
        source: RequestError,
    },
    /// What was listed could not be compared.
    #[snafu(display("failed to compare the live {plural:?} with the archive"))]
    Compare {
        /// Its plural name.
        plural: String,
        /// The cause.
        source: CompareError,
    },
}

/// Why a page of live objects cannot be compared.
#[derive(Debug, Snafu)]
pub(crate) enum CompareError {
    /// The server sent something else.
    #[snafu(display("failed to read what the server sent"))]
    Page {
        /// The cause.
        source: drover::object::ParseError,
    },
    /// An object of the server or of the archive.
    #[snafu(display("failed to read an object"))]
    Object {
        /// The cause.
        source: serde_json::Error,
    },
    /// The archive's objects cannot be loaded.
    #[snafu(display("failed to load an object of the archive"))]
    Load {
        /// The cause.
        source: std::io::Error,
    },
    /// The comparing thread ended early.
    #[snafu(display("failed to wait for the comparison"))]
    Aborted {
        /// The cause.
        source: tokio::task::JoinError,
    },
}

impl Fault for LiveError {
    fn exit(&self) -> Exit {
        match self {
            Self::List { source } => source.exit(),
            Self::Get { source, .. } if source.is_unreachable() => Exit::Unavailable,
            Self::Get { .. } | Self::Compare { .. } => Exit::Failure,
        }
    }
}

/// Whether an object is live, and as it should be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Presence {
    /// It is not there.
    #[default]
    Absent,
    /// It is there and all that is written of it is as it should be, but perhaps the UIDs of its owners.
    Same,
    /// It is there, and something is not as it should be, or it is being deleted.
    Differs,
    /// It is there and drover stands on it.
    Ours,
}

/// What is live of an archive's objects; a byte for each, and a little more for those with owners.
#[derive(Debug)]
pub(crate) struct Live {
    presences: Vec<Presence>,
    references: HashMap<Position, Box<[Option<UidMark>]>>,
    owner_uids: HashMap<OwnerIndex, String>,
    marks: UidMarks,
    candidates: Vec<Candidate>,
}

/// What is looked at: the archive's objects, and, where there is a selection, what it takes and the archive lacks.
pub(crate) struct Scope<'a> {
    /// A part of the archive.
    pub(crate) archive: &'a Arc<Archive>,
    /// What is known of its objects.
    pub(crate) facts: &'a Arc<Facts>,
    /// What belongs to the ResourceSet; nothing for a restore that does not prune.
    pub(crate) selection: &'a Selection,
    /// What drover stands on.
    pub(crate) ground: &'a Arc<Ground>,
}

/// What was seen of one live object.
#[derive(Debug)]
enum Found {
    /// The archive holds it.
    Archived(Seen),
    /// The archive's ResourceSet selects it, and the archive lacks it.
    Candidate(Candidate),
}

/// What was seen of a live object that the archive holds.
#[derive(Debug)]
struct Seen {
    position: Position,
    presence: Presence,
    references: Box<[Option<UidMark>]>,
    owner: Option<(OwnerIndex, String)>,
}

impl Live {
    /// Looks at everything that the facts are about.
    ///
    /// # Errors
    ///
    /// When any of it cannot be looked at: what is not seen would be taken for missing.
    pub(crate) async fn survey(server: &Server, scope: &Scope<'_>) -> Result<Self, LiveError> {
        let mut live = Self {
            presences: vec![Presence::Absent; scope.facts.len()],
            references: HashMap::new(),
            owner_uids: HashMap::new(),
            marks: UidMarks::default(),
            candidates: Vec::new(),
        };
        let mut progress = Progress::new("live objects compared", 0);
        let survey = Survey { scope, marks: live.marks.clone() };
        let (listed, single): (Vec<_>, Vec<_>) = survey.looks().into_iter().partition(|look| look.known.lists);
        let pages = stream::iter(listed).map(|look| survey.pages(server, look)).flatten_unordered(LISTS_AT_ONCE);
        let mut pages = std::pin::pin!(pages);
        let mut compared = 0;
        while let Some((found, items)) = pages.try_next().await? {
            compared += items as u64;
            progress.advance_to(compared);
            found.into_iter().for_each(|found| live.add(found));
        }
        for look in single {
            survey.one_by_one(server, look).await?.into_iter().for_each(|found| live.add(found));
        }
        live.find_other_owners(server, scope.facts).await?;
        Ok(live)
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

    /// The UID of an owner, if it is live.
    pub(crate) fn owner_mark(&self, owner: OwnerIndex) -> Option<UidMark> {
        self.owner_uids.get(&owner).map(|uid| self.marks.mark(uid))
    }

    /// The UIDs of the owners that are live.
    pub(crate) fn into_owner_uids(self) -> HashMap<OwnerIndex, String> {
        self.owner_uids
    }

    fn add(&mut self, found: Found) {
        let seen = match found {
            Found::Archived(seen) => seen,
            Found::Candidate(candidate) => return self.candidates.push(candidate),
        };
        self.presences[seen.position as usize] = seen.presence;
        if !seen.references.is_empty() {
            self.references.insert(seen.position, seen.references);
        }
        self.owner_uids.extend(seen.owner);
    }

    /// Owners that the archive does not hold may be live all the same.
    async fn find_other_owners(&mut self, server: &Server, facts: &Facts) -> Result<(), LiveError> {
        let others = (0..).zip(facts.owners()).filter(|(_, owner)| owner.position.is_none() && owner.kind.served);
        let found = stream::iter(others)
            .map(|(index, owner)| async move {
                let live = get(server, &owner.kind, &owner.namespace, &owner.name).await?;
                let found = live.and_then(|live| Some((index, Shape::split(&live).ok()?.identity().uid)));
                Ok::<_, LiveError>(found)
            })
            .buffer_unordered(READS_AT_ONCE);
        let found: Vec<Option<(OwnerIndex, String)>> = found.try_collect().await?;
        self.owner_uids.extend(found.into_iter().flatten());
        Ok(())
    }
}

/// The object as the server has it; none where there is none.
async fn get(server: &Server, known: &Type, namespace: &str, name: &str) -> Result<Option<bytes::Bytes>, LiveError> {
    match server.get(&known.object(namespace, name)).await {
        Ok(live) => Ok(Some(live)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(source) => Err(GetSnafu { plural: known.plural.clone(), name }.into_error(source)),
    }
}

/// One type that is looked at.
struct Look {
    known: Arc<Type>,
    /// Which type of the archive it is; none where the archive holds nothing of it.
    type_index: Option<u16>,
    /// The archive's types that are the same in another version.
    other_versions: Vec<u16>,
    selection: Option<Arc<TypePlan>>,
}

/// What looking takes.
struct Survey<'a> {
    scope: &'a Scope<'a>,
    marks: UidMarks,
}

impl<'a> Survey<'a> {
    /// Each type once: those of the archive, and those of the selection.
    fn looks(&self) -> Vec<Look> {
        let facts = self.scope.facts;
        let mut selected: BTreeMap<TypeName, (&Arc<Type>, &Arc<TypePlan>)> =
            self.scope.selection.iter().map(|(known, plan)| (known.type_name(), (known, plan))).collect();
        let held: BTreeSet<u16> = facts.positions().map(|position| facts.entry(position).type_index).collect();
        let served = held.into_iter().filter_map(|index| Some((index, facts.type_at(index)?)));
        let mut looks: Vec<Look> = Vec::new();
        for (index, known) in served.filter(|(_, known)| known.served) {
            let selection = selected.remove(&known.type_name()).map(|(_, plan)| Arc::clone(plan));
            looks.push(self.look(known, Some(index), selection));
        }
        looks.extend(selected.into_values().map(|(known, plan)| self.look(known, None, Some(Arc::clone(plan)))));
        looks
    }

    fn look(&self, known: &Arc<Type>, type_index: Option<u16>, selection: Option<Arc<TypePlan>>) -> Look {
        let types = (0..).zip(self.scope.archive.types());
        let same = types.filter(|(_, name)| name.plural == known.plural && name.group == known.group);
        let other_versions = same.map(|(index, _)| index).filter(|index| Some(*index) != type_index).collect();
        Look { known: Arc::clone(known), type_index, other_versions, selection }
    }

    fn comparison(&self, look: Look) -> Comparison {
        Comparison {
            archive: Arc::clone(self.scope.archive),
            facts: Arc::clone(self.scope.facts),
            ground: Arc::clone(self.scope.ground),
            marks: self.marks.clone(),
            look,
        }
    }

    /// A page is compared on a thread of its own while the next one comes.
    fn pages(
        &self,
        server: &'a Server,
        look: Look,
    ) -> impl Stream<Item = Result<(Vec<Found>, usize), LiveError>> + use<'a> {
        let (plural, pages) = (look.known.plural.clone(), pages(server, &look.known));
        let comparison = Arc::new(self.comparison(look));
        let compared = pages.map_err(LiveError::from).map_ok(move |page| {
            let (comparison, plural) = (Arc::clone(&comparison), plural.clone());
            let compared = tokio::task::spawn_blocking(move || comparison.page(&page));
            async move { compared.await.context(AbortedSnafu).flatten().context(CompareSnafu { plural }) }
        });
        compared.try_buffered(2)
    }

    /// For a type that the server does not list: it has few objects, and archive and selection know their names.
    async fn one_by_one(&self, server: &Server, look: Look) -> Result<Vec<Found>, LiveError> {
        let known = Arc::clone(&look.known);
        let compare = || CompareSnafu { plural: known.plural.clone() };
        let names = self.names(&look).context(LoadSnafu).with_context(|_| compare())?;
        let comparison = self.comparison(look);
        let mut seen = Vec::new();
        for (namespace, name) in names {
            let live = get(server, &known, namespace.as_deref().unwrap_or_default(), &name).await?;
            let found = live.map(|live| comparison.object(&live)).transpose().with_context(|_| compare())?;
            seen.extend(found.flatten());
        }
        Ok(seen)
    }

    /// Namespace and name of every object that may be there.
    fn names(&self, look: &Look) -> std::io::Result<BTreeSet<(Option<String>, String)>> {
        let mut names = BTreeSet::new();
        let Scope { archive, facts, .. } = self.scope;
        let is_of_type = |position: &Position| Some(facts.entry(*position).type_index) == look.type_index;
        for position in facts.positions().filter(is_of_type) {
            let key = archive.load(position)?.key;
            names.insert((key.namespace, key.name));
        }
        if let Some(Request::Get { objects }) = look.selection.as_ref().map(|plan| &plan.request) {
            names.extend(objects.iter().cloned());
        }
        Ok(names)
    }
}

/// Compares the live objects of one type.
struct Comparison {
    archive: Arc<Archive>,
    facts: Arc<Facts>,
    ground: Arc<Ground>,
    marks: UidMarks,
    look: Look,
}

impl Comparison {
    /// Compares a page; blocks. Gives what concerns the restore, and how many objects the page had.
    fn page(&self, page: &[u8]) -> Result<(Vec<Found>, usize), CompareError> {
        let page = ListPage::parse(page).context(PageSnafu)?;
        let mut found = Vec::new();
        for item in &page.items {
            found.extend(self.object(item.get().as_bytes())?);
        }
        Ok((found, page.items.len()))
    }

    /// Looks at a live object; none where it does not concern the restore.
    fn object(&self, live_bytes: &[u8]) -> Result<Option<Found>, CompareError> {
        let live = Shape::split(live_bytes).context(ObjectSnafu)?;
        let (name, namespace) =
            (live.metadata_text("name").unwrap_or_default(), live.metadata_text("namespace").unwrap_or_default());
        let at = |type_index| self.facts.find(Place { type_index, namespace: &namespace, name: &name });
        if let Some(position) = self.look.type_index.and_then(at) {
            return Ok(Some(Found::Archived(self.archived(position, &live, live_bytes)?)));
        }
        if self.look.other_versions.iter().any(|index| at(*index).is_some()) {
            return Ok(None);
        }
        Ok(self.candidate(&live, live_bytes, &namespace, &name)?.map(Found::Candidate))
    }

    fn archived(&self, position: Position, live: &Shape<'_>, live_bytes: &[u8]) -> Result<Seen, CompareError> {
        let loaded = self.archive.load(position).context(LoadSnafu)?;
        let case = self.facts.entry(position).case;
        let changed = case.map(|case: &SpecialCase| case.change(&loaded.object, Some(live_bytes))).transpose();
        let changed = changed.context(ObjectSnafu)?.flatten();
        let wanted = Shape::split(changed.as_deref().unwrap_or(&loaded.object)).context(ObjectSnafu)?;
        let difference = compare(&wanted, live, self.look.known.status, &self.marks);
        let identity = live.identity();
        let differs = difference.body || difference.status || identity.deletion_timestamp.is_some();
        let presence = match (is_ours(live), differs) {
            (true, _) => Presence::Ours,
            (false, true) => Presence::Differs,
            (false, false) => Presence::Same,
        };
        let owner = self.facts.owner_at(position).map(|owner| (owner, identity.uid));
        Ok(Seen { position, presence, references: difference.owners, owner })
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
            owners: live.owner_references().into_iter().map(|owner| owner.uid).collect(),
            kept,
        }))
    }
}
