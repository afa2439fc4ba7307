//! Small guests in WAT for tests: each does one thing, mostly one that no guest should.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::missing_panics_doc,
    reason = "for tests alone"
)]

use std::fmt::Write as _;

/// A guest by what its functions do: WAT bodies. Defaults do the least that the contract asks for.
#[derive(Clone, Debug)]
pub struct Guest {
    /// What the interface is called that makes it what it is, and its function.
    pub role: (&'static str, &'static str),
    /// Imports: WAT of them.
    pub imports: String,
    /// Runs before `describe` answers.
    pub describe: String,
    /// Runs before `configure` answers.
    pub configure: String,
    /// Whether `configure` says that the configuration is wrong.
    pub refuses: bool,
    /// What `process` takes: a batch, where and how long.
    pub params: &'static str,
    /// Runs in `process`; leaves on the stack where the result stands.
    pub process: String,
    /// Bytes that it answers where `process` is not changed.
    pub answer: Vec<u8>,
    /// Reads, writes: fields as [`field`] writes them.
    pub reads: Vec<[u32; 5]>,
    /// The same.
    pub writes: Vec<[u32; 5]>,
    /// More functions and globals.
    pub extra: String,
    /// Tenants that a router may name.
    pub routes: Vec<&'static str>,
    /// Its name.
    pub name: &'static str,
    /// The JSON Schema that it tells.
    pub schema: String,
}

/// Where the result of `process` stands, where it is not changed.
pub const RESULT_AT: u32 = 256;
const INFO_AT: u32 = 64;
const CONFIGURED_AT: u32 = 128;
const ROUTES_AT: u32 = 512;
const FIELDS_AT: u32 = 4_096;
/// Texts and answers begin here.
const DATA_AT: u32 = 8_192;
/// What is allocated begins here.
const HEAP_AT: u32 = 1 << 20;

impl Default for Guest {
    fn default() -> Self {
        Self {
            role: ("span-processor", "process"),
            imports: String::new(),
            describe: String::new(),
            configure: String::new(),
            refuses: false,
            params: "(param $at i32) (param $len i32)",
            process: format!("(i32.const {RESULT_AT})"),
            answer: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            extra: String::new(),
            routes: Vec::new(),
            name: "guest",
            schema: String::new(),
        }
    }
}

/// An intrinsic field, by its number from 1.
#[must_use]
pub const fn intrinsic(number: u32) -> [u32; 5] {
    [0, number - 1, 0, 0, 0]
}

/// Bytes as a WAT string.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").unwrap();
        text
    })
}

fn words(words: &[u32]) -> String {
    escaped(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>())
}

impl Guest {
    /// The text.
    #[must_use]
    pub fn wat(&self) -> String {
        let package = |name: &str| format!("traceweir:plugin/{name}@0.1.0");
        let (interface, function) = self.role;
        let mut data = String::new();
        let mut at = DATA_AT;
        let mut put = |bytes: &[u8]| {
            writeln!(data, "(data (i32.const {at}) \"{}\")", escaped(bytes)).unwrap();
            let here = [at, u32::try_from(bytes.len()).unwrap()];
            at += u32::try_from(bytes.len()).unwrap().next_multiple_of(8) + 8;
            here
        };
        let texts = [self.name, "1.0", "for tests", &self.schema].map(|text| put(text.as_bytes()));
        let answer = put(&self.answer);
        let refusal = [put(b"$.wrong"), put(b"it is wrong")];
        let routes: Vec<u32> =
            self.routes.iter().flat_map(|tenant| put(tenant.as_bytes())).collect();
        let routes = [
            put(routes.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>().as_slice())
                [0],
            self.routes.len() as u32,
        ];
        assert!(at < HEAP_AT, "too much data");
        let (reads, writes) = (self.reads.len() as u32, self.writes.len() as u32);
        let fields: Vec<u32> = self.reads.iter().chain(&self.writes).flatten().copied().collect();
        let configured = if self.refuses {
            [&[1][..], refusal.as_flattened()].concat()
        } else {
            vec![0, FIELDS_AT, reads, FIELDS_AT + 20 * reads, writes, 0, 0, 0, 0, 0]
        };
        let info = [texts.as_flattened(), &[1]].concat();
        let result = [&[0][..], &answer].concat();
        let more = |name: &str, value: u32| {
            let name = format!("{}#{name}", package(interface));
            format!("(func (export \"{name}\") (result i32) (i32.const {value}))")
        };
        let level = match interface {
            "tail-sampler" => more("level", 1),
            "refresher" => more("interval-seconds", 60),
            "router" => more("routes", ROUTES_AT),
            _ => String::new(),
        };
        format!(
            r#"(module {imports}
            (memory (export "memory") 17)
            (global $top (mut i32) (i32.const {HEAP_AT}))
            {extra}
            {data}
            (data (i32.const {INFO_AT}) "{info}")
            (data (i32.const {CONFIGURED_AT}) "{configured}")
            (data (i32.const {RESULT_AT}) "{result}")
            (data (i32.const {ROUTES_AT}) "{routes}")
            (data (i32.const {FIELDS_AT}) "{fields}")
            (func (export "cabi_realloc") (param $old i32) (param $was i32) (param $align i32) (param $size i32) (result i32)
              (local $at i32)
              (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
              (global.set $top (i32.add (local.get $at) (local.get $size)))
              (if (i32.gt_u (global.get $top) (i32.mul (memory.size) (i32.const 65536)))
                (then (if (i32.eq (memory.grow (i32.add (i32.const 1)
                    (i32.shr_u (local.get $size) (i32.const 16)))) (i32.const -1)) (then unreachable))))
              (local.get $at))
            (func (export "{lifecycle}#describe") (result i32) {describe} (i32.const {INFO_AT}))
            (func (export "{lifecycle}#configure") (param i32 i32) (result i32) {configure} (i32.const {CONFIGURED_AT}))
            {level}
            (func (export "{role}#{function}") {params} (result i32) {process})
            (func (export "cabi_post_{role}#{function}") (param i32) (global.set $top (i32.const {HEAP_AT})))
            )"#,
            imports = self.imports,
            extra = self.extra,
            info = words(&info),
            configured = words(&configured),
            result = words(&result),
            routes = words(&routes),
            fields = words(&fields),
            lifecycle = package("lifecycle"),
            describe = self.describe,
            configure = self.configure,
            role = package(interface),
            params = if interface == "refresher" { "" } else { self.params },
            process = self.process,
        )
    }

