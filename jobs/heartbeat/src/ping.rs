//! What is told about a Backup or a Restore, before it is put into the words of a service.

mod signal;

use std::fmt::Write;
use std::time::Duration;

use drover::resources::BackupRun;
use drover::runs::status_of;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub(crate) use signal::Signal;

/// Whom a ping is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Concern {
    Backup,
    Restore,
}

impl Concern {
    /// The kind of the resource.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Backup => "Backup",
            Self::Restore => "Restore",
        }
    }

    /// The same as the name of a member.
    pub(crate) const fn member(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
        }
    }
}

/// Why a ping is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// Something happened.
    Event,
    /// The freshness was looked at.
    Audit,
}

/// One thing that is told. What is not known is missing, and is left out of what is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ping {
    pub(crate) concern: Concern,
    pub(crate) name: String,
    pub(crate) signal: Signal,
    pub(crate) origin: Origin,
    /// When it happened.
    pub(crate) time: Timestamp,
    /// The run id; that of a Restore is its UID.
    pub(crate) run: Option<Uuid>,
    pub(crate) number: Option<i64>,
    /// The stage that failed, and at which try.
    pub(crate) stage: Option<String>,
    pub(crate) attempt: Option<i64>,
    pub(crate) duration: Option<Duration>,
    pub(crate) objects: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) filename: Option<String>,
    pub(crate) places: Vec<String>,
    /// Why it failed.
    pub(crate) reason: Option<String>,
}

impl Ping {
    /// A ping that says nothing more than what happened.
    pub(crate) fn new(concern: Concern, name: &str, signal: Signal, origin: Origin, time: Timestamp) -> Self {
        Self {
            concern,
            name: name.to_owned(),
            signal,
            origin,
            time,
            run: None,
            number: None,
            stage: None,
            attempt: None,
            duration: None,
            objects: None,
            bytes: None,
            filename: None,
            places: Vec::new(),
            reason: None,
        }
    }

    /// Everything in one line, the most important first.
    pub(crate) fn headline(&self) -> String {
        let subject = format!("{} {:?}", self.concern.kind(), self.name);
        let run = self.number.map(|number| format!(" run {number}")).unwrap_or_default();
        let line = match (self.signal, self.origin) {
            (Signal::Start, _) => format!("{subject}:{run} began"),
            (Signal::Success, Origin::Event) => format!("{subject}:{run} {}{}", self.success_words(), self.figures()),
            (Signal::Success, Origin::Audit) => {
                format!("{subject}: fresh, the archive of{run} is good{}", self.figures())
            }
            (Signal::Failure, Origin::Event) => format!("{subject}:{run} failed{}{}", self.at_stage(), self.because()),
            (Signal::Failure, Origin::Audit) => format!("{subject}: not fresh{}", self.because()),
        };
        self.clean(&line)
    }

    /// The headline and what else is known, a line each.
    pub(crate) fn text(&self) -> String {
        let mut text = self.headline();
        let run = self.run.map(|run| run.to_string());
        let lines = [("run", run.as_ref()), ("file", self.filename.as_ref())];
        let places = self.places.iter().map(|place| ("place", Some(place)));
        for (name, value) in lines.into_iter().chain(places) {
            if let Some(value) = value {
                // Writing to a String cannot fail.
                let _ = write!(text, "\n{name}: {}", self.clean(value));
            }
        }
        text
    }

    /// Everything as JSON: what is not known has no member.
    pub(crate) fn json(&self) -> Value {
        let mut members = Map::new();
        for name in Self::PLACEHOLDERS {
            match (name, self.value(name)) {
                ("reason", Value::Null) if self.signal == Signal::Failure => {
                    members.insert("error".to_owned(), "no reason is known".into());
                }
                (_, Value::Null) | ("resource" | "name", _) => {}
                // The name that a criterion of OneUptime looks for unless told otherwise.
                ("reason", reason) => drop(members.insert("error".to_owned(), reason)),
                (name, value) => drop(members.insert(name.to_owned(), value)),
            }
        }
        members.insert(self.concern.member().to_owned(), self.value("name"));
        Value::Object(members)
    }

    /// Everything that can be told, by its name.
    pub(crate) const PLACEHOLDERS: [&str; 16] = [
        "resource",
        "name",
        "signal",
        "status",
        "message",
        "reason",
        "run",
        "number",
        "stage",
        "attempt",
        "objects",
        "bytes",
        "durationSeconds",
        "file",
        "places",
        "time",
    ];

    /// What stands for a name of [`Ping::PLACEHOLDERS`]; null where it is not known.
    pub(crate) fn value(&self, name: &str) -> Value {
        let text = |text: Option<&String>| text.map_or(Value::Null, |text| Value::String(self.clean(text)));
        match name {
            "resource" => json!(self.concern.kind()),
            "name" => text(Some(&self.name)),
            "signal" => json!(self.signal),
            "status" => json!(self.signal.status()),
            "message" => json!(self.headline()),
            "reason" => text(self.reason.as_ref()),
            "run" => json!(self.run),
            "number" => json!(self.number),
            "stage" => text(self.stage.as_ref()),
            "attempt" => json!(self.attempt),
            "objects" => json!(self.objects),
            "bytes" => json!(self.bytes),
            "durationSeconds" => json!(self.duration.map(|duration| duration.as_secs())),
            "file" => text(self.filename.as_ref()),
            "places" if self.places.is_empty() => Value::Null,
            "places" => self.places.iter().map(|place| self.clean(place)).collect(),
            "time" => json!(drover::resources::rfc3339(self.time)),
            _ => Value::Null,
        }
    }

