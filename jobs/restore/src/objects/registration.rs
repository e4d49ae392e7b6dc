//! Which types hand requests over to other servers, or judge them.

/// The types: group and plural name.
pub(crate) const TYPES: [(&str, &str); 5] = [
    ("apiregistration.k8s.io", "apiservices"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    // The API server judges by a policy itself, but one whose parameter is not there yet refuses everything.
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
];

/// Whether objects of a type hand requests over to other servers, or judge them.
pub(crate) fn is_registration(group: &str, plural: &str) -> bool {
    TYPES.contains(&(group, plural))
}
