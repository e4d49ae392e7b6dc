//! Which of the machine's nodes a node is: a small number that its addresses, its link and its cgroups are named by.

use std::io::{Error, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::cgroups;

/// How many nodes fit on a machine; the addresses of `node::Network` are made for these.
const COUNT: u8 = 64;

/// A number that no other supervisor has.
pub(super) struct Slot {
    pub(super) number: u8,
    _claim: UnixListener,
}

impl Slot {
    /// Takes a free number, after removing what killed supervisors left of theirs.
    pub(super) fn take() -> std::io::Result<Self> {
        let mut taken = None;
        for number in 0..COUNT {
            if taken.is_some() && !cgroups::exists(&cgroups::cgroup_of(number))? {
                continue;
            }
            let Some(claim) = claim(&cgroups::cgroup_of(number))? else { continue };
            cgroups::remove(&cgroups::cgroup_of(number))?;
            taken.get_or_insert(Self { number, _claim: claim });
        }
        taken.ok_or_else(|| Error::other("as many nodes run on this machine as there are numbers for"))
    }

    /// The cgroup that holds those of all pods.
    pub(super) fn cgroup(&self) -> String {
        cgroups::cgroup_of(self.number)
    }
}

/// Takes a name unless another process has it. It is in no file system, and the kernel gives it free when this process
/// ends, in whatever way.
fn claim(name: &str) -> std::io::Result<Option<UnixListener>> {
    match UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?) {
        Ok(claim) => Ok(Some(claim)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once_and_free_again_when_its_owner_is_gone() {
        let name = format!("drover-testbed-test-{}", std::process::id());
        let first = claim(&name).unwrap();
        assert!(first.is_some());
        assert!(claim(&name).unwrap().is_none());
        drop(first);
        assert!(claim(&name).unwrap().is_some());
    }
}
