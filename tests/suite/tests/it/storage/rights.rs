//! What credentials may and may not do: the policies of docs/storage.md, and the error for each permission that is missing.

use drover::resources::S3Location;
use drover_testbed::S3;
use serde_json::{Value, json};

use super::child::{self, Done};
use super::{BUCKET, open, place, store, testbed};

/// Does steps with credentials that may do what the policy says, as a pod has them in its environment.
pub(super) async fn run_with(s3: &S3, location: &S3Location, policy: &str, steps: &[Value]) -> Done {
    let session = s3.session(policy).await.unwrap_or_else(|error| panic!("{error:?}\n{policy}"));
    let environment = [
        ("AWS_ACCESS_KEY_ID", session.access_key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", &session.secret_key),
        ("AWS_SESSION_TOKEN", &session.token),
    ];
    let location = S3Location { credential_secret_name: None, ..location.clone() };
    child::run(&child::bucket(&location, None), steps, &environment).await
}

/// The policy of this name in the document, for the bucket and the folder of a test.
fn policy(name: &str, folder: &str) -> String {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/storage.md");
    let document = std::fs::read_to_string(document).unwrap();
    let (_, rest) = document.split_once(&format!("<!-- policy: {name} -->")).unwrap();
    let (policy, _) = rest.split_once("```json").unwrap().1.split_once("```").unwrap();
    policy.replace("my-rancher-backups", BUCKET).replace("rancher/", &format!("{folder}/"))
}

fn texts(done: &Done) -> Vec<(u64, &str)> {
    done.outcomes.iter().map(|outcome| (outcome.code, outcome.text.as_str())).collect()
}

#[tokio::test]
async fn the_documented_policy_of_each_job_is_enough_for_it() {
    let s3 = testbed().await.s3().unwrap();
    let folder = "policies";
    let location = place(s3, folder);
    let upload = [
        json!(["store", "a.tar.gz", 1000]),
        json!(["store", "b.tar.gz", 6 << 20]),
        json!(["store", "a.tar.gz", 1000]),
        json!(["label", "a.tar.gz"]),
        json!(["tidy"]),
    ];
    let done = run_with(s3, &location, &policy("upload", folder), &upload).await;
    let said = texts(&done);
    assert_eq!((said[0], said[1], said[2]), ((0, "stored"), (0, "stored"), (0, "already there")), "{done:?}");
    assert!(said[3].1.contains("objects: Some(700)") && said[4] == (0, "0"), "{done:?}");
    let restore = [json!(["list"]), json!(["fetch", "b.tar.gz"]), json!(["fetch", "c.tar.gz"])];
    let done = run_with(s3, &location, &policy("restore", folder), &restore).await;
    assert_eq!((texts(&done)[0], texts(&done)[1].0), ((0, "a.tar.gz,b.tar.gz"), 0), "{done:?}");
    assert!(texts(&done)[2].1.contains("the nearest there: \"a.tar.gz\""), "{done:?}");
    let prune = [json!(["list"]), json!(["label", "a.tar.gz"]), json!(["tidy"]), json!(["remove", "a.tar.gz"])];
    let done = run_with(s3, &location, &policy("retention-prune", folder), &prune).await;
    assert!(texts(&done).iter().all(|(code, _)| *code == 0), "{done:?}");
    assert_eq!(texts(&done)[3].1, "removed");
}

#[tokio::test]
async fn the_documented_policies_let_nobody_do_more() {
    let s3 = testbed().await.s3().unwrap();
    let location = place(s3, "policies-more");
    store(&open(s3, &location).await, "a.tar.gz", 7).await;
    let elsewhere = place(s3, "policies-elsewhere");
    store(&open(s3, &elsewhere).await, "a.tar.gz", 7).await;
    let table = [
        ("restore", json!(["store", "b.tar.gz", 7]), "s3:PutObject"),
        ("restore", json!(["remove", "a.tar.gz"]), "s3:DeleteObject"),
        ("retention-prune", json!(["store", "b.tar.gz", 7]), "s3:PutObject"),
    ];
    for (name, step, permission) in table {
        let done = run_with(s3, &location, &policy(name, "policies-more"), &[step]).await;
        assert!(texts(&done)[0].1.contains(permission), "{done:?}");
    }
    for name in ["upload", "restore", "retention-prune"] {
        let steps = [json!(["fetch", "a.tar.gz"])];
        let done = run_with(s3, &elsewhere, &policy(name, "policies-more"), &steps).await;
        assert!(texts(&done)[0].0 == 64 && texts(&done)[0].1.contains("s3:GetObject"), "{name} {done:?}");
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    let s3 = testbed().await.s3().unwrap();
    let location = place(s3, "rights");
    store(&open(s3, &location).await, "a.tar.gz", 7).await;
    let table = [
        ("s3:ListBucket", json!(["list"]), 64),
        ("s3:GetObject", json!(["fetch", "a.tar.gz"]), 64),
        ("s3:PutObject", json!(["store", "b.tar.gz", 7]), 64),
        ("s3:PutObject", json!(["store", "c.tar.gz", 6 << 20]), 64),
        ("s3:DeleteObject", json!(["remove", "a.tar.gz"]), 0),
        ("s3:ListBucketMultipartUploads", json!(["tidy"]), 64),
    ];
    for (permission, step, code) in table {
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]},
            {"Effect": "Deny", "Action": [permission], "Resource": ["arn:aws:s3:::*"]},
        ]});
        let done = run_with(s3, &location, &policy.to_string(), &[step]).await;
        println!("{}", done.outcomes[0].text);
        assert_eq!(done.outcomes[0].code, code, "{permission} {done:?}");
        assert!(done.outcomes[0].text.contains(permission), "{permission} {done:?}");
    }
}

