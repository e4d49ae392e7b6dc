//! How the API server is asked.

pub(crate) mod discovery;
pub(crate) mod pages;
pub(crate) mod request;
pub(crate) mod words;