    const fn success_words(&self) -> &'static str {
        match self.concern {
            Concern::Backup => "is stored and verified",
            Concern::Restore => "is done",
        }
    }

    fn figures(&self) -> String {
        let objects = self.objects.map(|objects| format!("{objects} objects"));
        let bytes = self.bytes.map(|bytes| format!("{bytes} bytes"));
        let duration = self.duration.map(|duration| format!("{} s", duration.as_secs()));
        let figures: Vec<_> = [objects, bytes, duration].into_iter().flatten().collect();
        if figures.is_empty() { String::new() } else { format!(": {}", figures.join(", ")) }
    }

    fn at_stage(&self) -> String {
        match (&self.stage, self.attempt) {
            (Some(stage), Some(attempt)) if attempt > 1 => format!(" at {stage}, try {attempt}"),
            (Some(stage), _) => format!(" at {stage}"),
            (None, _) => String::new(),
        }
    }

    fn because(&self) -> String {
        self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()
    }

    /// A text in one line; in a success without the word that monitors look for to find a failure.
    fn clean(&self, text: &str) -> String {
        let text: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
        if self.signal == Signal::Failure { text } else { without_error(&text) }
    }
}

/// What stands in the place of the word "error", which may be part of a name.
const MASKED: &str = "err…";

fn without_error(text: &str) -> String {
    const WORD: &str = "error";
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    // Of ASCII letters alone, so the positions are those of the text itself.
    while let Some(start) = rest.to_ascii_lowercase().find(WORD) {
        cleaned.push_str(&rest[..start]);
        cleaned.push_str(MASKED);
        rest = &rest[start + WORD.len()..];
    }
    cleaned.push_str(rest);
    cleaned
}

/// With what the run's record says of its archive.
pub(crate) fn with_results(ping: Ping, run: &BackupRun) -> Ping {
    let status = status_of(run);
    let snapshot = status.snapshot.unwrap_or_default();
    let places = status.upload.unwrap_or_default().places;
    Ping {
        objects: u64::try_from(snapshot.objects).ok(),
        bytes: u64::try_from(snapshot.bytes).ok(),
        places: places.into_iter().map(|place| place.location).collect(),
        ..ping
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A ping in which everything is known.
    pub(crate) fn whole(signal: Signal) -> Ping {
        let time = "2026-11-23T02:00:42Z".parse().unwrap();
        let failed = signal == Signal::Failure;
        let known = signal == Signal::Success;
        Ping {
            run: Some("019aaf00-0000-7000-8000-000000000001".parse().unwrap()),
            number: Some(7),
            stage: failed.then(|| "upload".to_owned()),
            attempt: failed.then_some(2),
            duration: (signal != Signal::Start).then_some(Duration::from_millis(42_500)),
            objects: known.then_some(1234),
            bytes: known.then_some(5678),
            filename: Some("daily.tar.gz".to_owned()),
            places: if known { vec!["s3://bucket/daily.tar.gz".to_owned()] } else { Vec::new() },
            reason: failed.then(|| "error: no\nanswer".to_owned()),
            ..Ping::new(Concern::Backup, "daily", signal, Origin::Event, time)
        }
    }

    #[test]
    fn headline_says_the_most_important_first() {
        assert_eq!(whole(Signal::Start).headline(), r#"Backup "daily": run 7 began"#);
        let success = r#"Backup "daily": run 7 is stored and verified: 1234 objects, 5678 bytes, 42 s"#;
        assert_eq!(whole(Signal::Success).headline(), success);
        let failure = r#"Backup "daily": run 7 failed at upload, try 2: error: no answer"#;
        assert_eq!(whole(Signal::Failure).headline(), failure);
        let audit = |signal| Ping { origin: Origin::Audit, duration: None, ..whole(signal) };
        let fresh = r#"Backup "daily": fresh, the archive of run 7 is good: 1234 objects, 5678 bytes"#;
        assert_eq!(audit(Signal::Success).headline(), fresh);
        assert_eq!(audit(Signal::Failure).headline(), r#"Backup "daily": not fresh: error: no answer"#);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let time = "2026-11-23T02:00:42Z".parse().unwrap();
        let ping = Ping::new(Concern::Restore, "back", Signal::Success, Origin::Event, time);
        assert_eq!(ping.text(), r#"Restore "back": is done"#);
        let expected = json!({"restore": "back", "signal": "success", "status": "success", "message": ping.headline(),
            "time": "2026-11-23T02:00:42Z"});
        assert_eq!(ping.json(), expected);
    }

    #[test]
    fn further_lines_follow() {
        let lines: Vec<_> = whole(Signal::Success).text().lines().skip(1).map(str::to_owned).collect();
        let expected =
            ["run: 019aaf00-0000-7000-8000-000000000001", "file: daily.tar.gz", "place: s3://bucket/daily.tar.gz"];
        assert_eq!(lines, expected);
    }

    proptest! {
        #[test]
        fn success_never_says_error(
            name in "([a-z-]{0,3}|error|Error|ERROR|errerror){1,4}",
            file in "(errerroror|.){0,6}",
        ) {
            let places = vec![format!("s3://{name}/{file}")];
            let ping = Ping { name, filename: Some(file), places, ..whole(Signal::Success) };
            for text in [ping.text(), ping.json().to_string()] {
                prop_assert!(!text.to_ascii_lowercase().contains("error"), "{text}");
            }
        }
    }
}
