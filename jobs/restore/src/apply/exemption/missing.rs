//! What somebody named to be exempt from and that is not there: most likely a slip, so what is there is told.

use std::collections::BTreeSet;

use drover::exit::Chain;

use super::Exemption;
use super::configuration::all_names;
use crate::api::request::Server;

/// How many configurations are named.
const NAMED: usize = 20;

impl Exemption {
    /// Tells of each configuration that somebody named and that is not among the `found`.
    pub(super) async fn tell_missing(&self, server: &Server, found: &BTreeSet<String>) {
        let is_missing = |name: &&String| !found.contains(*name) && self.exempt.is_named(name);
        let missing: Vec<&String> = self.names.iter().filter(is_missing).collect();
        if missing.is_empty() {
            return;
        }
        let names = all_names(server).await.map_err(|error| Chain(&error).to_string());
        let there = there(&names);
        for name in missing {
            let words =
                format!("no configuration of webhooks has the name {name:?} that is to be exempted from; {there}");
            self.teller.warn("NotExempted", words).await;
        }
    }
}

/// Which there are, in words.
fn there(names: &Result<BTreeSet<String>, String>) -> String {
    let names = match names {
        Ok(names) if names.is_empty() => return "there is none at all".to_owned(),
        Ok(names) => names,
        Err(error) => return format!("which there are is not known: {error}"),
    };
    let named = names.iter().take(NAMED).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => format!("there are {named}"),
        more => format!("there are {named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configurations_that_there_are_are_named() {
        let names = |count: usize| Ok((0..count).map(|index| format!("n-{index:02}")).collect());
        assert_eq!(there(&names(0)), "there is none at all");
        assert_eq!(there(&names(2)), "there are \"n-00\", \"n-01\"");
        let many = there(&names(22));
        assert!(many.contains("\"n-19\" and 2 more") && !many.contains("n-20"), "{many}");
    }
}
