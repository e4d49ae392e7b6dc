//! What putting the condition into all configurations came to: pure. One that fails keeps nobody from being exempt from the
//! others.

use std::collections::BTreeSet;

use drover::exit::Chain;

use super::condition::Added;
use super::configuration::Configuration;
use super::error::ExemptionError;

/// What it came to.
#[derive(Debug, Default)]
pub(super) struct PutIn {
    /// How many webhooks were changed.
    pub(super) changed: usize,
    /// How many webhooks have the condition now; some of the two kinds have the same name.
    pub(super) webhooks: usize,
    /// Their names.
    pub(super) exempt: BTreeSet<String>,
    /// Those that cannot have it.
    pub(super) full: Vec<String>,
    /// The names of the configurations that were looked through.
    pub(super) names: BTreeSet<String>,
    /// The configurations in which a webhook lacked the condition.
    pub(super) rewritten: BTreeSet<Configuration>,
    /// The first failure.
    failed: Option<ExemptionError>,
}

impl PutIn {
    /// Notes what became of one configuration. Gives whether the others are worth a try: not where no server answers.
    pub(super) fn take(
        &mut self,
        configuration: &Configuration,
        came_to: Result<Option<Added>, ExemptionError>,
    ) -> bool {
        match came_to {
            Ok(None) => true,
            Ok(Some(added)) => {
                if added.changed > 0 {
                    self.rewritten.insert(configuration.clone());
                }
                self.changed += added.changed;
                self.webhooks += added.exempt.len();
                self.exempt.extend(added.exempt);
                self.full.extend(added.full);
                self.names.insert(configuration.name().to_owned());
                true
            }
            Err(error) => {
                let answers = !error.is_unreachable();
                self.failed.get_or_insert(error);
                answers
            }
        }
    }

    /// What is to be said of the first failure, if there was one.
    pub(super) fn failure(&self) -> Option<String> {
        let error = self.failed.as_ref()?;
        let asked = if self.exempt.is_empty() {
            "webhooks are asked about what is written"
        } else {
            "exempt from some webhooks, and the others are asked about what is written"
        };
        Some(format!("{asked}: {}", Chain(error)))
    }
}

/// Whether a configuration is known not to have the condition: it is not there, has no room, or this user may not read or
/// change it. What else failed may have come through.
pub(super) fn is_nowhere(came_to: &Result<Option<Added>, ExemptionError>) -> bool {
    match came_to {
        Ok(added) => added.as_ref().is_none_or(|added| added.exempt.is_empty()),
        Err(ExemptionError::Get { source, .. } | ExemptionError::Write { source, .. }) => source.is_forbidden(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::configuration::of_names;
    use super::*;
    use drover::api::RequestError;

    fn named(name: &str) -> Configuration {
        of_names(&[name.to_owned()]).remove(0)
    }

    fn added(webhook: &str) -> Added {
        Added { changed: 1, exempt: vec![webhook.to_owned()], full: Vec::new() }
    }

    fn failed(source: RequestError) -> ExemptionError {
        let plural = "validatingwebhookconfigurations";
        ExemptionError::Write { verb: "put in", plural, name: "policy".to_owned(), source }
    }

    fn forbidden() -> RequestError {
        let (reason, message) = ("Forbidden".to_owned(), "not you".to_owned());
        RequestError::Refused { code: 403, reason, message, retry_after: None, continue_token: None }
    }

    #[test]
    fn one_that_fails_is_told_and_the_others_are_exempt() {
        let mut put_in = PutIn::default();
        assert!(put_in.take(&named("policy"), Err(failed(forbidden()))));
        assert!(put_in.failure().unwrap().starts_with("webhooks are asked about what is written: "));
        assert!(put_in.take(&named("rancher.cattle.io"), Ok(Some(added("one")))));
        assert!(put_in.take(&named("missing"), Ok(None)));
        assert_eq!(put_in.rewritten, BTreeSet::from([named("rancher.cattle.io")]));
        let webhooks: Vec<&str> = put_in.exempt.iter().map(String::as_str).collect();
        let names: Vec<&str> = put_in.names.iter().map(String::as_str).collect();
        assert_eq!((put_in.changed, webhooks, names), (1, vec!["one"], vec!["rancher.cattle.io"]));
        let failure = put_in.failure().unwrap();
        assert!(failure.starts_with("exempt from some webhooks") && failure.ends_with("not you"), "{failure}");
    }

    fn unanswered() -> RequestError {
        RequestError::Timeout { path: "/".to_owned(), seconds: 60 }
    }

    #[test]
    fn whatever_may_have_come_through_counts_as_put_in() {
        let get =
            |source| ExemptionError::Get { plural: "validatingwebhookconfigurations", name: String::new(), source };
        let full = Added { changed: 0, exempt: Vec::new(), full: vec!["full".to_owned()] };
        for (came_to, expected) in [
            (Ok(None), true),
            (Ok(Some(full)), true),
            (Err(failed(forbidden())), true),
            (Err(get(forbidden())), true),
            (Ok(Some(added("one"))), false),
            (Err(failed(unanswered())), false),
            // It is read anew after a write of which nothing is known.
            (Err(get(unanswered())), false),
        ] {
            assert_eq!(is_nowhere(&came_to), expected, "{came_to:?}");
        }
    }

    #[test]
    fn where_no_server_answers_no_other_is_tried() {
        let mut put_in = PutIn::default();
        assert!(!put_in.take(&named("policy"), Err(failed(unanswered()))));
        assert!(put_in.failure().is_some());
    }

    #[test]
    fn nothing_is_said_where_nothing_failed() {
        let mut put_in = PutIn::default();
        assert!(put_in.take(&named("a"), Ok(Some(added("one")))));
        assert_eq!(put_in.failure(), None);
    }
}
