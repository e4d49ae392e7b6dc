//! A part of an archive: its definitions, or everything else. The objects lie on disk and are loaded one at a time.

use std::io;
use std::sync::Arc;

use drover::archive::{EntryId, Key, Loaded, Spool, TypeName};
use drover::exit::{Exit, Fault};
use snafu::{ResultExt, Snafu};

use crate::objects::definitions::Definition;
use crate::objects::order::Rank;
use crate::survey::archive::facts::{Facts, Gathering, Place, Position};
use crate::survey::ground::Ground;
use crate::survey::types::{Type, Types};

/// Why an object of an archive that was read and checked cannot be used all the same.
#[derive(Debug, Snafu)]
pub(crate) enum ArchiveError {
    #[snafu(display("failed to read an object back from the temporary file; is its disk in order?"))]
    Load { source: io::Error },
    #[snafu(display("failed to read the object {name:?} of the archive"))]
    Parse { name: String, source: serde_json::Error },
}

impl Fault for ArchiveError {
    fn exit(&self) -> Exit {
        match self {
            Self::Load { .. } => Exit::Failure,
            Self::Parse { .. } => Exit::DataRefused,
        }
    }
}

/// Some of an archive's objects, each with a position.
pub(crate) struct Archive {
    spool: Arc<Spool>,
    ids: Vec<EntryId>,
}

impl Archive {
    /// The definitions, which must be there before everything else; everything else; and what hands requests over to other
    /// servers, which comes after what serves it.
    pub(crate) fn parts(spool: &Arc<Spool>) -> [Self; 3] {
        let rank = |id: &EntryId| {
            let name = &spool.types()[spool.type_of(*id)].name;
            Rank::of(&name.group, &name.plural, false)
        };
        let (first, others): (Vec<_>, Vec<_>) = spool.ids().partition(|id| rank(id) == Rank::Definition);
        let (last, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|id| rank(id) == Rank::Registration);
        [first, rest, last].map(|ids| Self { spool: Arc::clone(spool), ids })
    }

    /// How many objects there are.
    pub(crate) const fn len(&self) -> usize {
        self.ids.len()
    }

    /// Loads an object; blocks.
    pub(crate) fn load(&self, position: Position) -> io::Result<Loaded> {
        self.spool.load(self.ids[position as usize])
    }

    /// The type of an object.
    pub(crate) fn type_of(&self, position: Position) -> &TypeName {
        &self.spool.types()[self.spool.type_of(self.ids[position as usize])].name
    }

    /// The types of the whole archive.
    pub(crate) fn types(&self) -> impl ExactSizeIterator<Item = &TypeName> {
        self.spool.types().iter().map(|summary| &summary.name)
    }

    /// Which of the archive's types are this one, in whatever version.
    pub(crate) fn versions_of(&self, known: &Type) -> impl Iterator<Item = u16> {
        let types = (0..).zip(self.types());
        types.filter(|(_, name)| name.plural == known.plural && name.group == known.group).map(|(index, _)| index)
    }

    /// Where the object of that key is, in whatever version of its type; blocks. What cannot be read is not found.
    pub(crate) fn find(&self, key: &Key) -> Option<Position> {
        let is_of_its_type = |position: &Position| is_of_type(self.type_of(*position), &key.type_name);
        let is_it = |position: &Position| {
            let found = self.spool.key(self.ids[*position as usize]);
            found.is_ok_and(|found| is_same_object(&found, key))
        };
        (0..).take(self.len()).filter(is_of_its_type).find(is_it)
    }

    /// Gathers what a restore has to know of all objects; blocks.
    pub(crate) fn gather(&self, known: &Types, ground: &Ground) -> Result<Facts, ArchiveError> {
        let types = self.types().map(|name| (name.plural.as_str(), name.group.as_str(), name.version.as_str()));
        let mut gathering = Gathering::new(known, ground, types);
        for id in &self.ids {
            let Loaded { key, object } = self.spool.load(*id).context(LoadSnafu)?;
            let namespace = key.namespace.as_deref().unwrap_or_default();
            // A spool counts its types in 16 bits.
            let type_index = u16::try_from(self.spool.type_of(*id)).unwrap_or(u16::MAX);
            let place = Place { type_index, namespace, name: &key.name };
            gathering.add(place, &object).with_context(|_| ParseSnafu { name: key.name.clone() })?;
        }
        Ok(gathering.finish())
    }

    /// What the definitions define; blocks. What is no definition although it lies where they do is left out: the server
    /// will say what is wrong with it.
    pub(crate) fn definitions(&self) -> Result<Vec<Definition>, ArchiveError> {
        let mut found = Vec::new();
        for id in &self.ids {
            let loaded = self.spool.load(*id).context(LoadSnafu)?;
            found.extend(serde_json::from_slice::<Definition>(&loaded.object).ok());
        }
        Ok(found)
    }
}

fn is_of_type(one: &TypeName, other: &TypeName) -> bool {
    one.plural == other.plural && one.group == other.group
}

/// Whether two keys are of one object, in whatever versions of its type.
pub(crate) fn is_same_object(one: &Key, other: &Key) -> bool {
    is_of_type(&one.type_name, &other.type_name) && one.namespace == other.namespace && one.name == other.name
}
