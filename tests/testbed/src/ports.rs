//! Free ports.

use std::net::{Ipv4Addr, TcpListener};

use uuid::Uuid;

/// Below the ports that the kernel gives to outgoing connections (32768 and up) and below those of NodePort Services
/// (30000 and up), so that a port is unlikely to be taken between the choice and the use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// Chooses ports of the loopback address that nobody listens on.
pub(crate) fn choose<const N: usize>() -> [u16; N] {
    // All are held until all are chosen, so that no port is chosen twice.
    let held: [(u16, Option<TcpListener>); N] = std::array::from_fn(|_| hold());
    held.map(|(port, _)| port)
}

fn hold() -> (u16, Option<TcpListener>) {
    loop {
        let port = random();
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return (port, Some(listener));
        }
    }
}

fn random() -> u16 {
    let [high, low, ..] = *Uuid::new_v4().as_bytes();
    FIRST + u16::from_be_bytes([high, low]) % COUNT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_are_free_and_differ() {
        let [first, second, third] = choose();
        assert!(first != second && second != third && first != third);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, first)).is_ok());
    }
}
