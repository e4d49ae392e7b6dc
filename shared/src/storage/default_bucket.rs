//! The bucket of archives that name none, as the chart of the Rancher backup operator writes it: a Secret whose keys are the
//! members of `storageLocation.s3`, each as text.

use snafu::{OptionExt, ResultExt, Snafu};

use crate::cluster::SecretData;
use crate::exit::{Exit, Fault};
use crate::resources::{ClientConfig, S3Location};

/// The Secret's name, as the chart makes it.
pub const CHARTS_SECRET: &str = "rancher-backup-s3";

/// Why the Secret names no bucket.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum DefaultBucketError {
    #[snafu(display(
        "failed to find `bucketName` in the Secret {secret:?}; it names the bucket of the default location"
    ))]
    FindBucket { secret: String },
    #[snafu(display("failed to read `{key}` in the Secret {secret:?}: it is not plain text"))]
    ReadText { secret: String, key: &'static str, source: std::str::Utf8Error },
    #[snafu(display("failed to read `insecureTLSSkipVerify` in the Secret {secret:?}; write \"true\" or \"false\""))]
    ReadSwitch { secret: String, source: std::str::ParseBoolError },
    #[snafu(display(
        "failed to read `clientConfig` in the Secret {secret:?}; write it as in `storageLocation.s3` of a Backup"
    ))]
    ReadClientConfig {
        secret: String,
        #[snafu(source(from(serde_saphyr::Error, Box::new)))]
        source: Box<serde_saphyr::Error>,
    },
}

impl Fault for DefaultBucketError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// The bucket that the `data` of the Secret `secret` names.
pub(super) fn read(secret: &str, data: &SecretData) -> Result<S3Location, DefaultBucketError> {
    let text = |key: &'static str| match data.get(key) {
        Some(value) => {
            let text = std::str::from_utf8(value.0.trim_ascii()).context(ReadTextSnafu { secret, key })?;
            Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
        }
        None => Ok(None),
    };
    let switch = text("insecureTLSSkipVerify")?.map(|text| text.parse().context(ReadSwitchSnafu { secret }));
    let client = text("clientConfig")?.map(|text| client_config(secret, &text));
    Ok(S3Location {
        bucket_name: text("bucketName")?.context(FindBucketSnafu { secret })?,
        endpoint: text("endpoint")?,
        endpoint_ca: text("endpointCA")?,
        insecure_tls_skip_verify: switch.transpose()?,
        credential_secret_name: text("credentialSecretName")?,
        credential_secret_namespace: text("credentialSecretNamespace")?,
        region: text("region")?,
        folder: text("folder")?,
        client_config: client.transpose()?,
    })
}

/// Namespace and name of the Secret with credentials that such a Secret names, where it names one; whether it names a bucket
/// too is all one. What is not plain text is the name of nothing.
#[must_use]
pub fn credential_secret(data: &SecretData, own: &str) -> Option<(String, String)> {
    let text = |key: &str| Some(std::str::from_utf8(data.get(key)?.0.trim_ascii()).ok()?.to_owned());
    let s3 = S3Location {
        credential_secret_name: text("credentialSecretName"),
        credential_secret_namespace: text("credentialSecretNamespace"),
        ..S3Location::default()
    };
    s3.credential_secret(own).map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
}

fn client_config(secret: &str, text: &str) -> Result<ClientConfig, DefaultBucketError> {
    serde_saphyr::from_str(text).context(ReadClientConfigSnafu { secret })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;
    use crate::resources::BucketLookup;

    fn data(keys: &[(&str, &str)]) -> SecretData {
        keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect()
    }

    fn read_of(keys: &[(&str, &str)]) -> Result<S3Location, DefaultBucketError> {
        read(CHARTS_SECRET, &data(keys))
    }

    #[test]
    fn the_secret_with_the_credentials_is_known_whatever_else_is_wrong() {
        for (keys, expected) in [
            ([("credentialSecretName", "keys\n"), ("bucketName", "")].as_slice(), Some(("home", "keys"))),
            (&[("credentialSecretName", "keys"), ("credentialSecretNamespace", "vault")], Some(("vault", "keys"))),
            (&[("credentialSecretName", ""), ("credentialSecretNamespace", "vault")], None),
            (&[("bucketName", "backups")], None),
        ] {
            let expected = expected.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
            assert_eq!(credential_secret(&data(keys), "home"), expected, "{keys:?}");
        }
        let garbled = [("credentialSecretName".to_owned(), ByteString(vec![0xff]))].into();
        assert_eq!(credential_secret(&garbled, "home"), None);
    }

    #[test]
    fn every_key_of_the_chart_is_taken() {
        let found = read_of(&[
            ("bucketName", "backups"),
            ("endpoint", "minio.example.com:9000"),
            ("endpointCA", "LS0t\n"),
            ("insecureTLSSkipVerify", "true"),
            ("credentialSecretName", "keys"),
            ("credentialSecretNamespace", "default"),
            ("region", "eu-central-1"),
            ("folder", "rancher"),
            ("clientConfig", "aws:\n  dualStack: false\nbucketLookup: path\n"),
        ]);
        let found = found.unwrap();
        let client = found.client_config.clone().unwrap();
        assert_eq!((client.aws.unwrap().dual_stack, client.bucket_lookup), (false, Some(BucketLookup::Path)));
        let expected = S3Location {
            bucket_name: "backups".to_owned(),
            endpoint: Some("minio.example.com:9000".to_owned()),
            endpoint_ca: Some("LS0t".to_owned()),
            insecure_tls_skip_verify: Some(true),
            credential_secret_name: Some("keys".to_owned()),
            credential_secret_namespace: Some("default".to_owned()),
            region: Some("eu-central-1".to_owned()),
            folder: Some("rancher".to_owned()),
            client_config: found.client_config.clone(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn empty_keys_are_as_missing_ones() {
        let found = read_of(&[("bucketName", "backups"), ("endpoint", ""), ("insecureTLSSkipVerify", "")]).unwrap();
        assert_eq!(found, S3Location { bucket_name: "backups".to_owned(), ..S3Location::default() });
    }

    #[test]
    fn what_names_no_bucket_is_refused() {
        for (keys, said) in [
            ([("folder", "a")].as_slice(), "bucketName"),
            (&[("bucketName", " ")], "bucketName"),
            (&[("bucketName", "backups"), ("insecureTLSSkipVerify", "yes")], "\"true\" or \"false\""),
            (&[("bucketName", "backups"), ("clientConfig", "aws: [")], "clientConfig"),
        ] {
            let error = read_of(keys).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert_eq!(error.exit(), Exit::Usage);
        }
    }
}
