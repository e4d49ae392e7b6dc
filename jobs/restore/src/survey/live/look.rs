//! What a type is looked at for.

use std::sync::Arc;

use drover::selection::TypePlan;

use crate::survey::types::Type;

/// One type that is looked at.
pub(crate) struct Look {
    pub(crate) known: Arc<Type>,
    /// Which type of the archive it is; none where the archive holds nothing of it.
    pub(crate) type_index: Option<u16>,
    /// The archive's types that are the same in another version.
    pub(crate) other_versions: Vec<u16>,
    /// Which of its objects belong to the ResourceSet.
    pub(crate) selection: Option<Arc<TypePlan>>,
}
