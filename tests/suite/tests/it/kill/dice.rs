use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Numbers that follow from a seed: SplitMix64.
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of one job, from the seed that the environment gives, or from the time.
    pub(crate) fn of(job: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let seed: u64 = std::env::var("DROVER_TEST_SEED").map_or(now, |seed| seed.parse().unwrap());
        eprintln!("{job}: DROVER_TEST_SEED={seed}");
        Self(job.bytes().fold(seed, |state, byte| (state << 8) ^ (state >> 56) ^ u64::from(byte)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A point of a span of time.
    pub(crate) fn point_of(&mut self, span: Duration) -> Duration {
        let micros = u64::try_from(span.as_micros()).unwrap();
        Duration::from_micros(self.below(micros.max(1)))
    }
}
