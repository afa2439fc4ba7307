//! A processor that gives attributes the keys of newer or older semantic conventions, or both, so that spans of old and
//! new libraries are found by the same names.
//!
//! The table is in `pairs`. Where only the key differs, the host renames, and nothing is read.

mod pairs;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, Clash, Column, ConfigError, Field, Info, Intrinsic, Owner, Plugin, PluginError,
    Processor, Projection, Read, TextId, Values as Edits, Write, codes::tag, config,
    export_processor,
};

use self::pairs::{Group, On, PAIRS, Pair, Values};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Which keys attributes have afterwards.
    mode: Mode,
    /// Of what the keys are.
    groups: Vec<Group>,
}

impl Default for Config {
    fn default() -> Self {
        let groups = vec![Group::Http, Group::Database, Group::Deployment];
        Self { mode: Mode::New, groups }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// The new ones.
    New,
    /// The old ones.
    Old,
    /// Both.
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToNew,
    ToOld,
}

/// An attribute that gets its value from another.
#[derive(Debug)]
struct Copying {
    owner: Owner,
    on: On,
    values: Values,
    direction: Direction,
    from: Read,
    to: Read,
    write: Write,
    /// What removes the other; nothing where both stay.
    remove: Option<Write>,
    /// `url.query`, where `url.path` becomes `http.target`.
    query: Option<Read>,
}

/// An instance.
#[derive(Debug)]
pub struct Semconv {
    /// Owner, from, to: the host does it.
    renames: Vec<(Owner, &'static str, &'static str)>,
    copies: Vec<Copying>,
    reads_kinds: bool,
}

impl Plugin for Semconv {
    fn describe() -> Info {
        Info {
            name: "semconv".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "gives attributes the keys of other semantic conventions".to_owned(),
            config_schema: include_str!("../schema.json").to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config { mode, groups } = config::parse(json)?;
        if groups.is_empty() {
            return Err(ConfigError::new("$.groups", "must have a group"));
        }
        let mut projection = Projection::default();
        let mut plugin = Self { renames: Vec::new(), copies: Vec::new(), reads_kinds: false };
        let directions: &[Direction] = match mode {
            Mode::New => &[Direction::ToNew],
            Mode::Old => &[Direction::ToOld],
            Mode::Both => &[Direction::ToNew, Direction::ToOld],
        };
        for direction in directions {
            for pair in pairs(*direction, &groups) {
                plugin.add(pair, *direction, mode, &mut projection);
            }
        }
        plugin.reads_kinds = plugin.copies.iter().any(|copy| copy.on != On::All);
        if plugin.reads_kinds {
            projection.read(Intrinsic::Kind);
        }
        Ok((plugin, projection))
    }
}

/// The pairs of these groups; towards old keys, each new one once.
fn pairs(direction: Direction, groups: &[Group]) -> impl Iterator<Item = &'static Pair> {
    let is_first = |i: usize, pair: &Pair| {
        let before = PAIRS.iter().take(i);
        !before.clone().any(|other| other.new == pair.new && other.on == pair.on)
    };
    let wanted = move |(i, pair): &(usize, &Pair)| match (direction, pair.values) {
        (Direction::ToNew, _) => true,
        // It goes with the path.
        (Direction::ToOld, Values::Query) => false,
        (Direction::ToOld, _) => is_first(*i, pair),
    };
    let groups = groups.to_vec();
    let pairs = PAIRS.iter().enumerate().filter(wanted).map(|(_, pair)| pair);
    pairs.collect::<Vec<_>>().into_iter().filter(move |pair| groups.contains(&pair.group))
}

impl Semconv {
    fn add(
        &mut self,
        pair: &'static Pair,
        direction: Direction,
        mode: Mode,
        projection: &mut Projection,
    ) {
        let (from, to) = match direction {
            Direction::ToNew => (pair.old, pair.new),
            Direction::ToOld => (pair.new, pair.old),
        };
        let field = |key: &str| Field::attribute(pair.owner, key);
        // A key that others become in other ways has to be looked at before they do.
        let is_plain = |pair: &Pair| pair.on == On::All && matches!(pair.values, Values::Same);
        let mut same = PAIRS.iter().filter(|other| other.new == pair.new || other.old == pair.old);
        if mode != Mode::Both && same.all(is_plain) {
            projection.write(field(from));
            projection.write(field(to));
            self.renames.push((pair.owner, from, to));
            return;
        }
        let takes_query = direction == Direction::ToOld && matches!(pair.values, Values::Path);
        self.copies.push(Copying {
            owner: pair.owner,
            on: pair.on,
            values: pair.values,
            direction,
            from: projection.read(field(from)),
            to: projection.read(field(to)),
            write: projection.write(field(to)),
            remove: (mode != Mode::Both).then(|| projection.write(field(from))),
            query: takes_query.then(|| projection.read(field("url.query"))),
        });
    }
}

impl Processor for Semconv {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let mut answer = Answer::edits(batch);
        for (owner, from, to) in &self.renames {
            answer.rename(*owner, from, to, Clash::Keep);
        }
        // Those that were not renamed, as the other is there already.
        for (owner, from, _) in &self.renames {
            answer.delete_key(*owner, from);
        }
        let kinds = if self.reads_kinds { batch.kinds()? } else { &[] };
        let mut given = BTreeMap::new();
        for copy in &self.copies {
            copy.run(batch, kinds, &mut answer, &mut given)?;
        }
        Ok(answer)
    }
}

