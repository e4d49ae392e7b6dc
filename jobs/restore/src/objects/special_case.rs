//! A row of a table of special cases, and what it is decided by.

use serde_json::{Map, Value};

use crate::apply::controllers::state::hold_down;
use crate::objects::shape::Shape;
use crate::survey::ground::Ground;

/// What a special case is decided by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// Group of the type; empty for the core group.
    pub(crate) group: &'a str,
    /// Plural name of the type.
    pub(crate) plural: &'a str,
    /// Empty where the object has no namespace.
    pub(crate) namespace: &'a str,
    /// Name of the object.
    pub(crate) name: &'a str,
    /// The object: of the archive, or the live one where it is to be pruned.
    pub(crate) shape: &'a Shape<'a>,
    /// What drover stands on.
    pub(crate) ground: &'a Ground,
}

/// What happens to an object that is special.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Treatment {
    /// It is never written.
    Keep,
    /// It is created where it is missing, and a live one is never written.
    KeepLive,
    /// It is changed before it is compared and written.
    Change(Change),
    /// It is never written, and pruned as any other.
    Leave,
    /// It is created where it is missing, a live one is never written, and it is pruned as any other.
    LeaveLive,
    /// It is written as the restore holds it: scaled down, see [`controllers`](crate::apply::controllers).
    HoldDown,
}

/// Changes the archive's object; the second argument is the live one.
pub(crate) type Change = fn(&mut Map<String, Value>, Option<&Map<String, Value>>);

/// A row of the table.
#[derive(Debug)]
pub(crate) struct SpecialCase {
    pub(crate) matches: fn(&Subject<'_>) -> bool,
    /// What happens.
    pub(crate) treatment: Treatment,
    /// Why, as people read it after "kept" or beside a change.
    pub(crate) reason: &'static str,
    /// Whether each object that this changes is named in the result; not where nobody would miss what is changed.
    pub(crate) named: bool,
}

impl SpecialCase {
    /// A row of another table, each object of which is named.
    pub(crate) const fn row(matches: fn(&Subject<'_>) -> bool, treatment: Treatment, reason: &'static str) -> Self {
        Self { matches, treatment, reason, named: true }
    }

    /// A row that is in no table.
    #[cfg(test)]
    pub(crate) const fn for_tests(treatment: Treatment, reason: &'static str) -> Self {
        Self { matches: |_| true, treatment, reason, named: true }
    }

    /// What is said of an object of this case that is not kept. What would be changed with a write is not where none is; an
    /// object that is held down is that either way.
    pub(crate) const fn note(&self, is_written: bool) -> &'static str {
        match self.treatment {
            Treatment::HoldDown if self.named => self.reason,
            Treatment::Change(_) if self.named && is_written => self.reason,
            _ => "",
        }
    }

    /// The object as it is wanted; `live` is the object of that name in the cluster, `holder` is for whom controllers are
    /// held down.
    ///
    /// # Errors
    ///
    /// Where one of the two is not a JSON object or is nested more than 128 deep.
    pub(crate) fn change(
        &self,
        object: &[u8],
        live: Option<&[u8]>,
        holder: &str,
    ) -> Result<Option<Vec<u8>>, serde_json::Error> {
        let object = || serde_json::from_slice::<Map<String, Value>>(object);
        let changed = match self.treatment {
            Treatment::Keep | Treatment::KeepLive | Treatment::Leave | Treatment::LeaveLive => return Ok(None),
            Treatment::Change(change) => {
                let live: Option<Map<String, Value>> = live.map(serde_json::from_slice).transpose()?;
                let mut object = object()?;
                change(&mut object, live.as_ref());
                object
            }
            Treatment::HoldDown => {
                let mut object = object()?;
                hold_down(&mut object, holder);
                object
            }
        };
        serde_json::to_vec(&changed).map(Some)
    }
}
