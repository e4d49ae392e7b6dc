//! What is live of an archive's objects: each type is listed once, and each page compared while the next one comes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use drover::exit::{Exit, Fault};
use drover::object::ListPage;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use snafu::{IntoError, ResultExt, Snafu};

use crate::archive::Archive;
use crate::compare::{StatusRule, UidMark, UidMarks, compare};
use crate::facts::{Facts, OwnerIndex, Place, Position};
use crate::pages::{PagesError, pages};
use crate::progress::Progress;
use crate::request::{RequestError, Server};
use crate::shape::Shape;
use crate::special_cases::SpecialCase;
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
}

/// What is live of an archive's objects; a byte for each, and a little more for those with owners.
#[derive(Debug)]
pub(crate) struct Live {
    presences: Vec<Presence>,
    references: HashMap<Position, Box<[Option<UidMark>]>>,
    owner_uids: HashMap<OwnerIndex, String>,
    marks: UidMarks,
}

/// What was seen of one live object.
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
    pub(crate) async fn survey(server: &Server, archive: &Arc<Archive>, facts: &Arc<Facts>) -> Result<Self, LiveError> {
        let mut live = Self {
            presences: vec![Presence::Absent; facts.len()],
            references: HashMap::new(),
            owner_uids: HashMap::new(),
            marks: UidMarks::default(),
        };
        let mut progress = Progress::new("live objects compared", 0);
        let survey = Survey { archive, facts, marks: live.marks.clone() };
        let types: BTreeSet<u16> = facts.positions().map(|position| facts.entry(position).type_index).collect();
        let asked = |index| Some((index, facts.type_at(index).filter(|known| known.served)?));
        let (listed, single): (Vec<_>, Vec<_>) =
            types.into_iter().filter_map(asked).partition(|(_, known)| known.lists);
        let pages = stream::iter(listed)
            .map(|(index, known)| survey.pages(server, index, known))
            .flatten_unordered(LISTS_AT_ONCE);
        let mut pages = std::pin::pin!(pages);
        let mut compared = 0;
        while let Some((seen, items)) = pages.try_next().await? {
            compared += items as u64;
            progress.advance_to(compared);
            for seen in seen {
                live.add(seen);
            }
        }
        for (index, known) in single {
            for seen in survey.one_by_one(server, index, known).await? {
                live.add(seen);
            }
        }
        live.find_other_owners(server, facts).await?;
        Ok(live)
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

    fn add(&mut self, seen: Seen) {
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

/// What comparing takes.
struct Survey<'a> {
    archive: &'a Arc<Archive>,
    facts: &'a Arc<Facts>,
    marks: UidMarks,
}

impl<'a> Survey<'a> {
    fn comparison(&self, type_index: u16, known: &Type) -> Arc<Comparison> {
        Arc::new(Comparison {
            archive: Arc::clone(self.archive),
            facts: Arc::clone(self.facts),
            marks: self.marks.clone(),
            type_index,
            rule: known.status,
        })
    }

    /// A page is compared on a thread of its own while the next one comes.
    fn pages(
        &self,
        server: &'a Server,
        type_index: u16,
        known: &Type,
    ) -> impl Stream<Item = Result<(Vec<Seen>, usize), LiveError>> + use<'a> {
        let comparison = self.comparison(type_index, known);
        let (plural, pages) = (known.plural.clone(), pages(server, known));
        let compared = pages.map_err(LiveError::from).map_ok(move |page| {
            let (comparison, plural) = (Arc::clone(&comparison), plural.clone());
            let compared = tokio::task::spawn_blocking(move || comparison.page(&page));
            async move { compared.await.context(AbortedSnafu).flatten().context(CompareSnafu { plural }) }
        });
        compared.try_buffered(2)
    }

    /// For a type that the server does not list: it has few objects, and the archive knows their names.
    async fn one_by_one(&self, server: &Server, type_index: u16, known: &Type) -> Result<Vec<Seen>, LiveError> {
        let comparison = self.comparison(type_index, known);
        let compare = || CompareSnafu { plural: known.plural.clone() };
        let mut seen = Vec::new();
        for position in self.facts.positions().filter(|position| self.facts.entry(*position).type_index == type_index) {
            let key = self.archive.load(position).context(LoadSnafu).with_context(|_| compare())?.key;
            let live = get(server, known, key.namespace.as_deref().unwrap_or_default(), &key.name).await?;
            let found = live.map(|live| comparison.object(&live)).transpose().with_context(|_| compare())?;
            seen.extend(found.flatten());
        }
        Ok(seen)
    }
}

/// Compares the live objects of one type.
struct Comparison {
    archive: Arc<Archive>,
    facts: Arc<Facts>,
    marks: UidMarks,
    type_index: u16,
    rule: StatusRule,
}

impl Comparison {
    /// Compares a page; blocks. Gives what concerns the archive, and how many objects the page had.
    fn page(&self, page: &[u8]) -> Result<(Vec<Seen>, usize), CompareError> {
        let page = ListPage::parse(page).context(PageSnafu)?;
        let mut seen = Vec::new();
        for item in &page.items {
            seen.extend(self.object(item.get().as_bytes())?);
        }
        Ok((seen, page.items.len()))
    }

    /// Compares a live object; none where the archive does not hold it.
    fn object(&self, live_bytes: &[u8]) -> Result<Option<Seen>, CompareError> {
        let live = Shape::split(live_bytes).context(ObjectSnafu)?;
        let (name, namespace) =
            (live.metadata_text("name").unwrap_or_default(), live.metadata_text("namespace").unwrap_or_default());
        let place = Place { type_index: self.type_index, namespace: &namespace, name: &name };
        let Some(position) = self.facts.find(place) else { return Ok(None) };
        let loaded = self.archive.load(position).context(LoadSnafu)?;
        let case = self.facts.entry(position).case;
        let changed = case.map(|case: &SpecialCase| case.change(&loaded.object, Some(live_bytes))).transpose();
        let changed = changed.context(ObjectSnafu)?.flatten();
        let wanted = Shape::split(changed.as_deref().unwrap_or(&loaded.object)).context(ObjectSnafu)?;
        let difference = compare(&wanted, &live, self.rule, &self.marks);
        let identity = live.identity();
        let differs = difference.body || difference.status || identity.deletion_timestamp.is_some();
        Ok(Some(Seen {
            position,
            presence: if differs { Presence::Differs } else { Presence::Same },
            references: difference.owners,
            owner: self.facts.owner_at(position).map(|owner| (owner, identity.uid)),
        }))
    }
}
