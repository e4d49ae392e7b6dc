//! What the services of a testbed do.

use std::time::Instant;

use aws_sdk_s3::primitives::ByteStream;
use drover_testbed::{Options, Part, Service, Testbed};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use serde_json::json;

use crate::{Outcome, wait};

#[tokio::test]
async fn everything_answers() -> Outcome {
    let started = Instant::now();
    let testbed = Testbed::start(Options::default()).await?;
    println!("ready after {:.1} s", started.elapsed().as_secs_f64());

    let namespaces = Api::<Namespace>::all(testbed.client().await?).list(&ListParams::default()).await?;
    assert!(namespaces.items.iter().any(|namespace| namespace.metadata.name.as_deref() == Some("kube-system")));

    let jetstream = async_nats::jetstream::new(testbed.nats().await?);
    assert_eq!(jetstream.query_account().await?.streams, 0);

    testbed.create_bucket("backups").await?;
    for s3 in [testbed.s3()?, testbed.s3_tls()?] {
        let buckets = s3.client()?.list_buckets().send().await?;
        assert_eq!(buckets.buckets()[0].name(), Some("backups"));
    }
    testbed.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn the_https_server_is_trusted_only_by_its_authority() -> Outcome {
    let testbed = Testbed::start(Options::only([Service::MinioTls])).await?;
    let mut s3 = testbed.s3_tls()?.clone();
    s3.client()?.list_buckets().send().await?;
    s3.ca_pem = None;
    assert!(s3.client()?.list_buckets().send().await.is_err());
    Ok(())
}

/// So the component `versitygw` makes its bucket: there is nobody who could ask the server for one.
#[tokio::test]
async fn a_folder_of_the_gateway_is_a_bucket() -> Outcome {
    let testbed = Testbed::start(Options::only([Service::Versitygw])).await?;
    let bucket = "made-as-a-folder";
    std::fs::create_dir(testbed.folder().join("versitygw/data").join(bucket))?;
    let client = testbed.s3_other()?.client()?;
    client.head_bucket().bucket(bucket).send().await?;
    let put = client.put_object().bucket(bucket).key("a/b").metadata("noted", "beside it");
    put.body(ByteStream::from_static(b"an archive")).send().await?;
    let object = client.get_object().bucket(bucket).key("a/b").send().await?;
    assert_eq!(object.metadata().and_then(|metadata| metadata.get("noted")).map(String::as_str), Some("beside it"));
    assert_eq!(object.body.collect().await?.to_vec(), b"an archive");
    let listed = client.list_objects_v2().bucket(bucket).prefix("a/").send().await?;
    assert_eq!(listed.contents().len(), 1);
    client.delete_object().bucket(bucket).key("a/b").send().await?;
    client.head_bucket().bucket(bucket).send().await?;
    Ok(())
}

#[tokio::test]
async fn the_controllers_make_a_pod_for_a_job() -> Outcome {
    let testbed = Testbed::start(Options::only([Service::Controllers])).await?;
    let client = testbed.client().await?;
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "work", "image": "work"}]}});
    let job: Job = serde_json::from_value(json!({"metadata": {"name": "work"}, "spec": {"template": template}}))?;
    Api::<Job>::default_namespaced(client.clone()).create(&PostParams::default(), &job).await?;
    let pods = Api::<Pod>::default_namespaced(client);
    let of_the_job = ListParams::default().labels("batch.kubernetes.io/job-name=work");
    wait::until("a pod is made", async || pods.list(&of_the_job).await.is_ok_and(|pods| pods.items.len() == 1)).await
}

#[tokio::test]
async fn two_testbeds_know_nothing_of_each_other() -> Outcome {
    let options = Options::only([Service::ControlPlane]);
    let (first, second) = tokio::try_join!(Testbed::start(options.clone()), Testbed::start(options))?;
    let created = Api::<Namespace>::all(first.client().await?);
    created.create(&PostParams::default(), &namespace("only-here")).await?;
    let there = Api::<Namespace>::all(second.client().await?).get_opt("only-here").await?;
    assert!(there.is_none());
    Ok(())
}

#[tokio::test]
async fn what_was_killed_starts_again_with_its_data() -> Outcome {
    let testbed = Testbed::start(Options::only([Service::Nats, Service::Minio])).await?;
    let config = async_nats::jetstream::stream::Config { name: "KEPT".into(), ..Default::default() };
    async_nats::jetstream::new(testbed.nats().await?).create_stream(config).await?;
    testbed.create_bucket("kept").await?;

    testbed.kill(Part::Nats).await?;
    testbed.stop(Part::Minio).await?;
    assert_eq!((testbed.pid(Part::Nats), testbed.pid(Part::Minio)), (None, None));
    assert!(testbed.nats().await.is_err());

    testbed.start_again(Part::Nats).await?;
    testbed.start_again(Part::Minio).await?;
    async_nats::jetstream::new(testbed.nats().await?).get_stream("KEPT").await?;
    testbed.s3()?.client()?.head_bucket().bucket("kept").send().await?;
    Ok(())
}

#[tokio::test]
async fn a_killed_control_plane_starts_again_with_its_objects() -> Outcome {
    let testbed = Testbed::start(Options::only([Service::ControlPlane])).await?;
    let namespaces = Api::<Namespace>::all(testbed.client().await?);
    namespaces.create(&PostParams::default(), &namespace("kept")).await?;
    for part in [Part::Etcd, Part::ApiServer] {
        testbed.kill(part).await?;
        testbed.start_again(part).await?;
    }
    namespaces.get("kept").await?;
    let error = testbed.start_again(Part::ApiServer).await.unwrap_err();
    assert_eq!(snafu::CleanedErrorText::new(&error).count(), 2, "{error:?}");
    assert!(testbed.pid(Part::ApiServer).is_some());
    Ok(())
}

#[tokio::test]
async fn the_audit_log_tells_who_asked_for_what() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("audit.log");
    let testbed = Testbed::start(Options::only([Service::ControlPlane]).audit_log(&path)).await?;
    testbed.kubectl(&["create", "namespace", "audited"]).await?;
    wait::until("the request is written down", async || {
        let log = std::fs::read_to_string(&path).unwrap_or_default();
        let requests = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut requests = requests.map(|request| (request["verb"].clone(), request["objectRef"]["name"].clone()));
        requests.any(|request| request == (json!("create"), json!("audited")))
    })
    .await
}

fn namespace(name: &str) -> Namespace {
    Namespace { metadata: ObjectMeta { name: Some(name.to_owned()), ..Default::default() }, ..Default::default() }
}

#[tokio::test]
async fn the_environment_names_only_what_was_started() -> Outcome {
    let testbed = Testbed::start(Options::only([Service::Nats])).await?;
    let environment = testbed.environment();
    assert_eq!(environment, [("NATS_URL".to_owned(), testbed.nats_url()?.to_owned())]);
    let error = testbed.kubeconfig().unwrap_err();
    assert_eq!(error.to_string(), r#"failed to find "kube-apiserver" in this testbed: add its service to the options"#);
    Ok(())
}

#[test]
fn a_testbed_outlives_the_runtime_that_started_it() -> Outcome {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let testbed = runtime()?.block_on(Testbed::start(Options::only([Service::Nats])))?;
    runtime()?.block_on(async {
        testbed.kill(Part::Nats).await?;
        testbed.start_again(Part::Nats).await
    })?;
    Ok(())
}
