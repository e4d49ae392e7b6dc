use drover::annotations::REPLICAS_ANNOTATION;
use drover::api::RequestError;
use drover::exit::{Exit, Fault};
use snafu::Snafu;

use super::Controller;
use crate::api::discovery::DiscoveryError;

/// How many of the things that are waited for are named.
const NAMED: usize = 20;

/// Why controllers are not as they must be.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub(crate) enum ControllersError {
    #[snafu(display("failed to read the ResourceSet of the archive"))]
    Parse { source: serde_json::Error },
    #[snafu(display("failed to see whether the controller {controller} {state}"))]
    Look { controller: Box<Controller>, state: &'static str, source: RequestError },
    #[snafu(display("failed to scale the controller {controller} {how}"))]
    ScaleDown { controller: Box<Controller>, how: &'static str, source: RequestError },
    #[snafu(display("failed to see whether the pods of the controller {controller} are gone"))]
    LookForPods { controller: Box<Controller>, source: RequestError },
    #[snafu(display(
        "failed to wait until the controllers are down: after {seconds} s these are left: {}; nothing of the archive is \
         written while they run. See why with `kubectl describe`",
        named(left)
    ))]
    PodsRemain { seconds: u64, left: Vec<String> },
    #[snafu(display(
        "failed to keep the controller {controller} down: {times} times it came up while the restore was at work, and the \
         last time it {last}. Until the restore has ended, switch off what scales it: the self-heal of Argo CD (sync \
         policy), Flux (`flux suspend`), an autoscaler (KEDA: annotation autoscaling.keda.sh/paused: \"true\")"
    ))]
    ComesUp { controller: Box<Controller>, times: u32, last: String },
    #[snafu(display(
        "failed to put back the replicas of {}; the next restore job does, or by hand, each with the COUNT of its \
         annotation {REPLICAS_ANNOTATION}: {}",
        join(left, ", ", Controller::to_string),
        join(left, "; ", Controller::command)
    ))]
    PutBack {
        /// Those that are still at 0.
        left: Vec<Controller>,
        /// The cause of the first one.
        source: RequestError,
    },
    #[snafu(transparent)]
    Discover { source: DiscoveryError },
    #[snafu(display("failed to look for {plural:?} that a restore left scaled down"))]
    Find { plural: String, source: RequestError },
    #[snafu(display("failed to read the server's list of {plural:?}"))]
    Read { plural: String, source: serde_json::Error },
}

impl Fault for ControllersError {
    fn exit(&self) -> Exit {
        match self {
            Self::Parse { .. } => Exit::DataRefused,
            Self::PodsRemain { .. } | Self::ComesUp { .. } => Exit::Unavailable,
            Self::Read { .. } => Exit::Failure,
            Self::Discover { source } => source.exit(),
            Self::Look { source, .. }
            | Self::ScaleDown { source, .. }
            | Self::LookForPods { source, .. }
            | Self::PutBack { source, .. }
            | Self::Find { source, .. } => source.exit(),
        }
    }
}

fn named(left: &[String]) -> String {
    let shown = left.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match left.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn join(left: &[Controller], separator: &str, words: impl Fn(&Controller) -> String) -> String {
    left.iter().map(words).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_pods_are_named_up_to_a_number() {
        let left = (0..22).map(|index| format!("pod-{index}")).collect();
        let error = ControllersError::PodsRemain { seconds: 300, left };
        assert!(error.to_string().contains("after 300 s these are left: pod-0, "), "{error}");
        assert!(error.to_string().contains("pod-19 and 2 more; nothing"), "{error}");
        assert_eq!(error.exit(), Exit::Unavailable);
    }

    #[test]
    fn one_that_is_scaled_up_again_and_again_is_named_with_who_does_it_and_what_helps() {
        let last = "was scaled up to 1 by \"argocd-controller\"".to_owned();
        let error = ControllersError::ComesUp { controller: Box::new(Controller::rancher()), times: 3, last };
        for part in ["deployments.apps \"cattle-system/rancher\"", "3 times", "argocd-controller", "self-heal", "KEDA"]
        {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        assert_eq!(error.exit(), Exit::Unavailable);
    }

    #[test]
    fn what_is_left_down_is_named_with_the_command_that_helps() {
        let source = RequestError::Timeout { path: "/p".to_owned(), seconds: 60 };
        let error = ControllersError::PutBack { left: vec![Controller::rancher()], source };
        let command = "kubectl --namespace cattle-system scale deployments.apps/rancher --replicas=COUNT";
        assert!(error.to_string().contains(command), "{error}");
        assert_eq!(error.exit(), Exit::Unavailable);
    }
}
