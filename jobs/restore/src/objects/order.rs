//! In which order objects are written: in stages, each of objects that do not wait for each other.

use crate::objects::definitions;
use crate::objects::registration::is_registration;

/// What kind of object it is, as far as the order is concerned; a later one is written in a later stage.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Rank {
    /// Definitions of types: nothing else can be made without them.
    Definition,
    /// Namespaces: everything namespaced needs one, and nothing of theirs needs anything.
    Namespace,
    /// Everything else that has no namespace: it is there before what is in namespaces, and may own it.
    Cluster,
    /// ServiceAccounts: token Secrets of accounts that are not there are deleted within seconds.
    ServiceAccount,
    /// Secrets and ConfigMaps: workloads mount them.
    Configuration,
    /// What has no reason to be earlier or later.
    Other,
    /// What starts pods.
    Workload,
    /// What hands requests over to other servers, or judges them, and so may refuse all that comes after it.
    Registration,
}

impl Rank {
    /// The rank of a type.
    pub(crate) fn of(group: &str, plural: &str, namespaced: bool) -> Self {
        match (group, plural) {
            (definitions::GROUP, definitions::PLURAL) => Self::Definition,
            ("", "namespaces") => Self::Namespace,
            _ if is_registration(group, plural) => Self::Registration,
            _ if !namespaced => Self::Cluster,
            ("", "serviceaccounts") => Self::ServiceAccount,
            ("", "secrets" | "configmaps") => Self::Configuration,
            ("" | "apps" | "batch", "pods" | "replicationcontrollers")
            | ("apps" | "batch", "deployments" | "daemonsets" | "statefulsets" | "replicasets" | "jobs" | "cronjobs") => {
                Self::Workload
            }
            _ => Self::Other,
        }
    }
}

/// The stages, first to last, of positions; and those whose owners close a cycle.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Order {
    /// Each stage can be written at once; a position is in one of them.
    pub(crate) stages: Vec<Vec<u32>>,
    /// Written before one of their owners, and so once more afterwards.
    pub(crate) in_cycles: Vec<u32>,
}

/// Puts owners before what they own, and lower ranks before higher ones where ownership does not say otherwise.
///
/// `owners` holds (owned, owner); a position that is out of range is ignored. Takes time and memory linear in both.
pub(crate) fn order(ranks: &[Rank], owners: &[(u32, u32)]) -> Order {
    let graph = Graph::new(ranks.len(), owners);
    let mut search = Search {
        graph: &graph,
        stage: ranks.iter().map(|&rank| rank as u32).collect(),
        state: vec![Visit::Never; ranks.len()],
        in_cycles: Vec::new(),
    };
    for start in 0..ranks.len() {
        search.visit(position(start));
    }
    search.in_cycles.sort_unstable();
    search.in_cycles.dedup();
    Order { stages: stages(&search.stage), in_cycles: search.in_cycles }
}

/// An index as the u32 that positions are kept as.
#[expect(clippy::cast_possible_truncation, reason = "positions are u32 everywhere: a spool has no more entries")]
pub(crate) const fn position(index: usize) -> u32 {
    index as u32
}

/// Who owns whom, as one list with an index into it: 8 bytes for each position and 4 for each owner.
struct Graph {
    /// For each position where its owners begin; one more at the end.
    starts: Vec<u32>,
    owners: Vec<u32>,
}

impl Graph {
    fn new(count: usize, owners: &[(u32, u32)]) -> Self {
        let inside = |(owned, owner): &&(u32, u32)| (*owned as usize) < count && (*owner as usize) < count;
        let mut edges: Vec<(u32, u32)> = owners.iter().filter(inside).copied().collect();
        edges.sort_unstable();
        edges.dedup();
        let mut starts = vec![0_u32; count + 1];
        for &(owned, _) in &edges {
            starts[owned as usize + 1] += 1;
        }
        for index in 0..count {
            starts[index + 1] += starts[index];
        }
        Self { starts, owners: edges.into_iter().map(|(_, owner)| owner).collect() }
    }

    /// The `nth` owner of a position.
    fn owner(&self, of: u32, nth: u32) -> Option<u32> {
        let at = self.starts[of as usize] + nth;
        (at < self.starts[of as usize + 1]).then(|| self.owners[at as usize])
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Visit {
    Never,
    Begun,
    Ended,
}

/// A search in depth, without recursion: an archive may hold a chain of owners as long as it has entries.
struct Search<'a> {
    graph: &'a Graph,
    stage: Vec<u32>,
    state: Vec<Visit>,
    in_cycles: Vec<u32>,
}

impl Search<'_> {
    fn visit(&mut self, start: u32) {
        if self.state[start as usize] != Visit::Never {
            return;
        }
        self.state[start as usize] = Visit::Begun;
        let mut path = vec![(start, 0)];
        while let Some((at, nth)) = path.last_mut() {
            let Some(owner) = self.graph.owner(*at, *nth) else {
                self.state[*at as usize] = Visit::Ended;
                path.pop();
                continue;
            };
            match self.state[owner as usize] {
                Visit::Never => {
                    // Looked at once more when the owner has ended, so `nth` stays.
                    self.state[owner as usize] = Visit::Begun;
                    path.push((owner, 0));
                    continue;
                }
                // An owner that is on the path waits for what it owns: the cycle is broken here.
                Visit::Begun => self.in_cycles.push(*at),
                Visit::Ended => {
                    let after = self.stage[owner as usize].saturating_add(1);
                    self.stage[*at as usize] = self.stage[*at as usize].max(after);
                }
            }
            *nth += 1;
        }
    }
}

