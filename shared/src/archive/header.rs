//! What a tar header says, with nothing believed that two readers could read in two ways.
//!
//! Entries are walked here and not by the tar crate's iterator: that takes an archive without its end mark for whole,
//! reads long names and pax headers of any size into memory, and believes a size in a pax header. Its `Header` knows
//! where the fields are.

use tar::{EntryType, Header};

use super::stream::BLOCK;

/// What is wrong with a header, in words that go on after "failed to read the header: ".
pub(super) type Problem = &'static str;

/// Keywords of pax headers that change nothing that is read here: times, owners, comments, what repacking tools add.
const HARMLESS: [&str; 10] =
    ["atime", "charset", "comment", "ctime", "gid", "gname", "hdrcharset", "mtime", "uid", "uname"];

/// How harmless keywords of the vendors begin: attributes, access lists, flags and inodes of the file that was packed.
const HARMLESS_BEGINNINGS: [&[u8]; 8] = [
    b"LIBARCHIVE.",
    b"RHT.security.",
    b"SCHILY.acl.",
    b"SCHILY.dev",
    b"SCHILY.fflags",
    b"SCHILY.ino",
    b"SCHILY.nlink",
    b"SCHILY.xattr.",
];

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    File,
    Directory,
    /// A pax header for the next entry.
    Pax,
    /// A pax header for all entries that follow.
    PaxGlobal,
    /// GNU tar's way to give the next entry a long name.
    LongName,
    /// What no backup holds, in words.
    Other(&'static str),
}

/// A header that is whole.
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) size: u64,
    /// The path in the header itself; a header before it may say another.
    pub(super) path: Vec<u8>,
}

impl Head {
    /// Reads a header; none when the block is all zeros, which ends an archive.
    pub(super) fn read(block: &[u8; BLOCK]) -> Result<Option<Self>, Problem> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(block);
        if header.cksum().ok() != Some(checksum(block)) {
            return Err("its checksum is wrong");
        }
        let size = size(&header.as_old().size).ok_or("its size is not a number")?;
        Ok(Some(Self { kind: kind(header.entry_type()), size, path: header.path_bytes().into_owned() }))
    }
}

/// The sum of all bytes, those of the checksum itself (148 to 156) taken for blanks.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    sum(&block[..148]) + sum(&block[156..]) + 8 * u32::from(b' ')
}

/// The size of a content. The crate's own reading passes over the upper bytes of a binary size, and takes a sign.
fn size(field: &[u8; 12]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (upper, lower) = field.split_at(4);
        return (upper == [0x80, 0, 0, 0]).then(|| lower.iter().fold(0, |size, byte| size << 8 | u64::from(*byte)));
    }
    let digits = field.split(|byte| *byte == 0).next()?.trim_ascii();
    if digits.is_empty() || !digits.iter().all(|byte| matches!(byte, b'0'..=b'7')) {
        return None;
    }
    // At most 12 octal digits: 36 bits.
    Some(digits.iter().fold(0, |size, byte| size << 3 | u64::from(byte - b'0')))
}

fn kind(entry_type: EntryType) -> Kind {
    match entry_type {
        EntryType::Regular => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::XHeader => Kind::Pax,
        EntryType::XGlobalHeader => Kind::PaxGlobal,
        EntryType::GNULongName => Kind::LongName,
        EntryType::Symlink => Kind::Other("a symbolic link"),
        EntryType::Link => Kind::Other("a hard link"),
        EntryType::GNULongLink => Kind::Other("the target of a link"),
        EntryType::Char | EntryType::Block => Kind::Other("a device"),
        EntryType::Fifo => Kind::Other("a fifo"),
        EntryType::GNUSparse => Kind::Other("a sparse file"),
        _ => Kind::Other("of a type that is not known"),
    }
}

/// The path that a pax header gives the next entry, if it does.
///
/// Own code, since the crate's iterator ends at an empty line and so may not see what other readers see.
pub(super) fn pax_path(mut records: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
    let mut path = None;
    while !records.is_empty() {
        let (keyword, value, rest) = pax_record(records).ok_or("a pax header is malformed")?;
        records = rest;
        if keyword == b"path" {
            if path.replace(value.to_vec()).is_some() {
                return Err("a pax header gives two paths");
            }
        } else if !is_harmless(keyword) {
            return Err("a pax header changes the size, makes a link or a sparse file, or is not known");
        }
    }
    Ok(path)
}

fn is_harmless(keyword: &[u8]) -> bool {
    HARMLESS.iter().any(|harmless| keyword == harmless.as_bytes())
        || HARMLESS_BEGINNINGS.iter().any(|beginning| keyword.starts_with(beginning))
}

/// Splits off the first record, `<length> <keyword>=<value>\n`, whose length counts all of it.
fn pax_record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = records.iter().take(8).position(|byte| *byte == b' ')?;
    let digits = std::str::from_utf8(&records[..blank]).ok()?;
    let length: usize = if digits.starts_with('+') { return None } else { digits.parse().ok()? };
    let (record, rest) = records.split_at_checked(length)?;
    let content = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = content.iter().position(|byte| *byte == b'=')?;
    Some((&content[..equals], &content[equals + 1..], rest))
}

/// The path that a GNU long name gives the next entry: up to the NUL at its end.
pub(super) fn long_name(content: &[u8]) -> Vec<u8> {
    content.strip_suffix(b"\0").unwrap_or(content).to_vec()
}
