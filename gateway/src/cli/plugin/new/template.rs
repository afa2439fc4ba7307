//! Templates: what lies in `sdk/LANG/template`, and for other worlds with another source in the place of its own: one of
//! `template/worlds`, or an example. What they are called there becomes what the new plugin is called.

use plugins::World;

use super::super::sdk::{FILES, Language};
use super::fixtures::Fixtures;

const README: &str = include_str!("README.md");
/// What it says of plugins that take spans.
const CAPTURE: &str = " `traceweir plugin capture` fetches
real requests from a running gateway, masked, to test with.";

/// Names that templates and examples have.
const NAMES: [&str; 2] = ["my-plugin", "keep-interesting"];

/// A template of one world in one language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template {
    language: Language,
    world: World,
}

/// What of a template is of a span processor alone: its source, and the tests of that.
const fn own(language: Language) -> (&'static str, &'static [&'static str]) {
    match language {
        Language::Rust => ("src/lib.rs", &[]),
        Language::C => ("plugin.c", &[]),
        Language::Go => ("main.go", &["main_test.go"]),
        Language::Js => ("my-plugin.js", &["my-plugin.test.js"]),
        Language::Python => ("my_plugin.py", &["test_my_plugin.py"]),
        Language::Zig => ("plugin.zig", &[]),
        Language::Assemblyscript => ("plugin.ts", &[]),
    }
}

/// The example that is a head sampler.
const fn sampler(language: Language) -> &'static str {
    match language {
        Language::Rust => "examples/keep_interesting.rs",
        Language::C => "examples/keep_interesting.c",
        Language::Go => "examples/keep-interesting/main.go",
        Language::Js => "examples/keep-interesting/keep-interesting.js",
        Language::Python => "examples/keep-interesting/keep_interesting.py",
        Language::Zig => "examples/keep_interesting.zig",
        Language::Assemblyscript => "examples/keep_interesting.ts",
    }
}

/// Sources of other worlds, below a template.
const WORLDS: &str = "worlds/";

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
        let all = World::ALL.into_iter().map(|world| Self { language, world });
        all.filter(|template| template.is_there()).collect()
    }

    pub(super) const fn world(self) -> World {
        self.world
    }

    pub(super) const fn fixtures(self) -> Fixtures {
        Fixtures::of(self.world)
    }

    fn is_there(self) -> bool {
        self.manifest().is_some() && self.file(&self.source()).is_some()
    }

    /// Where its source is, in the SDK.
    fn source(self) -> String {
        let (own, _) = own(self.language);
        match self.world {
            World::SpanProcessor => format!("template/{own}"),
            World::HeadSampler => sampler(self.language).to_owned(),
            world => {
                let world = short(world);
                // A directory is a package of Go's.
                let name = match self.language {
                    Language::Go => format!("{world}/{own}"),
                    _ => format!("{world}.{}", own.rsplit('.').next().unwrap_or_default()),
                };
                format!("template/{WORLDS}{name}")
            }
        }
    }

    /// A file of the SDK.
    fn file(self, path: &str) -> Option<&'static [u8]> {
        let path = format!("sdk/{}/{path}", self.language.name());
        FILES.iter().find(|file| file.path == path).map(|file| file.bytes)
    }

    fn manifest(self) -> Option<&'static [u8]> {
        let none: Option<&[u8]> = match self.language {
            Language::Zig => Some(ZIG.as_bytes()),
            Language::Assemblyscript => Some(ASSEMBLYSCRIPT.as_bytes()),
            _ => None,
        };
        self.file("template/plugin.toml").or(none)
    }

    /// Paths, bytes, and whether it is a script: all that a new plugin of this name has of its own.
    pub(super) fn files(self, name: &str) -> Vec<(String, Vec<u8>, bool)> {
        let home = format!("sdk/{}/template/", self.language.name());
        let named = |text: &str| renamed(text, name);
        let (own, tests) = own(self.language);
        let has_tests = self.world == World::SpanProcessor;
        let mut files = Vec::new();
        for file in FILES {
            let Some(path) = file.path.strip_prefix(&home) else { continue };
            let is_test = tests.contains(&path) && !has_tests;
            let is_made = path == own || path == "plugin.toml" || path.starts_with(WORLDS);
            if !is_test && !is_made {
                files.push((named(path), self.adapted(path, file.bytes, name), file.is_script));
            }
        }
        for (path, bytes) in [(own, self.file(&self.source())), ("plugin.toml", self.manifest())] {
            let bytes = self.adapted(path, bytes.unwrap_or_default(), name);
            files.push((named(path), bytes, false));
        }
        files.push(("README.md".to_owned(), self.readme(name).into_bytes(), false));
        for (file, bytes) in self.fixtures().files {
            files.push((format!("fixtures/{file}"), bytes.to_vec(), false));
        }
        files
    }

    fn readme(self, name: &str) -> String {
        let Fixtures { given, takes_spans, attach, .. } = self.fixtures();
        let bench = format!("traceweir plugin bench {{name}}.wasm {given}\n");
        let [bench, capture] = if takes_spans { [&*bench, CAPTURE] } else { ["", ""] };
        let parts = [
            ("{given}", given),
            ("{bench}", bench),
            ("{capture}", capture),
            ("{attach}", attach),
            ("{language}", self.language.name()),
            ("{needs}", self.language.needs()),
            ("{world}", self.world.name()),
            ("{name}", name),
        ];
        parts.into_iter().fold(README.to_owned(), |text, (part, by)| text.replace(part, by))
    }

    /// A file as it has to be beside its SDK, and for its name and world.
    fn adapted(self, path: &str, bytes: &[u8], name: &str) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
        let mut text = renamed(text, name);
        let sdk = format!("traceweir/sdk/{}", self.language.name());
        match (self.language, path) {
            (_, "plugin.toml") => {
                text = text.replace("span-processor-plugin", self.world.name());
                // As the C SDK calls them.
                let upper = self.world.interface().to_uppercase().replace('-', "_");
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

/// A world as files are called.
fn short(world: World) -> &'static str {
    world.name().trim_end_matches("-plugin")
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
