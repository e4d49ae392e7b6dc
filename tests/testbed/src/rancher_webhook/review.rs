use serde_json::Value;

/// A request, as the API server shows it to a webhook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Review<'a>(&'a Value);

impl<'a> Review<'a> {
    pub(super) const fn of(request: &'a Value) -> Self {
        Self(request)
    }

    pub(super) fn creates(self) -> bool {
        self.0["operation"] == "CREATE"
    }

    pub(super) fn updates(self) -> bool {
        self.0["operation"] == "UPDATE"
    }

    pub(super) fn deletes(self) -> bool {
        self.0["operation"] == "DELETE"
    }

    /// Who asks.
    pub(super) fn user(self) -> &'a str {
        self.0["userInfo"]["username"].as_str().unwrap_or_default()
    }

    /// Whether nothing is to be written.
    pub(super) fn is_trial(self) -> bool {
        self.0["dryRun"] == true
    }

    /// The object as it would be; null where it is deleted.
    pub(super) fn object(self) -> &'a Value {
        &self.0["object"]
    }

    /// The object as it is; null where there is none yet.
    pub(super) fn old(self) -> &'a Value {
        &self.0["oldObject"]
    }

    pub(super) fn name(self) -> &'a str {
        let name = self.0["name"].as_str().unwrap_or_default();
        if name.is_empty() { text(self.object(), "/metadata/name") } else { name }
    }

    pub(super) fn namespace(self) -> &'a str {
        self.0["namespace"].as_str().unwrap_or_default()
    }
}

/// The text at this place, empty where there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a member says true.
pub(super) fn is_true(object: &Value, member: &str) -> bool {
    object[member] == true
}

pub(super) fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][name].as_str()
}

pub(super) fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["labels"][name].as_str()
}

/// Whether it is being deleted.
pub(super) fn is_going(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// Whether two objects are the same but for their metadata and these members.
pub(super) fn is_same_but_for(one: &Value, other: &Value, members: &[&str]) -> bool {
    let [Some(one), Some(other)] = [one, other].map(Value::as_object) else { return one == other };
    let counts = |name: &String| name != "metadata" && name != "status" && !members.contains(&name.as_str());
    let differs = |name: &String| counts(name) && one.get(name) != other.get(name);
    !one.keys().chain(other.keys()).any(differs)
}
