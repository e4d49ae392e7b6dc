//! How a large archive is cut into the parts of a multipart upload.

/// 1 MiB in bytes.
const MEBIBYTE: u64 = 1 << 20;

/// The most parts of one upload (Amazon S3, "Multipart upload limits").
const MOST_PARTS: u64 = 10_000;

/// When an upload is cut into parts, and how large they are; all in bytes.
///
/// Services refuse parts under 5 MiB but for the last one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UploadSizes {
    /// The largest archive that goes up as one request.
    pub single: u64,
    /// The least size of a part.
    pub part: u64,
}

impl Default for UploadSizes {
    /// One request up to 64 MiB, then parts of at least 16 MiB.
    ///
    /// A single request keeps the digest of the whole at the service and leaves nothing behind when it is cut off.
    fn default() -> Self {
        Self { single: 64 * MEBIBYTE, part: 16 * MEBIBYTE }
    }
}

/// One part: a range of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Part {
    /// Counted from 1.
    pub(super) number: i32,
    /// Where it begins, in bytes.
    pub(super) offset: u64,
    /// How long it is, in bytes.
    pub(super) length: u64,
}

impl UploadSizes {
    /// The size of each part but the last: the least size, or as much more as keeps the parts at [`MOST_PARTS`].
    fn part_size(self, size: u64) -> u64 {
        let needed = size.div_ceil(MOST_PARTS).div_ceil(MEBIBYTE) * MEBIBYTE;
        needed.max(self.part).max(1)
    }

    /// The parts of an archive of `size` bytes, in order.
    pub(super) fn parts(self, size: u64) -> impl Iterator<Item = Part> {
        let part_size = self.part_size(size);
        (1..).zip(0..size.div_ceil(part_size)).map(move |(number, index)| {
            let offset = index * part_size;
            Part { number, offset, length: part_size.min(size - offset) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIBIBYTE: u64 = 1 << 30;

    #[track_caller]
    fn check(size: u64, count: usize, first: u64, last: u64) {
        let parts: Vec<Part> = UploadSizes::default().parts(size).collect();
        assert_eq!(parts.len(), count, "{size}");
        assert_eq!(parts.first().map(|part| part.length), Some(first), "{size}");
        assert_eq!(parts.last().map(|part| part.length), Some(last), "{size}");
        assert_eq!(parts.iter().map(|part| part.length).sum::<u64>(), size, "{size}");
        for pair in parts.windows(2) {
            assert_eq!(pair[0].offset + pair[0].length, pair[1].offset, "{size}");
            assert_eq!(pair[0].number + 1, pair[1].number, "{size}");
        }
        assert_eq!(parts[0].number, 1);
    }

    #[test]
    fn parts_cover_the_archive_once() {
        check(64 * MEBIBYTE + 1, 5, 16 * MEBIBYTE, 1);
        check(80 * MEBIBYTE, 5, 16 * MEBIBYTE, 16 * MEBIBYTE);
    }

    #[test]
    fn parts_grow_so_that_there_are_never_more_than_ten_thousand() {
        check(6 * GIBIBYTE, 384, 16 * MEBIBYTE, 16 * MEBIBYTE);
        check(10_000 * 16 * MEBIBYTE, 10_000, 16 * MEBIBYTE, 16 * MEBIBYTE);
        check(10_000 * 16 * MEBIBYTE + 1, 9_412, 17 * MEBIBYTE, 13 * MEBIBYTE + 1);
    }
}