    /// The core module.
    #[must_use]
    pub fn module(&self) -> Vec<u8> {
        wat::parse_str(self.wat()).unwrap()
    }
}

/// `process` that answers so many bytes from an address, whatever is there.
#[must_use]
pub fn answers(at: u32, len: u32) -> String {
    format!(
        "(i32.store (i32.const {RESULT_AT}) (i32.const 0))
         (i32.store (i32.const {}) (i32.const {at}))
         (i32.store (i32.const {}) (i32.const {len}))
         (i32.const {RESULT_AT})",
        RESULT_AT + 4,
        RESULT_AT + 8
    )
}

/// A router that names these tenants, and answers so for whatever comes.
#[must_use]
pub fn router(routes: &[&'static str], answer: &[u16]) -> Guest {
    Guest {
        role: ("router", "route"),
        routes: routes.to_vec(),
        answer: answer.iter().flat_map(|number| number.to_le_bytes()).collect(),
        reads: vec![intrinsic(1)],
        ..Guest::default()
    }
}

/// An authenticator: whose first header begins with `g` is an operator of tenant `shop` for a minute, with `d` denied
/// (403) for ten seconds, with `t` a tenant that there cannot be; with anything else it traps.
#[must_use]
pub fn authenticator() -> Guest {
    const TENANT_AT: u32 = 768;
    let store = |at: u32, word: u32| format!("(i32.store (i32.const {at}) (i32.const {word}))");
    let known = |name: u32, len: u32| {
        let words = [
            (RESULT_AT, 0),
            // The one tenant, and the one permission: `admin`.
            (TENANT_AT, name),
            (TENANT_AT + 4, len),
            (TENANT_AT + 8, 2),
            (RESULT_AT + 4, TENANT_AT),
            (RESULT_AT + 8, 1),
            (RESULT_AT + 12, TENANT_AT + 8),
            (RESULT_AT + 16, 1),
            (RESULT_AT + 24, 0),
            (RESULT_AT + 32, 0),
            (RESULT_AT + 36, 60),
        ];
        words.map(|(at, word)| store(at, word)).concat()
    };
    let denied = [(RESULT_AT, 1), (RESULT_AT + 4, 403), (RESULT_AT + 8, 800), (RESULT_AT + 12, 4)]
        .map(|(at, word)| store(at, word))
        .concat()
        + &store(RESULT_AT + 16, 10);
    let (good, wrong) = (known(784, 4), known(788, 3));
    Guest {
        role: ("authenticator", "authenticate"),
        params: "(param i32 i32 i32 i32 i32 i32) (param $headers i32) (param i32 i32 i32 i32 i32 i32)",
        extra: "(data (i32.const 784) \"shopa/b\") (data (i32.const 800) \"away\")".to_owned(),
        process: format!(
            "(local $first i32)
             (local.set $first (i32.load8_u (i32.load offset=8 (local.get $headers))))
             (if (i32.eq (local.get $first) (i32.const 103)) (then {good})
               (else (if (i32.eq (local.get $first) (i32.const 100)) (then {denied})
                 (else (if (i32.eq (local.get $first) (i32.const 116)) (then {wrong})
                   (else unreachable))))))
             (i32.const {RESULT_AT})"
        ),
        ..Guest::default()
    }
}
