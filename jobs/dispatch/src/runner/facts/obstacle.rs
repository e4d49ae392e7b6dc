/// What keeps something from running, in Kubernetes' own words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Obstacle {
    /// One word: `FailedCreate`, `ImagePullBackOff`.
    pub(crate) reason: String,
    /// What, on which object, and why.
    pub(crate) message: String,
    /// Whether it is a failure, and not only a wait.
    pub(crate) is_failure: bool,
    /// Whether nothing is tried again before somebody mends something.
    pub(crate) is_final: bool,
}

impl Obstacle {
    pub(crate) fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), is_failure: false, is_final: false }
    }

    pub(crate) fn lasting(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { is_failure: true, is_final: true, ..Self::new(reason, message) }
    }
}
