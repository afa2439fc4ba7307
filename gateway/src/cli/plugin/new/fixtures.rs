//! What a new plugin is tried with, by its world, and how it is attached.

use plugins::World;

/// A file below `fixtures/`, and its bytes.
type File = (&'static str, &'static [u8]);

const BATCH: File = ("batch.json", include_bytes!("fixtures/batch.json"));

/// What belongs to a world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixtures {
    /// What it is tried with, and `expected.txt`, what has to come out.
    pub(super) files: &'static [File],
    /// How commands are told of it.
    pub(super) given: &'static str,
    /// Whether it can be measured: it is called with spans.
    pub(super) takes_spans: bool,
    /// How it comes to work, for people; `{name}` is what it is called.
    pub(super) attach: &'static str,
}

impl Fixtures {
    pub(super) const fn of(world: World) -> Self {
        match world {
            World::SpanProcessor => Self {
                files: &[BATCH, ("expected.txt", include_bytes!("fixtures/span-processor.txt"))],
                given: "--batches fixtures/batch.json",
                takes_spans: true,
                attach: CHAIN,
            },
            World::HeadSampler => Self {
                files: &[BATCH, ("expected.txt", include_bytes!("fixtures/head-sampler.txt"))],
                given: "--batches fixtures/batch.json",
                takes_spans: true,
                attach: CHAIN,
            },
            World::TailSampler => Self {
                files: &[BATCH, ("expected.txt", include_bytes!("fixtures/tail-sampler.txt"))],
                given: "--batches fixtures/batch.json",
                takes_spans: true,
                attach: "Gateways of this version do not call tail samplers; `test` shows what one decides.",
            },
            World::Router => Self {
                files: &[
                    BATCH,
                    ("config.json", include_bytes!("fixtures/router.json")),
                    ("expected.txt", include_bytes!("fixtures/router.txt")),
                ],
                given: "--config fixtures/config.json --batches fixtures/batch.json",
                takes_spans: true,
                attach: ROUTER,
            },
            World::Authenticator => Self {
                files: &[
                    ("requests.json", include_bytes!("fixtures/requests.json")),
                    ("config.json", include_bytes!("fixtures/authenticator.json")),
                    ("expected.txt", include_bytes!("fixtures/authenticator.txt")),
                ],
                given: "--config fixtures/config.json --requests fixtures/requests.json",
                takes_spans: false,
                attach: AUTHENTICATOR,
            },
            World::TableRefresher => Self {
                files: &[
                    ("answers.json", include_bytes!("fixtures/answers.json")),
                    ("config.json", include_bytes!("fixtures/refresher.json")),
                    ("expected.txt", include_bytes!("fixtures/refresher.txt")),
                ],
                given: "--config fixtures/config.json --answers fixtures/answers.json",
                takes_spans: false,
                attach: REFRESHER,
            },
        }
    }
}

const CHAIN: &str = r#"Define it in the file of `plugins.file`, and attach it to a tenant in the overrides (`ingestion.plugins`):

```yaml
plugins:
  {name}: {source: "file:/etc/traceweir/{name}.wasm", config: {}}
```"#;
const ROUTER: &str = r#"Define it in the file of `plugins.file`, and name it in the overrides of whoever sends (`ingestion.router: {name}`):

```yaml
plugins:
  {name}: {source: "file:/etc/traceweir/{name}.wasm", config: {tenants: {checkout: team-checkout}}}
```"#;
const AUTHENTICATOR: &str = r#"Define it in the file of `plugins.file`, and name it in the configuration, with the headers that it is to see:

```yaml
plugins:
  {name}: {source: "file:/etc/traceweir/{name}.wasm", config: {keys: {one: shop}}}
```

```yaml
auth:
  plugins: [{plugin: {name}, headers: [x-api-key]}]
```"#;
const REFRESHER: &str = r#"Define it in the file of `plugins.file`, with the hosts that it may ask, and the table that it makes:

```yaml
plugins:
  {name}:
    source: "file:/etc/traceweir/{name}.wasm"
    config: {url: "https://teams.example/teams.txt"}
    refresher: {hosts: [teams.example]}
tables:
  teams: {plugin: {name}}
```"#;