/// What each text of a column is by the other conventions, once it was asked for.
struct Known(Vec<Option<Option<TextId>>>);

/// Which owners have got a value by now, by what was written.
type Given = BTreeMap<Write, Vec<bool>>;

impl Copying {
    fn run(
        &self,
        batch: &Batch<'_>,
        kinds: &[u8],
        answer: &mut Answer,
        given: &mut Given,
    ) -> Result<(), PluginError> {
        let from = batch.column(self.from)?;
        // Of forty keys a span has a few.
        if from.tags().iter().all(|tag| *tag == tag::ABSENT) {
            return Ok(());
        }
        let to = batch.column(self.to)?;
        let query = self.query.map(|read| batch.column(read)).transpose()?;
        let given = given.entry(self.write).or_insert_with(|| vec![false; from.len()]);
        let holds = |i: usize| {
            let holds = || kinds.get(i).is_some_and(|kind| self.on.holds(*kind));
            from.tags().get(i).is_some_and(|tag| *tag != tag::ABSENT)
                && (self.on == On::All || holds())
        };
        let values = answer.set(self.write, self.owner);
        let mut known = Known(vec![None; from.texts().value_count()]);
        for (i, given) in given.iter_mut().enumerate() {
            let is_free = to.tags().get(i) == Some(&tag::ABSENT) && !*given;
            if is_free && holds(i) {
                *given = self.give(values, i, &from, query.as_ref(), &mut known);
            }
        }
        if let Some(remove) = self.remove {
            let values = answer.set(remove, self.owner);
            (0..from.len()).filter(|i| holds(*i)).for_each(|i| values.remove(i));
        }
        Ok(())
    }

    /// Gives owner `i` the value as it is by the other conventions; of what has none there, nothing.
    fn give(
        &self,
        values: &mut Edits,
        i: usize,
        from: &Column<'_>,
        query: Option<&Column<'_>>,
        known: &mut Known,
    ) -> bool {
        let Some(at) = from.index(i) else {
            values.put(i, from.value(i));
            return true;
        };
        let text = from.texts().value(at).unwrap_or_default();
        if let Some(query) = query {
            // It depends on two texts.
            let Some(text) = self.text(text, query.text(i)) else { return false };
            values.put(i, &*text);
            return true;
        }
        let text = known.0.get_mut(at).and_then(|known| {
            *known.get_or_insert_with(|| Some(values.text(&self.text(text, None)?)))
        });
        text.is_some_and(|text| {
            values.put_text(i, text);
            true
        })
    }

    fn text<'a>(&self, text: &'a str, query: Option<&str>) -> Option<Cow<'a, str>> {
        match (self.values, self.direction) {
            (Values::Same, _) => Some(text.into()),
            (Values::Texts(texts), Direction::ToNew) => {
                let new = texts.iter().find(|(old, _)| *old == text);
                Some(new.map_or(text, |(_, new)| new).into())
            }
            (Values::Texts(texts), Direction::ToOld) => {
                let old = texts.iter().find(|(_, new)| *new == text);
                Some(old.map_or(text, |(old, _)| old).into())
            }
            (Values::Path, Direction::ToNew) => {
                Some(text.split_once('?').map_or(text, |(path, _)| path).into())
            }
            (Values::Query, Direction::ToNew) => {
                text.split_once('?').map(|(_, query)| query.into())
            }
            (Values::Path | Values::Query, Direction::ToOld) => Some(match query {
                Some(query) if !query.is_empty() => format!("{text}?{query}").into(),
                _ => text.into(),
            }),
        }
    }
}

export_processor!(Semconv);

#[cfg(test)]
mod tests {
    use traceweir_plugin::Any;
    use traceweir_plugin::testing::{Fixture, Resource, Span, process, refusal};

    use super::*;

