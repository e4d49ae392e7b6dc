//! Where an object is: its place in the archive, and its number.

/// An object of the archive, by its position among all of them.
pub(crate) type Position = u32;

/// Which object it is: for an entry of the archive as for an item of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Position of the type among the archive's types.
    pub(crate) type_index: u16,
    /// Empty where the object has no namespace.
    pub(crate) namespace: &'a str,
    /// Name.
    pub(crate) name: &'a str,
}
