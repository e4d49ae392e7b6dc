//! What is written, and what that needs of the cluster.

pub(crate) mod away;
pub(crate) mod controllers;
pub(crate) mod copies;
pub(crate) mod establish;
pub(crate) mod exemption;
pub(crate) mod finalizers;
pub(crate) mod namespaces;
pub(crate) mod registrations;
pub(crate) mod stages;
pub(crate) mod write;
