//! Templates: what lies in `sdk/LANG/template`, and for other worlds with the source of an example in the place of its
//! own. What they are called there becomes what the new plugin is called.

use plugins::World;

use super::super::sdk::{FILES, Language};

/// Files of every plugin.
const BATCH: &[u8] = include_bytes!("batch.json");
const README: &str = include_str!("README.md");

/// Names that templates and examples have.
const NAMES: [&str; 2] = ["my-plugin", "keep-interesting"];

/// A template of one world in one language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template {
    language: Language,
    world: World,
    /// In the place of the template's own source: which, and by what.
    source: Option<(&'static str, &'static str)>,
    /// Files of the template that are of its own source.
    left_out: &'static [&'static str],
}

/// Where a language has its own `plugin.toml` no more than an example.
const ZIG: &str = r#"name = "my-plugin"
language = "zig"
world = "span-processor-plugin"
# Run in order, in this directory, by `traceweir plugin build`. {sdk} is the directory of the Zig SDK.
build = ["{sdk}/build-plugin SPAN_PROCESSOR plugin.zig build/my-plugin.wasm"]
artifact = "build/my-plugin.wasm"
"#;
const ASSEMBLYSCRIPT: &str = r#"name = "my-plugin"
language = "assemblyscript"
world = "span-processor-plugin"
# Run in order, in this directory, by `traceweir plugin build`. {sdk} is the directory of the AssemblyScript SDK.
build = ["{sdk}/build-plugin plugin.ts build/my-plugin.wasm"]
artifact = "build/my-plugin.wasm"
"#;

impl Template {
    /// Those of a language, the usual one first.
    pub(super) fn all(language: Language) -> Vec<Self> {
        let of = |world, source, left_out| Self { language, world, source, left_out };
        let sampler = |from, to, left_out| of(World::HeadSampler, Some((from, to)), left_out);
        let mut all = vec![of(World::SpanProcessor, None, &[][..])];
        all.push(match language {
            Language::Rust => sampler("examples/keep_interesting.rs", "src/lib.rs", &[]),
            Language::C => sampler("examples/keep_interesting.c", "plugin.c", &[]),
            Language::Go => {
                sampler("examples/keep-interesting/main.go", "main.go", &["main_test.go"])
            }
            Language::Js => {
                let from = "examples/keep-interesting/keep-interesting.js";
                sampler(from, "my-plugin.js", &["my-plugin.test.js"])
            }
            Language::Python => {
                let from = "examples/keep-interesting/keep_interesting.py";
                sampler(from, "my_plugin.py", &["test_my_plugin.py"])
            }
            Language::Zig => sampler("examples/keep_interesting.zig", "plugin.zig", &[]),
            Language::Assemblyscript => sampler("examples/keep_interesting.ts", "plugin.ts", &[]),
        });
        all.retain(Self::is_there);
        all
    }

    pub(super) const fn world(&self) -> World {
        self.world
    }

    fn is_there(&self) -> bool {
        let has = |path: &str| self.file(path).is_some();
        let is_built = self.manifest().is_some();
        is_built && self.source.map_or_else(|| has("template/plugin.toml"), |(from, _)| has(from))
    }

