//! Namespaces: their project and their limits.

use serde_json::Value;

use super::Verdict;
use crate::rancher_webhook::cache::Known;
use crate::rancher_webhook::review::{Review, annotation};
use crate::rancher_webhook::words::bad;
use crate::webhook::Answer;

const PROJECT: &str = "field.cattle.io/projectId";
const LIMITS: &str = "field.cattle.io/containerDefaultResourceLimit";

/// The ends of quantities, and what they stand for.
const UNITS: [(&str, f64); 7] =
    [("Ki", 1024.0), ("Mi", 1_048_576.0), ("Gi", 1_073_741_824.0), ("m", 0.001), ("k", 1e3), ("M", 1e6), ("G", 1e9)];

/// A Namespace.
pub(super) fn namespace(review: Review<'_>, _: &Known) -> Verdict {
    if review.deletes() {
        return Err(bad(format!("{:?} namespace my not be deleted\n", review.name())));
    }
    project(review)?;
    limits(review.object())
}

fn project(review: Review<'_>) -> Verdict {
    match annotation(review.object(), PROJECT) {
        Some(project) if annotation(review.old(), PROJECT) != Some(project) && !project.contains(':') => {
            Err(Answer::Broken("unable to retrieve project id from annotation, too few values".to_owned()))
        }
        _ => Ok(()),
    }
}

fn limits(namespace: &Value) -> Verdict {
    let Some(text) = annotation(namespace, LIMITS) else { return Ok(()) };
    let limits: Value =
        serde_json::from_str(text).map_err(|error| bad(format!("invalid resource limits annotation: {error}")))?;
    for (request, limit) in [("requestsCpu", "limitsCpu"), ("requestsMemory", "limitsMemory")] {
        let [asked, given] = [request, limit].map(|member| limits[member].as_str().unwrap_or_default());
        if let (Some(more), Some(less)) = (quantity(asked), quantity(given))
            && more > less
        {
            return Err(bad(format!("{request} ({asked}) cannot be greater than {limit} ({given})")));
        }
    }
    Ok(())
}

fn quantity(text: &str) -> Option<f64> {
    let unit = UNITS.iter().find_map(|(end, factor)| text.strip_suffix(end).map(|number| (number, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1.0));
    number.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_limit_is_no_less_than_the_request() {
        let with = |limits: &str| json!({"metadata": {"annotations": {LIMITS: limits}}});
        let words = "requestsMemory (2Gi) cannot be greater than limitsMemory (512Mi)";
        assert_eq!(limits(&with(r#"{"requestsMemory": "2Gi", "limitsMemory": "512Mi"}"#)), Err(bad(words)));
        assert_eq!(limits(&with(r#"{"requestsCpu": "100m", "limitsCpu": "1"}"#)), Ok(()));
    }
}
