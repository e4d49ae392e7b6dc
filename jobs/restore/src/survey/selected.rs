//! What of the cluster belongs to the archive's ResourceSet: what of it the archive lacks is pruned.

use std::collections::BTreeSet;
use std::sync::Arc;

use drover::exit::{Exit, Fault};
use drover::resources::ResourceSet;
use drover::selection::{self, Discovery, PlanError, TypePlan};
use snafu::{ResultExt, Snafu};

use crate::survey::archive::account::{Account, Told};
use crate::survey::types::{Type, Types};

/// Why it is not known what belongs to the ResourceSet.
#[derive(Debug, Snafu)]
#[snafu(display("failed to prune by the ResourceSet that the archive holds; restore without prune"))]
pub(crate) struct SelectionError {
    source: PlanError,
}

impl Fault for SelectionError {
    fn exit(&self) -> Exit {
        Exit::DataRefused
    }
}

/// What belongs to a ResourceSet, of each type of it that the cluster serves and that the archive accounts for.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    plans: Vec<(Arc<Type>, Arc<TypePlan>)>,
    /// Those of these types of which the archive tells nothing and holds none.
    doubtful: BTreeSet<String>,
    /// Types that the set selects too, but of which it is not known that the archive would have them.
    unaccounted: Vec<String>,
}

impl Selection {
    /// What the set selects of what the cluster serves, by the same rule as a snapshot.
    ///
    /// # Errors
    ///
    /// Where the set cannot be read.
    pub(crate) fn of(set: &ResourceSet, types: &Types, account: &Account<'_>) -> Result<Self, SelectionError> {
        let served: Discovery = types.iter().filter(|known| known.served).map(|known| known.resource.clone()).collect();
        let plan = selection::plan(set, &served).context(SelectionSnafu)?;
        let mut selection = Self::default();
        for plan in plan.types {
            let resource = &plan.resource;
            let told = account.tells_of(&plan);
            if told == Told::Not {
                selection.unaccounted.push(resource.type_name());
            } else if let Some(known) = types.by_plural(&resource.plural, &resource.group, &resource.version) {
                selection.doubtful.extend((told == Told::Perhaps).then(|| resource.type_name()));
                selection.plans.push((Arc::clone(known), Arc::new(plan)));
            }
        }
        Ok(selection)
    }

    /// Types of which nothing is pruned, since the archive may lack them for other reasons than that there was nothing.
    pub(crate) fn unaccounted(&self) -> &[String] {
        &self.unaccounted
    }

    /// Types of which the archive may have left objects out, as kubectl names them: what it lacks of them is held back.
    pub(crate) const fn doubtful(&self) -> &BTreeSet<String> {
        &self.doubtful
    }

    /// The types, each with which of its objects belong to the set.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<Type>, &Arc<TypePlan>)> {
        self.plans.iter().map(|(known, plan)| (known, plan))
    }

    /// Keeps some of the types.
    pub(crate) fn only(&self, keep: impl Fn(&Type) -> bool) -> Self {
        let plans = self.plans.iter().filter(|(known, _)| keep(known)).cloned().collect();
        Self { plans, doubtful: self.doubtful.clone(), unaccounted: self.unaccounted.clone() }
    }
}
