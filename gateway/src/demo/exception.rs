//! Exceptions: types, messages and stack traces that look like those of each language.

use super::catalog::Language;
use super::random::Random;
use super::value;

/// How many different stacks each language has.
const STACKS: usize = 48;

/// One exception, borrowed from the buffers of [`Exceptions`].
#[derive(Debug)]
pub(super) struct Exception<'a> {
    pub(super) kind: &'static str,
    pub(super) message: &'a [u8],
    pub(super) stack: &'a [u8],
}

/// Draws exceptions. Frames repeat, as those of real programs do; messages name an order.
#[derive(Debug)]
pub(super) struct Exceptions {
    stacks: Vec<(Language, Vec<Vec<u8>>)>,
    message: Vec<u8>,
    stack: Vec<u8>,
    last: &'static str,
}

const LANGUAGES: [Language; 8] = [
    Language::Cpp,
    Language::Dotnet,
    Language::Go,
    Language::Java,
    Language::Node,
    Language::Php,
    Language::Python,
    Language::Rust,
];

impl Exceptions {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0xe4ce);
        let stacks = LANGUAGES.map(|language| {
            (language, (0..STACKS).map(|_| frames(&mut random, language)).collect())
        });
        Self { stacks: stacks.into(), message: Vec::new(), stack: Vec::new(), last: MESSAGES[0] }
    }

    /// Draws an exception of a program in the language that works on the order.
    pub(super) fn draw(
        &mut self,
        random: &mut Random,
        language: Language,
        order: &[u8],
    ) -> Exception<'_> {
        let kind = random.pick(kinds(language));
        self.last = random.pick(&MESSAGES);
        self.message.clear();
        self.message.extend_from_slice(self.last.as_bytes());
        self.message.extend_from_slice(b" for ");
        self.message.extend_from_slice(order);
        self.message.extend_from_slice(b" after ");
        value::decimal(&mut self.message, random.between(3, 30_000));
        self.message.extend_from_slice(b" ms");
        self.stack.clear();
        self.stack.extend_from_slice(kind.as_bytes());
        self.stack.extend_from_slice(b": ");
        self.stack.extend_from_slice(&self.message);
        for (of, stacks) in &self.stacks {
            if *of == language {
                let drawn = usize::try_from(random.below(STACKS as u64)).unwrap_or_default();
                self.stack.extend_from_slice(&stacks[drawn]);
            }
        }
        Exception { kind, message: &self.message, stack: &self.stack }
    }

    /// The first words of the message that was drawn last.
    pub(super) const fn last(&self) -> &'static str {
        self.last
    }
}

const MESSAGES: [&str; 8] = [
    "context deadline exceeded",
    "connection reset by peer",
    "could not obtain a connection from the pool",
    "card was declined",
    "duplicate key value violates unique constraint",
    "item is out of stock",
    "unexpected end of input",
    "version conflict",
];

const fn kinds(language: Language) -> &'static [&'static str] {
    match language {
        Language::Cpp => &["std::runtime_error", "std::out_of_range", "absl::StatusError"],
        Language::Dotnet => &[
            "System.TimeoutException",
            "System.InvalidOperationException",
            "Npgsql.NpgsqlException",
        ],
        Language::Go => {
            &["*errors.errorString", "*net.OpError", "*status.Error", "*pgconn.PgError"]
        }
        Language::Java => &[
            "java.util.concurrent.TimeoutException",
            "java.lang.IllegalStateException",
            "java.sql.SQLTransientConnectionException",
            "io.grpc.StatusRuntimeException",
        ],
        Language::Node => &["TypeError", "Error", "AbortError", "DatabaseError"],
        Language::Php => &["RuntimeException", "PDOException", "InvalidArgumentException"],
        Language::Python => &["ValueError", "TimeoutError", "psycopg.OperationalError", "KeyError"],
        Language::Rust => {
            &["tokio::time::error::Elapsed", "sqlx::Error::PoolTimedOut", "hyper::Error"]
        }
    }
}

/// Words that functions and files of the frames are made of.
const WORDS: [&str; 16] = [
    "handle", "charge", "reserve", "fetch", "commit", "retry", "decode", "validate", "dispatch",
    "invoke", "resolve", "render", "enqueue", "lookup", "convert", "notify",
];

/// Four to ten frames, in the way in which the language prints them.
fn frames(random: &mut Random, language: Language) -> Vec<u8> {
    let count = random.between(4, 10);
    let frame = |_| {
        let (a, b, line) = (random.pick(&WORDS), random.pick(&WORDS), random.between(12, 900));
        match language {
            Language::Cpp => format!("\n  at shop::{a}::{b}() ({a}.cc:{line})"),
            Language::Dotnet => format!("\n   at Shop.{a}.{b}Async() in /src/{a}.cs:line {line}"),
            Language::Go => format!("\nshop/internal/{a}.(*service).{b}\n\t/src/{a}/{b}.go:{line}"),
            Language::Java => format!("\n\tat com.shop.{a}.Service.{b}(Service.java:{line})"),
            Language::Node => format!("\n    at {a}.{b} (/app/dist/{a}.js:{line}:17)"),
            Language::Php => format!("\n#{line} /app/src/{a}.php({line}): Shop\\{a}->{b}()"),
            Language::Python => {
                format!("\n  File \"/app/{a}.py\", line {line}, in {b}\n    {b}({a})")
            }
            Language::Rust => format!("\n   {a}::{b}\n             at ./src/{a}.rs:{line}"),
        }
        .into_bytes()
    };
    (0..count).flat_map(frame).collect()
}
