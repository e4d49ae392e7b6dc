//! Who has which node port: a live Service that has another one than the archive's is as it should be where another Service
//! has that, and differs where it is free. That shows when all Services are seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::objects::server_owned::UNLIKE;
use crate::survey::archive::facts::Position;

/// A live Service that has node ports.
#[derive(Debug)]
pub(super) struct Holder {
    /// Where in the archive it is, if it is.
    pub(super) position: Option<Position>,
    /// Its namespace and name, as people read them.
    pub(super) name: String,
    /// What it has.
    pub(super) ports: Vec<u64>,
}

/// What was seen of node ports.
#[derive(Debug, Default)]
pub(super) struct NodePorts {
    /// Who has a port. There are as many at most as the range of the cluster has.
    holders: BTreeMap<u64, (Option<Position>, Arc<str>)>,
    /// What live Services would have by the archive, and have not.
    asked: BTreeMap<Position, Vec<u64>>,
}

impl NodePorts {
    /// A live Service has ports.
    pub(super) fn add(&mut self, Holder { position, name, ports }: Holder) {
        let name: Arc<str> = name.into();
        self.holders.extend(ports.into_iter().map(|port| (port, (position, Arc::clone(&name)))));
    }

    /// A live Service would have these by the archive, and has not.
    pub(super) fn ask(&mut self, position: Position, ports: Vec<u64>) {
        if !ports.is_empty() {
            self.asked.insert(position, ports);
        }
    }

    /// Each Service that would have others, with what is to be said of it where other Services have them all; with nothing
    /// where it may be given one.
    pub(super) fn judge(self) -> impl Iterator<Item = (Position, Option<String>)> {
        let Self { holders, asked } = self;
        asked.into_iter().map(move |(position, ports)| {
            let told = |port: &u64| {
                let (_, name) = holders.get(port).filter(|(holder, _)| *holder != Some(position))?;
                Some(format!("it has another node port, {UNLIKE}: {port} is that of the Service {name:?}"))
            };
            let told: Option<Vec<String>> = ports.iter().map(told).collect();
            (position, told.map(|told| told.join("; ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a Service of the archive at position 1 is as it should be without these ports.
    #[track_caller]
    fn check(asked: &[u64], expected: Option<&str>) {
        let mut ports = NodePorts::default();
        ports.ask(1, asked.to_vec());
        ports.ask(2, Vec::new());
        for (position, name, has) in [(Some(1), "a/own", 30_001), (Some(2), "a/two", 30_002), (None, "b/x", 30_003)] {
            ports.add(Holder { position, name: name.to_owned(), ports: vec![has] });
        }
        let judged: Vec<_> = ports.judge().collect();
        assert_eq!(judged, [(1, expected.map(str::to_owned))], "{asked:?}");
    }

    #[test]
    fn a_port_that_another_service_has_is_no_difference_and_one_that_is_free_is() {
        let words = |port: u64, name: &str| {
            format!("it has another node port, unlike the archive's: {port} is that of the Service \"{name}\"")
        };
        check(&[30_002], Some(&words(30_002, "a/two")));
        check(&[30_003], Some(&words(30_003, "b/x")));
        check(&[30_002, 30_003], Some(&format!("{}; {}", words(30_002, "a/two"), words(30_003, "b/x"))));
        check(&[30_004], None);
        check(&[30_002, 30_004], None);
        // Its own ports may change places.
        check(&[30_001], None);
    }
}
