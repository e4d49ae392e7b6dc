//! What the objects have to do with each other.

use super::{Facts, OwnerIndex, Position};
use crate::objects::order::{self, Order, Rank};

impl Facts {
    /// The objects that name one of these owners.
    pub(crate) fn owned_by(&self, is_one: impl Fn(OwnerIndex) -> bool) -> impl Iterator<Item = Position> {
        let named = self.references.iter().map(|(position, owners)| (*position, owners.iter().flatten()));
        named.filter_map(move |(position, mut owners)| owners.any(|&owner| is_one(owner)).then_some(position))
    }

    /// The order in which the objects are written.
    pub(crate) fn order(&self) -> Order {
        let rank = |entry: &super::Entry| self.type_at(entry.type_index).map_or(Rank::Other, |known| known.rank());
        let ranks: Vec<Rank> = self.entries.iter().map(rank).collect();
        let mut edges: Vec<(Position, Position)> = self
            .references
            .iter()
            .flat_map(|(position, owners)| {
                let owners = owners.iter().flatten().filter_map(|&owner| self.owners[owner as usize].position);
                owners.map(|owner| (*position, owner))
            })
            .collect();
        self.add_late_namespaces(&mut edges);
        order::order(&ranks, &edges)
    }

    /// A Namespace that has an owner is written after it, and so what lies in that Namespace waits for it.
    fn add_late_namespaces(&self, edges: &mut Vec<(Position, Position)>) {
        let late: Vec<Option<Position>> = self
            .namespaces
            .iter()
            .map(|name| self.find_namespace(name).filter(|position| self.references.contains_key(position)))
            .collect();
        for (position, entry) in self.entries.iter().enumerate() {
            if let Some(namespace) = entry.namespace.and_then(|namespace| late[namespace as usize]) {
                edges.push((order::position(position), namespace));
            }
        }
    }
}
