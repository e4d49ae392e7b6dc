//! The Go modules that the programs are built from, pinned in `programs/<set>/`.

use sha2::{Digest, Sha256};

/// Programs that are built from one `go.mod`.
pub(super) struct Set {
    pub(super) name: &'static str,
    /// The module that holds the programs, and that `go.mod` pins.
    pub(super) module: &'static str,
    /// Whether the programs are the packages in the module's folder `cmd`, and not the module itself.
    pub(super) has_commands: bool,
    go_mod: &'static str,
    go_sum: &'static str,
    tools_go: &'static str,
    /// Import paths of variables that hold the version, the major and the minor version.
    version_variables: Option<[&'static str; 3]>,
    /// Go's build tag that leaves out what no test uses.
    pub(super) tag: Option<&'static str>,
}

macro_rules! set {
    ($name:literal, $module:literal, $has_commands:literal, $version_variables:expr) => {
        Set {
            name: $name,
            module: $module,
            has_commands: $has_commands,
            go_mod: include_str!(concat!("../../programs/", $name, "/go.mod")),
            go_sum: include_str!(concat!("../../programs/", $name, "/go.sum")),
            tools_go: include_str!(concat!("../../programs/", $name, "/tools.go")),
            version_variables: $version_variables,
            tag: None,
        }
    };
}

/// Where programs of Kubernetes keep their version.
const OF_KUBERNETES: Option<[&str; 3]> = Some([
    "k8s.io/component-base/version.gitVersion",
    "k8s.io/component-base/version.gitMajor",
    "k8s.io/component-base/version.gitMinor",
]);

pub(super) static KUBERNETES: Set = set!("kubernetes", "k8s.io/kubernetes", true, OF_KUBERNETES);
/// The oldest minor version that drover promises to run on.
pub(super) static KUBERNETES_OLDEST: Set = set!("kubernetes-oldest", "k8s.io/kubernetes", true, OF_KUBERNETES);
pub(super) static ETCD: Set = set!("etcd", "go.etcd.io/etcd/server/v3", false, None);
pub(super) static NATS: Set = set!("nats", "github.com/nats-io/nats-server/v2", false, None);
pub(super) static MINIO: Set = set!("minio", "github.com/minio/minio", false, None);
pub(super) static VERSITYGW: Set = set!("versitygw", "github.com/versity/versitygw", true, None);
pub(super) static COREDNS: Set = set!("coredns", "github.com/coredns/coredns", false, None);
pub(super) static KUSTOMIZE: Set = set!("kustomize", "sigs.k8s.io/kustomize/kustomize/v5", false, None);
pub(super) static KUBECONFORM: Set = set!("kubeconform", "github.com/yannh/kubeconform", true, None);
pub(super) static PROMETHEUS: Set = Set {
    // The clients of every cloud, which find what is to be scraped there; files are enough here.
    tag: Some("remove_all_sd"),
    ..set!("prometheus", "github.com/prometheus/prometheus", true, None)
};
/// No program: the definitions of its resources.
pub(super) static PROMETHEUS_OPERATOR: Set =
    set!("prometheus-operator", "github.com/prometheus-operator/prometheus-operator", false, None);

impl Set {
    /// The files of the module to build in, by name.
    pub(super) fn files(&self) -> [(&'static str, &'static str); 3] {
        [("go.mod", self.go_mod), ("go.sum", self.go_sum), ("tools.go", self.tools_go)]
    }

    /// The version that `go.mod` pins, such as `v1.34.4`.
    pub(super) fn version(&self) -> &'static str {
        required_version(self.go_mod, self.module).unwrap_or("of no pinned version")
    }

    /// The start of the versions that are as good as the pinned one: `v1.34.` for `v1.34.4`.
    pub(super) fn minor_version(&self) -> &'static str {
        let version = self.version();
        version.rfind('.').map_or(version, |dot| &version[..=dot])
    }

    /// What the linker is told: no debug information, and the version that the programs report.
    pub(super) fn linker_flags(&self) -> String {
        let version = self.version();
        let values = std::iter::once(version).chain(version.trim_start_matches('v').split('.'));
        let variables = self.version_variables.into_iter().flatten().zip(values);
        let settings = variables.map(|(variable, value)| format!("-X {variable}={value}"));
        let flags: Vec<String> = ["-s".to_owned(), "-w".to_owned()].into_iter().chain(settings).collect();
        flags.join(" ")
    }

    /// The folder in the cache, with a hash of everything that decides what is built.
    pub(super) fn folder_name(&self) -> String {
        let mut hash = Sha256::new();
        for (name, text) in self.files() {
            hash.update(name);
            hash.update(text);
        }
        hash.update(self.linker_flags());
        hash.update(self.tag.unwrap_or_default());
        hash.update(std::env::consts::ARCH);
        format!("{}-{}", self.name, &hex::encode(hash.finalize())[..12])
    }
}

fn required_version<'text>(go_mod: &'text str, module: &str) -> Option<&'text str> {
    go_mod.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next() == Some(module)).then(|| words.next()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_pins_the_module_of_its_programs() {
        for set in [
            &KUBERNETES,
            &KUBERNETES_OLDEST,
            &ETCD,
            &NATS,
            &MINIO,
            &VERSITYGW,
            &COREDNS,
            &KUSTOMIZE,
            &KUBECONFORM,
            &PROMETHEUS,
            &PROMETHEUS_OPERATOR,
        ] {
            assert!(set.version().starts_with('v'), "{} is {}", set.name, set.version());
        }
    }

    #[test]
    fn kubernetes_reports_the_version_that_is_pinned() {
        assert_eq!(
            KUBERNETES.linker_flags(),
            "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 \
             -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
        );
        assert_eq!(KUBERNETES.minor_version(), "v1.34.");
        assert_eq!(KUBERNETES_OLDEST.minor_version(), "v1.30.");
    }

    #[test]
    fn finds_the_version_on_a_line_and_in_a_block() {
        assert_eq!(required_version("require a/b v1.2.3\n", "a/b"), Some("v1.2.3"));
        assert_eq!(required_version("require (\n\ta/b v1.2.3 // indirect\n)\n", "a/b"), Some("v1.2.3"));
        assert_eq!(required_version("module a/bc\n", "a/b"), None);
    }

    #[test]
    fn the_folder_names_of_sets_differ() {
        assert_ne!(ETCD.folder_name(), NATS.folder_name());
        assert_eq!(ETCD.folder_name(), ETCD.folder_name());
    }
}