    fn after(config: &str, span: Span) -> Vec<(String, Any)> {
        let after = process::<Semconv>(config, &Fixture::of(span)).unwrap();
        let mut attributes = after.spans().next().unwrap().attributes.clone();
        attributes.sort_by(|a, b| a.0.cmp(&b.0));
        attributes
    }

    fn list<const N: usize>(pairs: [(&str, Any); N]) -> Vec<(String, Any)> {
        pairs.map(|(key, value)| (key.to_owned(), value)).to_vec()
    }

    const OLD: &str = r#"{"mode": "old"}"#;
    const BOTH: &str = r#"{"mode": "both"}"#;

    #[test]
    fn old_keys_become_new() {
        let span = Span::new("GET /cart")
            .kind(2)
            .with("http.method", "GET")
            .with("http.status_code", 200_i64)
            .with("http.target", "/cart?id=1")
            .with("http.flavor", "1.1")
            .with("net.host.name", "shop.example")
            .with("net.transport", "ip_tcp")
            .with("custom", true);
        let wanted = list([
            ("custom", true.into()),
            ("http.request.method", "GET".into()),
            ("http.response.status_code", 200_i64.into()),
            ("network.protocol.version", "1.1".into()),
            ("network.transport", "tcp".into()),
            ("server.address", "shop.example".into()),
            ("url.path", "/cart".into()),
            ("url.query", "id=1".into()),
        ]);
        assert_eq!(after("{}", span), wanted);
    }

    #[test]
    fn what_a_key_means_depends_on_who_asks() {
        let span = |kind| Span::new("span").kind(kind).with("net.peer.port", 80_i64);
        assert_eq!(after("{}", span(3)), list([("server.port", 80_i64.into())]));
        assert_eq!(after("{}", span(2)), list([("client.port", 80_i64.into())]));
        assert_eq!(after("{}", span(1)), list([("net.peer.port", 80_i64.into())]));
    }

    #[test]
    fn new_keys_become_old() {
        let span = Span::new("span")
            .kind(3)
            .with("db.system.name", "microsoft.sql_server")
            .with("db.collection.name", "orders")
            .with("url.path", "/cart")
            .with("url.query", "id=1")
            .with("server.address", "db");
        let wanted = list([
            ("db.sql.table", "orders".into()),
            ("db.system", "mssql".into()),
            ("http.target", "/cart?id=1".into()),
            ("net.peer.name", "db".into()),
            ("url.query", "id=1".into()),
        ]);
        assert_eq!(after(OLD, span), wanted);
    }

    #[test]
    fn both_ways_what_is_there_stays() {
        let span = Span::new("span")
            .with("http.method", "GET")
            .with("url.full", "http://a/")
            .with("db.system", "mssql")
            .with("db.system.name", "own");
        let wanted = list([
            ("db.system", "mssql".into()),
            ("db.system.name", "own".into()),
            ("http.method", "GET".into()),
            ("http.request.method", "GET".into()),
            ("http.url", "http://a/".into()),
            ("url.full", "http://a/".into()),
        ]);
        assert_eq!(after(BOTH, span), wanted);
    }

    #[test]
    fn of_two_old_keys_for_one_the_first_counts() {
        let span = Span::new("span")
            .with("net.peer.ip", "10.0.0.2")
            .with("net.sock.peer.addr", "10.0.0.1")
            .with("http.flavor", "2.0")
            .with("net.protocol.version", "1.1");
        let wanted = list([
            ("network.peer.address", "10.0.0.1".into()),
            ("network.protocol.version", "1.1".into()),
        ]);
        assert_eq!(after("{}", span), wanted);
    }

    #[test]
    fn a_new_key_that_is_there_stays_and_the_old_one_goes() {
        let span = Span::new("span").with("http.method", "old").with("http.request.method", "new");
        assert_eq!(after("{}", span), list([("http.request.method", "new".into())]));
    }

    #[test]
    fn resources_have_an_environment() {
        let fixture = Fixture::new().resource(
            Resource::new().with("deployment.environment", "prod").span(Span::new("span")),
        );
        let after = process::<Semconv>(r#"{"groups": ["deployment"]}"#, &fixture).unwrap();
        let wanted = list([("deployment.environment.name", "prod".into())]);
        assert_eq!(after.resources[0].attributes, wanted);
    }

    #[test]
    fn what_the_host_can_rename_is_not_read() {
        let (_, projection) = Semconv::configure(r#"{"groups": ["deployment"]}"#).unwrap();
        assert!(projection.reads.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refusal = |config| refusal::<Semconv>(config).unwrap();
        assert_eq!(refusal(r#"{"groups": []}"#), "$.groups: must have a group");
        assert!(refusal(r#"{"mode": "newest"}"#).starts_with("$.mode: unknown variant"));
    }
}
