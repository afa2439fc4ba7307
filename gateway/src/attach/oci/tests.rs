//! What is read of manifests, and what is written into them.

use proptest::prelude::*;

use super::*;

fn manifest(
    change: impl FnOnce(&mut serde_json::Value),
) -> Result<(Descriptor, Option<String>), String> {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": Digest::of(b"{}").to_string(), "size": 2},
        "layers": [{"mediaType": LAYER, "digest": Digest::of(b"wasm").to_string(), "size": 4}],
        "annotations": {SIGNATURE: "c2ln"},
    });
    change(&mut manifest);
    layer_of(manifest.to_string().as_bytes())
}

#[test]
fn the_layer_and_the_signature_of_a_manifest_are_found() {
    let (layer, signature) = manifest(|_| {}).unwrap();
    assert_eq!(size_of(&layer), Ok((Digest::of(b"wasm"), 4)));
    assert_eq!(signature.as_deref(), Some("c2ln"));
    // Its media type may be told by the answer alone.
    assert!(manifest(|of| drop(of.as_object_mut().unwrap().remove("mediaType"))).is_ok());
}

#[test]
fn what_is_something_else_is_told() {
    type Change = fn(&mut serde_json::Value);
    let changes: [(Change, &str); 6] = [
        (|of| of["mediaType"] = "application/vnd.oci.image.index.v1+json".into(), "image.index"),
        (
            |of| of["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into(),
            "image.config",
        ),
        (
            |of| {
                of["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip".into();
            },
            "tar+gzip",
        ),
        (|of| of["layers"] = json!([]), "0 layers"),
        (|of| of["layers"] = json!([of["layers"][0], of["layers"][0]]), "2 layers"),
        (|of| of["schemaVersion"] = 1.into(), MANIFEST),
    ];
    for (change, told) in changes {
        let fault = manifest(change).unwrap_err();
        assert!(fault.contains(told), "{fault}");
    }
    let (mut layer, _) = manifest(|_| {}).unwrap();
    layer.size = u64::MAX;
    assert!(size_of(&layer).unwrap_err().contains("the limit"));
    layer.digest = "sha512:00".to_owned();
    assert!(size_of(&layer).unwrap_err().contains("sha256"));
}

#[test]
fn the_config_is_as_others_read_it() {
    let upload = Upload { bytes: b"wasm", interfaces: None, signature: None };
    assert_eq!(config_of(&upload)["os"], "wasip1");
    let named = |name: &str| vec![format!("a:b/{name}@0.1.0")];
    let interfaces = Some(Interfaces { imports: named("log"), exports: named("do") });
    let config = config_of(&Upload { interfaces, ..upload });
    assert_eq!(config["os"], "wasip2");
    assert_eq!(config["layerDigests"], json!([Digest::of(b"wasm").to_string()]));
    assert_eq!(config["component"]["imports"], json!(["a:b/log@0.1.0"]));
    assert_eq!(config["component"]["exports"], json!(["a:b/do@0.1.0"]));
}

proptest! {
    #[test]
    fn no_manifest_is_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(layer_of(&bytes).is_err());
    }
}
