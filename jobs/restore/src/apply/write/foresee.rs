//! What a write of an object that is there would come to, asked of the server on trial: for a plan.

use drover::api::RequestError;
use drover::exit::Chain;

use super::error::WriteError;
use super::{Job, Writer};
use crate::apply::away::Away;
use crate::apply::exemption::webhook_of;
use crate::plan::Action;
use crate::plan::made_anew::MADE_ANEW;
use crate::report::outcome::{Outcome, Result as ObjectResult};
use crate::survey::archive::facts::Position;

/// What a refusal on trial tells of the write itself.
#[derive(Debug, Eq, PartialEq)]
enum Told {
    /// It would be refused too.
    Refused,
    /// It may be refused too, for this reason.
    Uncertain(String),
    /// Nothing: what it lacks may be written before it.
    Nothing,
}

impl Writer {
    /// What becomes of the live object of that position beside being changed: it is made anew, or refused. None where the
    /// server has nothing against the change, and where only the write itself shows whether it has. The server of this
    /// writer must be one on trial.
    ///
    /// # Errors
    ///
    /// Only where the server does not answer any more.
    pub(crate) async fn foresee(&self, position: Position) -> Result<Option<ObjectResult>, WriteError> {
        let job = match self.job(position).await {
            Ok(job) => job,
            Err(error) => return Ok(Some(ObjectResult::failed(&error))),
        };
        if let Some((_, words)) = self.away.holds(&job.subject(Action::Update)) {
            return Ok(Some(job.uncertain(&words)));
        }
        match job.run(Action::Update).await {
            Ok(written) => Ok(written.note.starts_with(MADE_ANEW).then(|| job.result(&written))),
            Err(error) if error.is_unreachable() => Err(error),
            Err(error) => Ok(self.foresee_refused(&job, &error).await),
        }
    }

    async fn foresee_refused(&self, job: &Job<'_>, error: &WriteError) -> Option<ObjectResult> {
        if job.is_guarded(error) {
            return Some(ObjectResult::kept(Chain(error).to_string()));
        }
        if let WriteError::Request { step, source } = error
            && let Some(away) = Away::of(source, &job.known)
        {
            let (_, words) = self.away.met(away, source, &job.subject(Action::Update), step.is_empty()).await;
            return Some(job.uncertain(&words));
        }
        match told(error) {
            Told::Refused => Some(ObjectResult::failed(error)),
            Told::Uncertain(words) => Some(job.uncertain(&words)),
            Told::Nothing => None,
        }
    }
}

impl Job<'_> {
    /// It would be changed, and something may stand in the way.
    fn uncertain(&self, words: &str) -> ObjectResult {
        ObjectResult::noted(Outcome::Updated, [words, self.writer.facts.note(self.position)])
    }
}

/// What a refusal on trial tells. What is there when the write comes is not there yet, so only what the server says of the
/// object alone is certain.
fn told(error: &WriteError) -> Told {
    match error {
        WriteError::Request { source, .. } => told_by_server(source),
        WriteError::BeingDeleted { held, .. } => {
            Told::Uncertain(format!("it is being deleted and waits for {held}; apply waits a minute for its end"))
        }
        WriteError::Contended { .. } => Told::Nothing,
        _ => Told::Refused,
    }
}

fn told_by_server(refusal: &RequestError) -> Told {
    if webhook_of(refusal).is_some() {
        return Told::Uncertain(format!("on trial a webhook refuses it (--exempt-webhooks goes past it): {refusal}"));
    }
    if refusal.is_invalid() { Told::Refused } else { Told::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: u16, message: &str, expected: impl Fn(&Told) -> bool) {
        let (reason, message) = (String::new(), message.to_owned());
        let source = RequestError::Refused { code, reason, message, retry_after: None, continue_token: None };
        let told = told(&WriteError::Request { step: "", source });
        assert!(expected(&told), "{told:?}");
    }

    #[test]
    fn only_what_the_server_says_of_the_object_alone_is_certain() {
        check(422, "spec.selector: Invalid value: field is immutable", |told| *told == Told::Refused);
        check(403, "configmaps \"a\" is forbidden: User \"jo\" cannot update resource", |told| *told == Told::Nothing);
        check(404, "clusterroles \"not-yet\" not found", |told| *told == Told::Nothing);
        check(503, "later", |told| *told == Told::Nothing);
        let webhook = "admission webhook \"a.io\" denied the request: no";
        check(403, webhook, |told| matches!(told, Told::Uncertain(words) if words.contains("--exempt-webhooks")));
        check(422, webhook, |told| matches!(told, Told::Uncertain(_)));
    }

    #[test]
    fn what_is_going_is_waited_for() {
        let again = crate::report::again::Again::Command;
        let going = WriteError::BeingDeleted { held: "its end".to_owned(), again };
        assert!(matches!(told(&going), Told::Uncertain(words) if words.contains("waits for its end")));
        assert_eq!(told(&WriteError::Contended { again }), Told::Nothing);
        assert_eq!(told(&WriteError::NotServed), Told::Refused);
    }
}
