use bytes::Bytes;

use super::ListError;

/// One answer of the API server.
#[derive(Debug)]
pub struct Page {
    /// The place of the type in the plan.
    pub type_index: usize,
    /// What the server sent.
    pub body: Body,
}

/// What the server sent.
#[derive(Debug)]
pub enum Body {
    /// A list of objects.
    List(Bytes),
    /// One object, of a type that cannot be listed.
    Object(Bytes),
    /// Nothing more of the type: the server refuses it, and [`Options::goes_on`](super::Options::goes_on) says to go on with the others.
    Refused(Box<ListError>),
}