/// The bucket policy that the guide to backups of Rancher recommends, as the document has it.
#[tokio::test]
async fn a_policy_that_denies_deleting_keeps_archives_and_stops_nothing() {
    let s3 = testbed().await.s3().unwrap();
    let location = place(s3, "deny-delete");
    let mut denying: Value = serde_json::from_str(&policy("deny-delete", "deny-delete")).unwrap();
    let statement = denying["Statement"][0].as_object_mut().unwrap();
    // MinIO gives these credentials their policy by themselves, and knows no roles.
    statement.remove("Principal");
    statement.remove("Condition");
    let allow = json!({"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]});
    denying["Statement"].as_array_mut().unwrap().push(allow);
    let steps = [
        json!(["store", "a.tar.gz", 1000]),
        json!(["remove", "a.tar.gz"]),
        json!(["list"]),
        json!(["store", "b.tar.gz", 2000]),
    ];
    let done = run_with(s3, &location, &denying.to_string(), &steps).await;
    let kept = "retained: the bucket's policy does not let these credentials delete (s3:DeleteObject)";
    assert_eq!(texts(&done), [(0, "stored"), (0, kept), (0, "a.tar.gz"), (0, "stored")]);
}

/// Where nothing may be deleted, a bad copy is marked, and a good one of the same name takes the mark away.
#[tokio::test]
async fn a_bad_copy_that_cannot_be_removed_is_marked_until_a_good_one_is_stored() {
    let s3 = testbed().await.s3().unwrap();
    let location = place(s3, "marked");
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]},
        {"Effect": "Deny", "Action": ["s3:DeleteObject"], "Resource": ["arn:aws:s3:::*"]},
    ]});
    // In parts, the service does not know the digest of the whole.
    let steps = [
        json!(["store-bad", "a.tar.gz", 6 << 20]),
        json!(["fetch", "a.tar.gz"]),
        json!(["store", "a.tar.gz", 6 << 20]),
        json!(["fetch", "a.tar.gz"]),
        json!(["list"]),
    ];
    let done = run_with(s3, &location, &policy.to_string(), &steps).await;
    let said = texts(&done);
    assert!(said[0].0 == 65 && said[0].1.contains("is marked as bad"), "{done:?}");
    assert!(said[1].0 == 65 && said[1].1.contains("\"a.tar.gz.bad\""), "{done:?}");
    assert_eq!((said[2].0, said[3].0, said[4]), (0, 0, (0, "a.tar.gz")), "{done:?}");
}
