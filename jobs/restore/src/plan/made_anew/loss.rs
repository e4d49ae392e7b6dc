//! What is lost with an object that is deleted and created again.

/// What is lost with an object that is deleted and created again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loss {
    /// Nothing: it is made anew unasked.
    Nothing,
    /// This: it is made anew where somebody names it.
    Something(&'static str),
    /// This, and nobody may ask for it.
    TooMuch(&'static str),
}

/// What is lost with an object of a type that is in no table.
pub(crate) const UNKNOWN: Loss = Loss::Something("drover cannot tell what is lost with it");
pub(crate) const PODS: Loss = Loss::Something("its pods go with it where its selector changes, and new ones start");

/// What is lost with an object of a type, given as group and plural name. Secrets, ConfigMaps and bindings of roles are no
/// rows: of these only what shows that it cannot be changed is made anew, see `write/recreate.rs`.
pub(crate) static LOSSES: &[((&str, &str), Loss)] = &[
    // Pods have the number of their class, and not its name alone.
    (("scheduling.k8s.io", "priorityclasses"), Loss::Nothing),
    // Volumes are what they were made as; claims only name these classes.
    (("storage.k8s.io", "storageclasses"), Loss::Nothing),
    (("storage.k8s.io", "volumeattributesclasses"), Loss::Nothing),
    // What is mounted stays so.
    (("storage.k8s.io", "csidrivers"), Loss::Nothing),
    // Pods that run keep their runtime, and claims what was made of them.
    (("node.k8s.io", "runtimeclasses"), Loss::Nothing),
    (("resource.k8s.io", "resourceclaimtemplates"), Loss::Nothing),
    // Only its controller is fixed, and with another one its Ingresses go over to that however the class gets it.
    (("networking.k8s.io", "ingressclasses"), Loss::Nothing),
    // What is used is counted again.
    (("", "resourcequotas"), Loss::Nothing),
    (("apps", "deployments"), PODS),
    (("apps", "daemonsets"), PODS),
    (("apps", "replicasets"), PODS),
    (("apps", "statefulsets"), PODS),
    (("batch", "jobs"), Loss::Something("its pods go with it, and it runs again from its beginning")),
    (("", "pods"), Loss::Something("what runs in it ends, and begins again")),
    (("", "services"), Loss::Something("it cannot be reached for a moment, and its address may be another one then")),
    (("", "namespaces"), Loss::TooMuch("all that lies in a Namespace goes with it")),
    (("", "nodes"), Loss::TooMuch("the pods of a Node go with it")),
    (("", "persistentvolumes"), Loss::TooMuch("the data of a PersistentVolume may go with it")),
    (("", "persistentvolumeclaims"), Loss::TooMuch("the data of a PersistentVolumeClaim may go with it")),
    (
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        Loss::TooMuch("all objects of a CustomResourceDefinition go with it"),
    ),
];

/// What is lost with an object of that type, given as group and plural name.
pub(crate) fn loss(kind: (&str, &str)) -> Loss {
    LOSSES.iter().find(|(of, _)| *of == kind).map_or(UNKNOWN, |(_, loss)| *loss)
}
