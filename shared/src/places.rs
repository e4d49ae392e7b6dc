//! The places of a Backup's archives: the one that the Backup names, and the further ones of its policy.

use kube::Client;

use crate::exit::{Exit, Failure};
use crate::policy::Settings;
use crate::resources::{Backup, BackupRun, FurtherLocation, Place, S3Location, ServerSideEncryption, StorageLocation};
use crate::runs::status_of;
use crate::storage::{Location, Storage, StorageOptions};

/// A place that archives of a Backup are to lie at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// As it stands in the run's record.
    pub name: String,
    wanted: Wanted,
    encryption: Option<ServerSideEncryption>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Wanted {
    /// What the Backup itself says.
    Own(Option<StorageLocation>),
    /// What a policy says.
    Further(FurtherLocation),
    /// Nobody knows what policies say, and why.
    Unknown(String),
}

/// The name of what stands for the places of policies that cannot be read.
const UNKNOWN_PLACES: &str = "further places";

/// Every place for a Backup's archives, its own first; `settings` is what the policies say of it. One that nobody can open
/// stands for what is not known, so that no archive passes for being everywhere.
#[must_use]
pub fn targets(backup: &Backup, settings: &Settings) -> Vec<Target> {
    let own = (Place::DEFAULT.to_owned(), Wanted::Own(backup.spec.storage_location.clone()));
    let further = settings.further_locations.iter();
    let further = further.map(|location| (location.name.clone(), Wanted::Further(location.clone())));
    let unknown = settings.unknown_locations.iter();
    let unknown = unknown.map(|why| (UNKNOWN_PLACES.to_owned(), Wanted::Unknown(why.clone())));
    let encryption = &settings.server_side_encryption;
    let target = |(name, wanted)| Target { name, wanted, encryption: encryption.clone() };
    std::iter::once(own).chain(further).chain(unknown).map(target).collect()
}

/// The targets that have the run's archive, verified, each with where it lies there, and those that do not.
#[must_use]
pub fn split<'a>(targets: &'a [Target], run: &BackupRun) -> (Vec<(&'a Target, String)>, Vec<&'a Target>) {
    let places = status_of(run).upload.unwrap_or_default().places;
    let verified = |target: &Target| places.iter().find(|place| place.name == target.name && place.is_verified());
    let (mut there, mut pending) = (Vec::new(), Vec::new());
    for target in targets {
        match verified(target) {
            Some(place) => there.push((target, place.location.clone())),
            None => pending.push(target),
        }
    }
    (there, pending)
}

impl Target {
    /// What two Backups share when one of their places is away: the host of the bucket, or the volume.
    #[must_use]
    pub fn site(&self) -> String {
        let of_bucket = |s3: &S3Location| format!("{}/{}", s3.endpoint.as_deref().unwrap_or_default(), s3.bucket_name);
        let (s3, volume) = match &self.wanted {
            Wanted::Own(location) => (location.as_ref().and_then(|location| location.s3.as_ref()), None),
            Wanted::Further(FurtherLocation { s3, local, name: _ }) => {
                (s3.as_ref(), local.as_ref().and_then(|local| local.volume.as_deref()))
            }
            Wanted::Unknown(_) => return UNKNOWN_PLACES.to_owned(),
        };
        s3.map_or_else(|| format!("the volume {:?}", volume.unwrap_or_default()), of_bucket)
    }

    /// Where it is, with the credentials that it names; a Secret without a namespace is in drover's own, `namespace`.
    ///
    /// # Errors
    /// When the Secret cannot be read, or the location cannot be used.
    pub async fn locate(
        &self,
        client: &Client,
        namespace: &str,
        options: &StorageOptions,
    ) -> Result<Location, Failure> {
        let location = match &self.wanted {
            Wanted::Own(location) => options.locate(client, namespace, location.as_ref()).await?,
            Wanted::Further(location) => options.locate_further(client, namespace, location).await?,
            Wanted::Unknown(why) => return Err(Failure::new(Exit::Usage, why.clone())),
        };
        Ok(location.encrypted(self.encryption.clone()))
    }

    /// Opens it; for the rest as [`Target::locate`].
    ///
    /// # Errors
    /// As [`Target::locate`], and when the service is away.
    pub async fn open(&self, client: &Client, namespace: &str, options: &StorageOptions) -> Result<Storage, Failure> {
        Ok(Storage::open(self.locate(client, namespace, options).await?).await?)
    }
}

#[cfg(test)]
mod tests {
    use crate::resources::{
        BackupRunSpec, BackupRunStatus, BackupSpec, LocalLocation, StageState, Trigger, TriggerKind, UploadStage,
    };

    use super::*;

    fn bucket(name: &str) -> S3Location {
        S3Location { bucket_name: name.into(), endpoint: Some("minio:9000".into()), ..S3Location::default() }
    }

    fn some() -> Vec<Target> {
        let location = StorageLocation { s3: Some(bucket("one")) };
        let backup = Backup::new("daily", BackupSpec { storage_location: Some(location), ..BackupSpec::default() });
        let far = FurtherLocation { name: "far".into(), s3: Some(bucket("two")), local: None };
        let local = LocalLocation { volume: Some("nas".into()) };
        let near = FurtherLocation { name: "near".into(), s3: None, local: Some(local) };
        targets(&backup, &Settings { further_locations: vec![far, near], ..Settings::default() })
    }

    #[test]
    fn own_place_comes_first_and_each_has_its_site() {
        let told: Vec<_> = some().iter().map(|target| (target.name.clone(), target.site())).collect();
        let told: Vec<_> = told.iter().map(|(name, site)| (name.as_str(), site.as_str())).collect();
        assert_eq!(told, [("default", "minio:9000/one"), ("far", "minio:9000/two"), ("near", "the volume \"nas\"")]);
        let plain = targets(&Backup::new("daily", BackupSpec::default()), &Settings::default());
        assert_eq!((plain.len(), plain[0].site().as_str()), (1, "the volume \"\""));
    }

    #[test]
    fn what_is_not_known_of_places_is_one_that_no_archive_is_at() {
        let settings = Settings { unknown_locations: Some("no definition".into()), ..Settings::default() };
        let targets = targets(&Backup::new("daily", BackupSpec::default()), &settings);
        assert_eq!(
            targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>(),
            ["default", "further places"]
        );
    }

    #[test]
    fn what_is_verified_is_not_stored_again() {
        let place = |name: &str, state| Place {
            name: name.into(),
            location: "s3://one/a".into(),
            verified_bytes: 0,
            state,
            verified_at: None,
            reason: None,
        };
        let places = vec![place("default", StageState::Completed), place("far", StageState::Failed)];
        let trigger = Trigger { kind: TriggerKind::Job, by: String::new(), job_uid: None, scheduled_for: None };
        let mut run = BackupRun::new(
            "daily-1",
            BackupRunSpec {
                backup: "daily".into(),
                backup_uid: String::new(),
                generation: 1,
                id: uuid::Uuid::nil(),
                number: 1,
                trigger,
                started_at: String::new(),
                filename: String::new(),
            },
        );
        let upload = UploadStage { places, ..UploadStage::default() };
        run.status = Some(BackupRunStatus { upload: Some(upload), ..BackupRunStatus::default() });
        let all = some();
        let (verified, pending) = split(&all, &run);
        let pending: Vec<_> = pending.iter().map(|target| target.name.as_str()).collect();
        assert_eq!(pending, ["far", "near"]);
        assert!(matches!(&verified[..], [(target, location)] if target.name == "default" && location == "s3://one/a"));
    }
}
