use drover::selection::{Discovery, discover};
use kube::Client;

/// What a cluster serves, in every API version that it names.
pub async fn discover_all(client: &Client) -> Discovery {
    let core = client.list_core_api_versions().await.unwrap().versions;
    let groups = client.list_api_groups().await.unwrap().groups;
    let versions = groups.into_iter().flat_map(|group| group.versions).map(|version| version.group_version);
    let versions: Vec<_> = core.into_iter().chain(versions).collect();
    discover(client, versions.iter().map(String::as_str)).await.unwrap()
}