    /// A file of the SDK.
    fn file(&self, path: &str) -> Option<&'static [u8]> {
        let path = format!("sdk/{}/{path}", self.language.name());
        FILES.iter().find(|file| file.path == path).map(|file| file.bytes)
    }

    fn manifest(&self) -> Option<&'static [u8]> {
        let none: Option<&[u8]> = match self.language {
            Language::Zig => Some(ZIG.as_bytes()),
            Language::Assemblyscript => Some(ASSEMBLYSCRIPT.as_bytes()),
            _ => None,
        };
        self.file("template/plugin.toml").or(none)
    }

    /// Paths, bytes, and whether it is a script: all that a new plugin of this name has of its own.
    pub(super) fn files(&self, name: &str) -> Vec<(String, Vec<u8>, bool)> {
        let home = format!("sdk/{}/template/", self.language.name());
        let named = |text: &str| renamed(text, name);
        let mut files = Vec::new();
        for file in FILES {
            let Some(path) = file.path.strip_prefix(&home) else { continue };
            let is_replaced = self.source.is_some_and(|(_, to)| to == path);
            if !is_replaced && !self.left_out.contains(&path) && path != "plugin.toml" {
                files.push((named(path), self.adapted(path, file.bytes, name), file.is_script));
            }
        }
        if let Some((from, to)) = self.source {
            let bytes = self.file(from).unwrap_or_default();
            files.push((named(to), self.adapted(to, bytes, name), false));
        }
        let manifest = self.manifest().unwrap_or_default();
        let manifest = self.adapted("plugin.toml", manifest, name);
        files.push(("plugin.toml".to_owned(), manifest, false));
        let (language, needs) = (self.language.name(), self.language.needs());
        let readme = README.replace("{name}", name).replace("{language}", language);
        let readme = readme.replace("{needs}", needs).replace("{world}", self.world.name());
        files.push(("README.md".to_owned(), readme.into_bytes(), false));
        files.push(("fixtures/batch.json".to_owned(), BATCH.to_vec(), false));
        files.push(("fixtures/expected.txt".to_owned(), self.expected().to_vec(), false));
        files
    }

    /// What the template does to the batch.
    const fn expected(&self) -> &'static [u8] {
        match self.world {
            World::HeadSampler => include_bytes!("head-sampler.txt"),
            _ => include_bytes!("span-processor.txt"),
        }
    }

    /// A file as it has to be beside its SDK, and for its name and world.
    fn adapted(&self, path: &str, bytes: &[u8], name: &str) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
        let mut text = renamed(text, name);
        let sdk = format!("traceweir/sdk/{}", self.language.name());
        match (self.language, path) {
            (_, "plugin.toml") => {
                let world = self.world.name();
                let upper = world.trim_end_matches("-plugin").to_uppercase().replace('-', "_");
                text = text.replace("span-processor-plugin", world);
                text = text.replace("SPAN_PROCESSOR", &upper);
            }
            (_, ".gitignore") => text.push_str("/*.wasm\n"),
            (Language::Rust, "Cargo.toml") => {
                text = text.replace("path = \"..\"", &format!("path = \"{sdk}\""));
                // The SDK has a workspace of its own.
                text =
                    text.replace("\n[workspace]\n", "\n[workspace]\nexclude = [\"traceweir\"]\n");
            }
            (Language::Go, "go.mod") => {
                let module = "github.com/traceweir/traceweir/sdk/go";
                text.extend(["\nreplace ", module, " => ./", &sdk, "\n"]);
            }
            (Language::Js, "package.json") => {
                text = text.replace("file:..", &format!("file:./{sdk}"));
            }
            (Language::C, _) => text = text.replace("#include \"../", "#include \""),
            (Language::Assemblyscript, _) => {
                text = text.replace("from \"../", &format!("from \"./{sdk}/"));
            }
            _ => {}
        }
        text.into_bytes()
    }
}

/// A text with the new name in all its forms.
fn renamed(text: &str, name: &str) -> String {
    let mut text = text.to_owned();
    for old in NAMES {
        text = text.replace(old, name);
        text = text.replace(&old.replace('-', "_"), &name.replace('-', "_"));
        text = text.replace(&pascal(old), &pascal(name));
        text = text.replace(&capital(old), &capital(name));
    }
    text
}

/// `my-plugin` as `MyPlugin`.
fn pascal(name: &str) -> String {
    name.split('-').map(capital).collect()
}

/// `my-plugin` as `My-plugin`.
fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_every_form() {
        let text = "my-plugin my_plugin MyPlugin My-plugin KeepInteresting keep_interesting";
        let expected = "shop-team shop_team ShopTeam Shop-team ShopTeam shop_team";
        assert_eq!(renamed(text, "shop-team"), expected);
    }
}
