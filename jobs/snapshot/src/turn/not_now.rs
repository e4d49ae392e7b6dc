use drover::exit::{Exit, Fault};
use snafu::Snafu;

/// Why it is not the turn of this snapshot.
#[derive(Debug, Snafu)]
pub(crate) enum NotNow {
    #[snafu(display("failed to begin: {holder:?} restores this cluster; try again when that has ended"))]
    RestoreRuns { holder: String },
    #[snafu(display(
        "failed to begin: {holder:?} works on the Backup {backup:?}, and no snapshot was made; try again when that has ended"
    ))]
    Busy { backup: String, holder: String },
    #[snafu(display(
        "failed to read one state of the cluster: a restore was at work meanwhile, so the archive would be half of before \
         it and half of after; the next try makes another"
    ))]
    Overtaken,
}

impl Fault for NotNow {
    fn exit(&self) -> Exit {
        Exit::Unavailable
    }
}
