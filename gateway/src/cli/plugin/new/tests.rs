//! What a new directory has in it, in each language.

use super::*;
use crate::cli::plugin::manifest::{FILE, Manifest};

#[test]
fn each_language_has_a_template_that_says_how_it_is_built() {
    for language in Language::ALL {
        let all = Template::all(language);
        assert!(!all.is_empty(), "{language:?}");
        for template in all {
            let dir = tempfile::tempdir().unwrap();
            for (path, bytes, is_script) in template.files("shop-team") {
                sdk::write(&dir.path().join(&path), &bytes, is_script).unwrap();
                let text = String::from_utf8(bytes).unwrap();
                for old in
                    ["my-plugin", "my_plugin", "MyPlugin", "keep-interesting", "KeepInteresting"]
                {
                    assert!(
                        !text.contains(old) && !path.contains(old),
                        "{language:?}: {path}: {old}"
                    );
                }
            }
            let manifest = Manifest::of(dir.path()).unwrap();
            assert_eq!(manifest.name, "shop-team");
            assert_eq!(manifest.language(), Ok(language));
            assert_eq!(manifest.world, template.world().name());
            assert!(dir.path().join(FILE).is_file());
        }
    }
}

#[test]
fn every_world_has_a_template_in_five_languages() {
    for language in [Language::Rust, Language::Go, Language::C, Language::Js, Language::Python] {
        let worlds: Vec<World> = Template::all(language).into_iter().map(Template::world).collect();
        assert_eq!(worlds, World::ALL, "{language:?}");
    }
}

#[test]
fn a_world_without_a_template_is_told_with_those_that_there_are() {
    let stop = chosen(Language::Zig, Some(World::Router)).unwrap_err();
    assert_eq!(stop.exit, Exit::Refused);
    assert!(
        stop.message.contains("router-plugin in zig; there is head-sampler-plugin"),
        "{stop:?}"
    );
}
