//! An object that a restore was about, and what became of it.

use std::borrow::Cow;
use std::io;

use drover::archive::{Key, TypeName};

use crate::report::outcome::Outcome;
use crate::survey::archive::facts::Position;
use crate::survey::archive::part::Archive;

/// An object that a restore was about, and what became of it.
pub(crate) struct Told<'a> {
    pub(crate) place: Place<'a>,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// Why; empty where there is nothing to say.
    pub(crate) reason: &'a str,
}

pub(crate) enum Place<'a> {
    Archive(&'a Archive, Position),
    Outside(&'a Key),
}

impl<'a> Told<'a> {
    /// Which object it is; that of the archive is read back from the spool.
    pub(crate) fn key(&self) -> io::Result<Cow<'a, Key>> {
        match self.place {
            Place::Archive(archive, position) => Ok(Cow::Owned(archive.load(position).map_err(io::Error::other)?.key)),
            Place::Outside(key) => Ok(Cow::Borrowed(key)),
        }
    }

    /// Its type and name, for the log; an object whose name cannot be read back from the spool is still told of.
    pub(crate) fn name(&self) -> String {
        self.key().map_or_else(|error| format!("? ({error})"), |key| key.to_string())
    }

    /// Its type, without reading the object.
    pub(crate) fn type_name(&self) -> &'a TypeName {
        match self.place {
            Place::Archive(archive, position) => archive.type_of(position),
            Place::Outside(key) => &key.type_name,
        }
    }
}
