//! What was done, as attributes of spans and resources: the Collector's `redaction.*`.

use std::collections::BTreeMap;

use serde::Deserialize;
use traceweir_plugin::{Answer, Field, Owner, Pairs, Projection, Texts, Write};

/// How much is told.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Nothing.
    #[default]
    Silent,
    /// How many attributes were removed and masked.
    Info,
    /// Their keys, too.
    Debug,
}

/// The attributes of one kind of owner.
#[derive(Debug)]
struct Fields {
    removed_keys: Option<Write>,
    removed_count: Write,
    masked_keys: Option<Write>,
    masked_count: Write,
}

/// Which attributes are written.
#[derive(Debug)]
pub(crate) struct Summary {
    span: Option<Fields>,
    resource: Option<Fields>,
}

impl Summary {
    pub(crate) fn new(level: Level, projection: &mut Projection) -> Self {
        let mut fields = |owner| {
            let mut write = |key: &str| projection.write(Field::attribute(owner, key));
            let keys = level == Level::Debug;
            (level != Level::Silent).then(|| Fields {
                removed_keys: keys.then(|| write("redaction.redacted.keys")),
                removed_count: write("redaction.redacted.count"),
                masked_keys: keys.then(|| write("redaction.masked.keys")),
                masked_count: write("redaction.masked.count"),
            })
        };
        Self { span: fields(Owner::Span), resource: fields(Owner::Resource) }
    }

    /// The story of the attributes of one kind of owner.
    pub(crate) fn of<'a>(&'a self, owner: Owner, pairs: &Pairs<'a>) -> Told<'a> {
        let fields = match owner {
            Owner::Span => self.span.as_ref(),
            Owner::Resource => self.resource.as_ref(),
            Owner::Scope | Owner::Event | Owner::Link => None,
        };
        let keys = pairs.keys();
        Told { owner, fields, keys, removed: BTreeMap::new(), masked: BTreeMap::new() }
    }
}

/// Keys by the owners that had them.
type Keys = BTreeMap<usize, Vec<usize>>;

/// What was removed and masked.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    owner: Owner,
    fields: Option<&'a Fields>,
    keys: Texts<'a>,
    removed: Keys,
    masked: Keys,
}

impl Told<'_> {
    pub(crate) fn removed(&mut self, owner: usize, key: usize) {
        if self.fields.is_some() {
            self.removed.entry(owner).or_default().push(key);
        }
    }

    pub(crate) fn masked(&mut self, owner: usize, key: usize) {
        if self.fields.is_some() {
            self.masked.entry(owner).or_default().push(key);
        }
    }

    pub(crate) fn write(&self, answer: &mut Answer) {
        let Some(fields) = self.fields else { return };
        self.tell(answer, &self.removed, fields.removed_keys, fields.removed_count);
        self.tell(answer, &self.masked, fields.masked_keys, fields.masked_count);
    }

    fn tell(&self, answer: &mut Answer, told: &Keys, keys: Option<Write>, count: Write) {
        for (owner, list) in told {
            let number = i64::try_from(list.len()).unwrap_or(i64::MAX);
            answer.set(count, self.owner).put(*owner, number);
            if let Some(write) = keys {
                let mut list: Vec<&str> =
                    list.iter().filter_map(|key| self.keys.value(*key)).collect();
                list.sort_unstable();
                answer.set(write, self.owner).put(*owner, list.join(",").as_str());
            }
        }
    }
}
