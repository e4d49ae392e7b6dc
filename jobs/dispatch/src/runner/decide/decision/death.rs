/// A Job that died without a word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Death {
    /// UID of the Job.
    pub(crate) job: String,
    /// Its name.
    pub(crate) name: String,
    /// What it was to do.
    pub(crate) stage: String,
    /// How it died, in words that are the same for the next one.
    pub(crate) words: String,
    /// What was not done.
    pub(crate) victims: Vec<Victim>,
}

impl Death {
    /// How it died, with the name of the Job: for a message and an Event, which are of this one alone.
    pub(crate) fn told(&self) -> String {
        format!("{} (the Job {:?})", self.words, self.name)
    }
}

/// What a dead Job did not do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Victim {
    /// A run of a Backup, or its beginning.
    Backup {
        /// The Backup's name.
        name: String,
        /// The run that it left in the middle.
        run: Option<String>,
    },
    /// A Restore.
    Restore {
        /// Its name.
        name: String,
    },
}