fn stages(stage: &[u32]) -> Vec<Vec<u32>> {
    let count = stage.iter().max().map_or(0, |last| *last as usize + 1);
    let mut stages = vec![Vec::new(); count];
    for (index, stage) in stage.iter().enumerate() {
        stages[*stage as usize].push(position(index));
    }
    stages.retain(|stage: &Vec<u32>| !stage.is_empty());
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: Rank = Rank::Cluster;
    const OTHER: Rank = Rank::Other;

    #[track_caller]
    fn check(ranks: &[Rank], owners: &[(u32, u32)], stages: &[&[u32]], in_cycles: &[u32]) {
        let order = order(ranks, owners);
        assert_eq!(order.stages, stages);
        assert_eq!(order.in_cycles, in_cycles);
    }

    #[test]
    fn nothing_has_no_stages() {
        check(&[], &[], &[], &[]);
    }

    #[test]
    fn ranks_are_stages() {
        let ranks = [Rank::Workload, OTHER, Rank::Configuration, Rank::ServiceAccount, CLUSTER, Rank::Namespace, OTHER];
        check(&ranks, &[], &[&[5], &[4], &[3], &[2], &[1, 6], &[0]], &[]);
    }

    #[test]
    fn owners_come_first_at_any_depth() {
        check(&[OTHER; 4], &[(0, 1), (1, 2), (3, 2)], &[&[2], &[1, 3], &[0]], &[]);
    }

    #[test]
    fn a_secret_of_a_workload_comes_after_it() {
        check(&[Rank::Configuration, Rank::Workload, OTHER], &[(0, 1)], &[&[2], &[1], &[0]], &[]);
    }

    #[test]
    fn cluster_scoped_owners_do_not_delay_what_is_namespaced() {
        check(&[OTHER, CLUSTER], &[(0, 1)], &[&[1], &[0]], &[]);
    }

    #[test]
    fn a_cycle_is_broken_at_one_object_and_the_rest_goes_on() {
        check(&[OTHER; 4], &[(0, 1), (1, 0), (2, 1), (3, 2)], &[&[1], &[0, 2], &[3]], &[1]);
    }

    #[test]
    fn an_object_that_owns_itself_is_a_cycle() {
        check(&[OTHER], &[(0, 0)], &[&[0]], &[0]);
    }

    #[test]
    fn two_cycles_that_share_an_object_are_both_broken() {
        check(&[OTHER; 3], &[(0, 1), (1, 0), (1, 2), (2, 1)], &[&[2], &[1], &[0]], &[1, 2]);
    }

    #[test]
    fn owners_out_of_range_and_doubled_ones_do_not_matter() {
        check(&[OTHER; 2], &[(0, 7), (7, 0), (0, 1), (0, 1)], &[&[1], &[0]], &[]);
    }

    #[test]
    fn a_chain_as_long_as_an_archive_needs_no_deep_stack() {
        const LENGTH: u32 = 100_000;
        let owners: Vec<(u32, u32)> = (1..LENGTH).map(|index| (index - 1, index)).collect();
        let order = order(&vec![OTHER; LENGTH as usize], &owners);
        assert_eq!(order.stages.len(), LENGTH as usize);
        assert_eq!(order.stages[0], [LENGTH - 1]);
    }

    #[test]
    fn ranks_of_types() {
        for (group, plural, namespaced, expected) in [
            (definitions::GROUP, definitions::PLURAL, false, Rank::Definition),
            ("", "namespaces", false, Rank::Namespace),
            ("management.cattle.io", "clusters", false, CLUSTER),
            ("", "serviceaccounts", true, Rank::ServiceAccount),
            ("", "secrets", true, Rank::Configuration),
            ("example.io", "secrets", true, OTHER),
            ("apps", "deployments", true, Rank::Workload),
            ("", "pods", true, Rank::Workload),
            ("rbac.authorization.k8s.io", "roles", true, OTHER),
            ("admissionregistration.k8s.io", "validatingwebhookconfigurations", false, Rank::Registration),
            ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", false, Rank::Registration),
            ("admissionregistration.k8s.io", "validatingadmissionpolicies", false, CLUSTER),
            ("apiregistration.k8s.io", "apiservices", false, Rank::Registration),
            ("example.io", "apiservices", false, CLUSTER),
        ] {
            assert_eq!(Rank::of(group, plural, namespaced), expected, "{plural}.{group}");
        }
    }
}
