//! The addresses of a node and its pods.
//!
//! They are from the range that is kept for benchmarks (198.18.0.0/15), which no real network has, and differ from node
//! to node of a machine. The machine has a route to each of them, so a test reaches pods and Services as another pod does.

use std::net::Ipv4Addr;

/// The networks of one of the machine's nodes, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    number: u8,
}

impl Network {
    /// The numbers go up to 63.
    pub(crate) fn of(number: u8) -> Self {
        Self { number }
    }

    /// The name of the machine's end of the link to the node.
    pub(crate) fn link(self) -> String {
        format!("drover{}", self.number)
    }

    /// The machine's end of the link: what pods reach of the machine.
    pub(crate) fn machine(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 1)
    }

    /// The node's end of the link; its control plane listens there too.
    pub(crate) fn node(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 2)
    }

    /// The addresses of pods.
    pub(crate) fn pods(self) -> String {
        format!("198.19.{}.0/24", self.number)
    }

    /// The addresses of Services.
    pub(crate) fn services(self) -> String {
        format!("{}/24", self.service(0))
    }

    /// The Service `kubernetes`, which has the first address.
    pub(crate) fn api_server(self) -> Ipv4Addr {
        self.service(1)
    }

    /// The Service of the DNS server.
    pub(crate) fn dns(self) -> Ipv4Addr {
        self.service(10)
    }

    fn service(self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, 128 + self.number, host)
    }

    /// What `ip` is told on the machine, once the node's first process runs.
    pub(crate) fn machine_commands(self, first_process: i32) -> Vec<String> {
        let (link, node) = (self.link(), self.node());
        vec![
            format!("link add {link} type veth peer name eth0 netns {first_process}"),
            format!("address add {}/30 dev {link}", self.machine()),
            format!("link set {link} up"),
            format!("route replace {} via {node}", self.pods()),
            format!("route replace {} via {node}", self.services()),
        ]
    }

    /// What `ip` is told inside, after that. There is no way out but to the machine, so nothing waits for an answer
    /// of the world.
    pub(crate) fn node_commands(self) -> Vec<String> {
        vec![
            "link set lo up".to_owned(),
            format!("address add {}/30 dev eth0", self.node()),
            "link set eth0 up".to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_of_nodes_differ_and_their_services_lie_beside_their_links() {
        let (first, last) = (Network::of(0), Network::of(63));
        assert_eq!((first.services(), first.dns().to_string()), ("198.18.128.0/24".into(), "198.18.128.10".into()));
        assert_eq!((last.services(), last.pods()), ("198.18.191.0/24".into(), "198.19.63.0/24".into()));
        assert_eq!(last.node().to_string(), "198.18.63.2");
    }
}
