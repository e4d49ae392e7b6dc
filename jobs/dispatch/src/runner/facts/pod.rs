use drover::exit::Exit;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{self as core, ContainerState, ContainerStateTerminated, ContainerStatus, PodStatus};
use kube::ResourceExt;
use serde_json::Value;

use super::obstacle::Obstacle;

/// What a container says that is about to start.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// The most bytes of a container's last words that are passed on.
const LAST_WORDS: usize = 512;

/// A pod of a Job.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// The Job's UID: a name is used again, and the pods of before may still be there.
    pub(crate) job: String,
    pub(crate) created: Timestamp,
    /// Whether its container runs or has run.
    pub(crate) has_begun: bool,
    /// What its status says keeps it from running.
    pub(crate) obstacle: Option<Obstacle>,
    /// How its container ended, where it did not end well.
    pub(crate) end: Option<String>,
    /// Whether its container ended with a code of drover's own: it said why before.
    pub(crate) has_spoken: bool,
}

impl Pod {
    /// What is kept of a pod.
    pub(crate) fn of(pod: &core::Pod) -> Self {
        let name = pod.name_any();
        let none = PodStatus::default();
        let status = pod.status.as_ref().unwrap_or(&none);
        let containers = || status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
        let job = pod.owner_references().iter().find(|owner| owner.controller == Some(true));
        let obstacle = containers().find_map(waiting);
        Self {
            uid: pod.uid().unwrap_or_default(),
            job: job.map(|owner| owner.uid.clone()).unwrap_or_default(),
            created: pod.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            has_begun: status.container_statuses.iter().flatten().any(has_begun),
            obstacle: obstacle.or_else(|| unscheduled(status)),
            end: containers().find_map(ended_badly).or_else(|| stopped(status)),
            has_spoken: status.container_statuses.iter().flatten().any(has_spoken),
            name,
        }
    }
}

fn has_begun(container: &ContainerStatus) -> bool {
    let has_begun = |state: &ContainerState| state.running.is_some() || state.terminated.is_some();
    [&container.state, &container.last_state].into_iter().flatten().any(has_begun)
}

/// A container that waits for something that does not come by itself: its image, a key of a Secret.
fn waiting(container: &ContainerStatus) -> Option<Obstacle> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.clone().filter(|reason| !STARTING.contains(&reason.as_str()))?;
    let message = waiting.message.clone().unwrap_or_default();
    let words = format!("the container {:?} does not start: {reason}: {message}", container.name);
    Some(Obstacle::new(reason, words.trim_end_matches([':', ' '])))
}

fn unscheduled(status: &PodStatus) -> Option<Obstacle> {
    let mut conditions = status.conditions.iter().flatten();
    let condition = conditions.find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    let reason = condition.reason.clone().unwrap_or_else(|| "Unschedulable".to_owned());
    let message = condition.message.clone().unwrap_or_default();
    Some(Obstacle::new(reason, format!("no node takes its pod: {message}")))
}

fn ended_badly(container: &ContainerStatus) -> Option<String> {
    let mut states = [&container.state, &container.last_state].into_iter().flatten();
    let ended = states.find_map(|state| state.terminated.as_ref())?;
    (ended.exit_code != 0).then(|| words_of(&container.name, ended))
}

fn has_spoken(container: &ContainerStatus) -> bool {
    let ended = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    let own = [Exit::Failure, Exit::Usage, Exit::DataRefused, Exit::Unavailable].map(|exit| i32::from(exit.code()));
    ended.is_some_and(|ended| own.contains(&ended.exit_code))
}

fn words_of(container: &str, ended: &ContainerStateTerminated) -> String {
    let ContainerStateTerminated { exit_code, reason, message, .. } = ended;
    let meaning = match exit_code {
        64 => ", wrong usage or configuration",
        65 => ", data refused",
        69 => ", a service is away",
        _ => "",
    };
    let reason = reason.as_deref().filter(|reason| *reason != "Error");
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let words = format!("the container {container:?} ended with {exit_code}{meaning}{reason}");
    match message.as_deref().and_then(|message| message.trim().lines().last()).map(said) {
        Some(last) => format!("{words}: {}", &last[..last.floor_char_boundary(LAST_WORDS)]),
        None => words,
    }
}

/// What a line says, without its time: that is another one at each try. The log may be the message of a container that ended.
fn said(line: &str) -> String {
    let fields = serde_json::from_str::<Value>(line).ok();
    if let Some(message) = fields.as_ref().and_then(|fields| fields.get("message")?.as_str()) {
        return message.to_owned();
    }
    match line.split_once(char::is_whitespace) {
        Some((time, rest)) if time.parse::<Timestamp>().is_ok() => rest.trim_start().to_owned(),
        _ => line.to_owned(),
    }
}

/// The kubelet took the pod down before or while its container ran.
fn stopped(status: &PodStatus) -> Option<String> {
    let reason = status.reason.as_deref().filter(|_| status.phase.as_deref() == Some("Failed"))?;
    let message = status.message.as_deref().unwrap_or_default();
    Some(format!("the pod was stopped: {reason}: {message}").trim_end_matches([':', ' ']).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: &Value) -> Pod {
        Pod::of(&serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap())
    }

    fn container(state: &Value) -> Pod {
        pod(&json!({"containerStatuses": [{"name": "snapshot", "ready": false, "image": "", "imageID": "",
            "restartCount": 0, "state": state}]}))
    }

    #[track_caller]
    fn check(pod: Pod, reason: Option<&str>, words: &str) {
        assert_eq!(pod.obstacle.as_ref().map(|obstacle| obstacle.reason.as_str()), reason);
        assert!(pod.obstacle.is_none_or(|obstacle| obstacle.message.contains(words)));
    }

    #[test]
    fn what_a_container_or_the_scheduler_waits_for_is_an_obstacle() {
        let waiting = |reason: &str| container(&json!({"waiting": {"reason": reason, "message": "no such image"}}));
        check(waiting("ImagePullBackOff"), Some("ImagePullBackOff"), "ImagePullBackOff: no such image");
        check(waiting("CreateContainerConfigError"), Some("CreateContainerConfigError"), "\"snapshot\"");
        check(waiting("ContainerCreating"), None, "");
        let condition = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available"}]});
        check(pod(&condition), Some("Unschedulable"), "0/1 nodes are available");
        check(pod(&json!({"phase": "Running"})), None, "");
    }

    #[test]
    fn how_a_container_ended_is_told_in_words() {
        let ended = |state: Value| container(&json!({"terminated": state})).end;
        let name = "the container \"snapshot\" ended with";
        let killed = ended(json!({"exitCode": 137, "reason": "OOMKilled"}));
        assert_eq!(killed.unwrap(), format!("{name} 137 (OOMKilled)"));
        let away = ended(json!({"exitCode": 69, "reason": "Error", "message": "a\nfailed to connect\n"}));
        assert_eq!(away.unwrap(), format!("{name} 69, a service is away: failed to connect"));
        for line in [
            "2026-01-01T00:00:00.123456Z ERROR failed to connect",
            r#"{"timestamp":"2026-01-01T00:00:00.123456Z","level":"ERROR","message":"ERROR failed to connect"}"#,
        ] {
            let logged = ended(json!({"exitCode": 69, "reason": "Error", "message": line})).unwrap();
            assert!(logged.ends_with(": ERROR failed to connect"), "{logged}");
        }
        assert_eq!(ended(json!({"exitCode": 0, "reason": "Completed"})), None);
        let evicted = pod(&json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"})).end;
        assert_eq!(evicted.unwrap(), "the pod was stopped: Evicted: low on memory");
    }
}
