/// Why a pattern cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PatternError {
    /// The character at which it goes wrong, counted from 1.
    pub position: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}
