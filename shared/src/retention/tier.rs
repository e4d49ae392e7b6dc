use std::fmt;

/// A kind of interval of which the newest archive is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tier {
    /// Each archive for itself.
    Last,
    /// Hours.
    Hourly,
    /// Days.
    Daily,
    /// Weeks as ISO 8601 has them: from Monday on.
    Weekly,
    /// Months.
    Monthly,
    /// Years.
    Yearly,
}

impl Tier {
    /// Every tier, in the order of the fields of `Retention`.
    pub(super) const ALL: [Self; 6] =
        [Self::Last, Self::Hourly, Self::Daily, Self::Weekly, Self::Monthly, Self::Yearly];
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Last => "last",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        })
    }
}
