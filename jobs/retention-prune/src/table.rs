//! The plans of Backups as tables for people: what a real run would do then.

use std::fmt::Write as _;
use std::io::Write;

use drover::exit::{Exit, Failure};
use drover::policy::Policies;
use drover::resources::{Backup, rfc3339};
use drover::retention::Plan;
use kube::ResourceExt;
use snafu::{ResultExt, Snafu};

use crate::pruner::Pruner;

/// Why plans were not printed.
#[derive(Debug, Snafu)]
enum Error {
    #[snafu(display("failed to find the Backup {name:?}; kubectl get backups.resources.cattle.io lists them"))]
    FindBackup { name: String },
    #[snafu(display("failed to print the plan"))]
    Print { source: std::io::Error },
}

impl drover::exit::Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::FindBackup { .. } => Exit::Usage,
            Self::Print { .. } => Exit::Failure,
        }
    }
}

/// Prints the plans of the Backup of that name, or of all, and deletes nothing.
///
/// # Errors
/// When there is no such Backup, or with the worst failure of those that cannot be planned; the others are printed.
pub async fn print(pruner: &Pruner, name: Option<&str>, out: &mut (impl Write + ?Sized)) -> Result<(), Failure> {
    let policies = Policies::load(&pruner.client).await?;
    let mut backups = pruner.backups().await?;
    if let Some(name) = name {
        backups.retain(|backup| backup.name_any() == name);
        if backups.is_empty() {
            return Err(Error::FindBackup { name: name.to_owned() }.into());
        }
    }
    let mut worst: Option<Failure> = None;
    for backup in &backups {
        let (text, failures) = Box::pin(tables(pruner, backup, &policies)).await;
        out.write_all(text.as_bytes()).context(PrintSnafu)?;
        worst = worst.into_iter().chain(failures).max_by_key(Failure::exit);
    }
    out.flush().context(PrintSnafu)?;
    worst.map_or(Ok(()), Err)
}

/// The tables of a Backup, one for each place, and what failed.
async fn tables(pruner: &Pruner, backup: &Backup, policies: &Policies) -> (String, Vec<Failure>) {
    let (mut text, mut failures) = (String::new(), Vec::new());
    let title = |place: &str| format!("Backup {:?} at {place}", backup.name_any());
    let case = match pruner.case(backup, &policies.settings(backup)).await {
        Ok(case) => case,
        Err(failure) => return (format!("{}: {failure}\n\n", title("every place")), vec![failure]),
    };
    for target in &case.targets {
        match pruner.plan(&case, target).await {
            Ok((site, _, plan)) => {
                let title = title(&format!("{} ({})", target.name, site.storage.location()));
                text.push_str(&table(&title, &plan));
            }
            Err(failure) => {
                // Writing to a String does not fail.
                let _ = writeln!(text, "{}: {failure}\n", title(&target.name));
                failures.push(failure);
            }
        }
    }
    (text, failures)
}

fn table(title: &str, plan: &Plan) -> String {
    let mut text = format!("{title}: {} kept, {} to delete\n", plan.kept(), plan.expired().count());
    let width = plan.archives.iter().map(|archive| archive.name.len()).max().unwrap_or_default();
    for archive in &plan.archives {
        let (name, time, verdict) = (&archive.name, rfc3339(archive.time), archive.verdict.word());
        let _ = writeln!(text, "  {name:width$}  {time}  {verdict:6}  {}", archive.verdict);
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use drover::retention::{Expired, Judged, Keep, Verdict};

    use super::*;

    #[test]
    fn a_table_tells_of_each_archive_what_becomes_of_it_and_why() {
        let archive = |name: &str, verdict| Judged {
            name: name.to_owned(),
            time: "2026-11-22T13:05:22Z".parse().unwrap(),
            verdict,
        };
        let keep = Verdict::Keep(vec![Keep::Newest { place: 1, of: 1 }, Keep::NewestVerified]);
        let plan = Plan { archives: vec![archive("b-2", keep), archive("b", Verdict::Delete(Expired::Count(1)))] };
        let expected = "Backup \"b\" at default: 1 kept, 1 to delete\n  \
                        b-2  2026-11-22T13:05:22Z  keep    number 1 of the newest 1; the newest verified one\n  \
                        b    2026-11-22T13:05:22Z  delete  older than the newest 1\n\n";
        assert_eq!(table("Backup \"b\" at default", &plan), expected);
    }
}
