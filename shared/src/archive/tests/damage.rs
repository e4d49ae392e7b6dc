//! A whole archive of which some bytes are lost or changed.

use proptest::prelude::*;

use super::fixture::{CLUSTER_ROLE, CONFIG_MAP, Entries, Tar, read};

fn small() -> Tar {
    Tar::default().directory("configmaps.#v1").object(CONFIG_MAP).object(CLUSTER_ROLE)
}

fn entries() -> Entries {
    read(&*small().archive()).unwrap()
}

#[test]
fn an_archive_cut_off_anywhere_is_refused() {
    // In two members, so that cuts fall between these too.
    let tar = small().zeros(2).0;
    let (first, second) = tar.split_at(700);
    let archive = [super::fixture::gzip(first), super::fixture::gzip(second)].concat();
    assert_eq!(read(&*archive).unwrap(), entries());
    for length in 0..archive.len() {
        assert!(read(&archive[..length]).is_err(), "cut off at {length} of {}", archive.len());
    }
}

#[test]
fn an_archive_with_one_bit_changed_is_refused_or_says_the_same() {
    let archive = small().archive();
    let entries = entries();
    let mut refused = 0;
    for bit in 0..archive.len() * 8 {
        let mut changed = archive.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        match read(&*changed) {
            Ok(read) => assert_eq!(read, entries, "bit {bit}"),
            Err(_) => refused += 1,
        }
    }
    // The others are times in gzip's header, or a reference into a run of zeros that now points elsewhere in that run.
    assert!(refused > archive.len() * 7, "{refused} of {}", archive.len() * 8);
}

proptest! {
    #[test]
    fn an_archive_with_bytes_changed_is_refused_or_says_the_same(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut archive = small().archive();
        for (index, byte) in changes {
            let length = archive.len();
            archive[index.index(length)] = byte;
        }
        if let Ok(read) = read(&*archive) {
            prop_assert_eq!(read, entries());
        }
    }

    /// With gzip's digest made anew, so that only the tar and the JSON can be refused: nothing panics.
    #[test]
    fn a_changed_tar_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut tar = small().pax(&super::fixture::record("path", "secrets.#v1/a.json")).file("x", b"{}").zeros(2);
        for (index, byte) in changes {
            let length = tar.0.len();
            tar.0[index.index(length)] = byte;
        }
        // Checksums made right again, so that the other fields are read.
        for start in (0..tar.0.len()).step_by(512) {
            let block = &mut tar.0[start..start + 512];
            if block[257..262] == *b"ustar" {
                let mut header = tar::Header::new_ustar();
                header.as_mut_bytes().copy_from_slice(block);
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        let _ = read(&*tar.gzip());
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(read(&*bytes).is_err());
        prop_assert!(read(&*super::fixture::gzip(&bytes)).is_err());
    }
}
