//! What is known of objects by themselves: their bytes, their order, and what of them is not simply put back.

pub(crate) mod compare;
pub(crate) mod definitions;
pub(crate) mod order;
pub(crate) mod registration;
pub(crate) mod server_owned;
pub(crate) mod shape;
pub(crate) mod special_case;
pub(crate) mod special_cases;
