//! The definitions (CRDs) of resources that others bring, taken from their pinned Go module: no copy of them lies here.

use std::path::{Path, PathBuf};

use snafu::{ResultExt, ensure};

use super::set::PROMETHEUS_OPERATOR;
use super::{BuildSnafu, Error, KeepProgramSnafu, RunGoSnafu, build, cache};

/// What is taken.
const WHAT: &str = "the definitions of the Prometheus operator";

/// The files that tests need, in the module's package [`PACKAGE`].
const FILES: [&str; 2] = [
    "prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    "prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
];

/// The package whose folder holds the files.
const PACKAGE: &str = "github.com/prometheus-operator/prometheus-operator/example";

/// The definitions of the resources ServiceMonitor and PrometheusRule, each a file in YAML.
///
/// # Errors
/// When they are not in the cache and there is no Go toolchain, or it cannot have the module.
pub async fn of_prometheus_operator() -> Result<Vec<PathBuf>, Error> {
    let root = cache::root()?;
    let kept = root.join(PROMETHEUS_OPERATOR.folder_name()).join("bin");
    let kept: Vec<PathBuf> = FILES.iter().map(|file| kept.join(name(file))).collect();
    if kept.iter().all(|path| path.exists()) {
        return Ok(kept);
    }
    let go = build::find_go(&std::env::var_os("PATH").unwrap_or_default(), WHAT)?;
    let _lock = cache::lock().await?;
    let module = cache::prepare(&root, &PROMETHEUS_OPERATOR)?;
    let package = package(&go, &module).await?;
    for (file, path) in FILES.iter().zip(&kept) {
        let unfinished = path.with_extension("building");
        std::fs::copy(package.join(file), &unfinished)
            .and_then(|_| std::fs::rename(&unfinished, path))
            .context(KeepProgramSnafu { program: WHAT, path })?;
    }
    Ok(kept)
}

fn name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// The package's folder, once the toolchain has the module.
async fn package(go: &Path, module: &Path) -> Result<PathBuf, Error> {
    let mut list = build::command(go, module);
    list.args(["list", "-mod=readonly", "-f", "{{.Dir}}", PACKAGE]);
    let output = list.output().await.context(RunGoSnafu { go, program: WHAT })?;
    ensure!(
        output.status.success(),
        BuildSnafu { program: WHAT, output: String::from_utf8_lossy(&output.stderr).trim() }
    );
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}
