//! Answers: what they say, by chance for a batch, and as bytes.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use plugins::{Field, Intrinsic, Owner, Projection};
use prost::Message;
use traceweir_plugin::codes::{
    ANSWER_MAGIC, NONE, REPLACE, VERSION, answer as kind, domain, layout, tag,
};

use super::chance::Chance;
use super::plain::{Plain, View, domain_of};
use super::requests;

/// What becomes of a value.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Keep,
    Remove,
    Set(AnyValue),
}

/// Whose attributes, whether others are replaced, and the keys: from, to.
pub(crate) type Renames = (Owner, bool, Vec<(String, String)>);

/// Owner, key and value.
pub(crate) type Addition = (usize, String, AnyValue);

/// What an answer says.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) keep: Option<Vec<bool>>,
    pub(crate) reasons: Option<Vec<Option<String>>>,
    /// Of a sampler, with probabilities.
    pub(crate) verdicts: Option<Vec<(u8, f64)>>,
    pub(crate) renames: Vec<Renames>,
    pub(crate) deletions: Vec<(Owner, Vec<String>)>,
    /// What keys begin with.
    pub(crate) starts: Vec<(Owner, Vec<String>)>,
    /// By place in `reads`.
    pub(crate) pairs: Vec<(usize, Vec<Change>)>,
    /// By place in `writes`, and whether resources say it.
    pub(crate) sets: Vec<(usize, bool, Vec<Change>)>,
    /// By place in `writes`.
    pub(crate) additions: Vec<(usize, Vec<Addition>)>,
    pub(crate) counts: Vec<(u32, u64)>,
    /// All attributes as the batch has them, by owner.
    pub(crate) before: [Vec<Vec<KeyValue>>; 5],
}

/// A section: kind, type, domain, argument, bytes.
pub(crate) type Section = (u16, u8, u8, u32, Vec<u8>);

/// A buffer of sections, of a batch with these numbers of spans, resources, scopes, events and traces.
pub(crate) fn buffer(counts: [u32; 5], sections: &[Section]) -> Vec<u8> {
    let mut out = ANSWER_MAGIC.to_le_bytes().to_vec();
    out.extend(u32::from(VERSION).to_le_bytes());
    counts.iter().for_each(|count| out.extend(count.to_le_bytes()));
    out.extend(u32::try_from(sections.len()).unwrap().to_le_bytes());
    let mut at = out.len() + 16 * sections.len();
    let mut bodies = Vec::new();
    for (kind, layout, domain, argument, bytes) in sections {
        let padded = at.next_multiple_of(8);
        bodies.resize(bodies.len() + padded - at, 0);
        out.extend(kind.to_le_bytes());
        out.extend([*layout, *domain]);
        out.extend(argument.to_le_bytes());
        out.extend(u32::try_from(padded).unwrap().to_le_bytes());
        out.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        bodies.extend(bytes);
        at = padded + bytes.len();
    }
    out.extend(bodies);
    out
}

/// A section of texts: as a dictionary, or one after the other.
pub(crate) fn texts(of: &[Option<Vec<u8>>], as_dictionary: bool) -> Vec<u8> {
    let (mut values, mut index) = (Vec::new(), Vec::new());
    if as_dictionary {
        for text in of {
            let value = text.as_ref().map(|text| {
                values.iter().position(|known| known == text).unwrap_or_else(|| {
                    values.push(text.clone());
                    values.len() - 1
                })
            });
            index.push(value.map_or(NONE, |value| u32::try_from(value).unwrap()));
        }
    } else {
        values.extend(of.iter().map(|text| text.clone().unwrap_or_default()));
    }
    let mut out = Vec::new();
    let mut put = |number: usize| out.extend(u32::try_from(number).unwrap().to_le_bytes());
    put(values.len());
    put(index.len());
    index.iter().for_each(|value| put(*value as usize));
    let mut end = 0;
    put(0);
    for value in &values {
        end += value.len();
        put(end);
    }
    values.iter().for_each(|value| out.extend(value));
    out
}

/// The sections of a column of values.
fn values(
    sections: &mut Vec<Section>,
    (kind, domain, argument): (u16, u8, u32),
    of: &[Change],
    chance: &mut Chance,
) {
    let (mut tags, mut words) = (Vec::new(), Vec::new());
    let (mut all_texts, mut blobs) = (Vec::new(), Vec::new());
    for change in of {
        let (mut word, mut text, mut blob) = (0, None, None);
        tags.push(match change {
            Change::Keep => tag::ABSENT,
            Change::Remove => tag::REMOVE,
            Change::Set(any) => match &any.value {
                None => tag::EMPTY,
                Some(Value::StringValue(value)) => {
                    text = Some(value.clone().into_bytes());
                    tag::STRING
                }
                Some(Value::IntValue(value)) => {
                    word = value.cast_unsigned();
                    tag::INT
                }
                Some(Value::DoubleValue(value)) => {
                    word = value.to_bits();
                    tag::DOUBLE
                }
                Some(Value::BoolValue(value)) => {
                    word = u64::from(*value);
                    tag::BOOL
                }
                Some(other) => {
                    blob = Some(any.encode_to_vec());
                    match other {
                        Value::BytesValue(_) => tag::BYTES,
                        Value::ArrayValue(_) => tag::ARRAY,
                        _ => tag::MAP,
                    }
                }
            },
        });
        words.extend(word.to_le_bytes());
        all_texts.push(text);
        blobs.push(blob);
    }
    let mut put = |layout, bytes| sections.push((kind, layout, domain, argument, bytes));
    let dictionary = chance.one_in(2);
    put(layout::TEXT, texts(&all_texts, dictionary));
    put(layout::U8, tags);
    put(layout::U64, words);
    if blobs.iter().any(Option::is_some) || dictionary {
        put(layout::BLOB, texts(&blobs, !dictionary));
    }
}

impl Answer {
    /// As sections, in some order.
    pub(crate) fn sections(&self, projection: &Projection, chance: &mut Chance) -> Vec<Section> {
        let mut out: Vec<Section> = Vec::new();
        let rows = if self.before[0].is_empty() { domain::TRACES } else { domain::SPANS };
        let number = |place: usize| u32::try_from(place).unwrap();
        if let Some(keep) = &self.keep {
            let mut bits = vec![0; keep.len().div_ceil(64) * 8];
            for (row, _) in keep.iter().enumerate().filter(|(_, keep)| **keep) {
                bits[row / 8] |= 1 << (row % 8);
            }
            out.push((kind::KEEP, layout::BITMAP, domain::SPANS, 0, bits));
        }
        if let Some(reasons) = &self.reasons {
            let reasons: Vec<_> =
                reasons.iter().map(|text| text.clone().map(String::into_bytes)).collect();
            out.push((kind::REASON, layout::TEXT, rows, 0, texts(&reasons, true)));
        }
        if let Some(verdicts) = &self.verdicts {
            let bytes = verdicts.iter().map(|(verdict, _)| *verdict).collect();
            out.push((kind::VERDICT, layout::U8, rows, 0, bytes));
            let bytes = verdicts.iter().flat_map(|(_, of)| of.to_le_bytes()).collect();
            out.push((kind::PROBABILITY, layout::F64, rows, 0, bytes));
        }
        let keys = |keys: Vec<&String>, chance: &mut Chance| {
            let keys: Vec<_> = keys.into_iter().map(|key| Some(key.clone().into_bytes())).collect();
            texts(&keys, chance.one_in(2))
        };
        for (owner, replace, pairs) in &self.renames {
            let argument = *owner as u32 | if *replace { REPLACE } else { 0 };
            let all = pairs.iter().flat_map(|(from, to)| [from, to]).collect();
            let bytes = keys(all, chance);
            out.push((kind::RENAME, layout::TEXT, domain::NONE, argument, bytes));
        }
        for (owner, deleted) in &self.deletions {
            let bytes = keys(deleted.iter().collect(), chance);
            out.push((kind::DELETE_KEYS, layout::TEXT, domain::NONE, *owner as u32, bytes));
        }
        for (owner, starts) in &self.starts {
            let bytes = keys(starts.iter().collect(), chance);
            out.push((kind::DELETE_STARTS, layout::TEXT, domain::NONE, *owner as u32, bytes));
        }
        for (read, changes) in &self.pairs {
            values(&mut out, (kind::SET_PAIRS, domain::PAIRS, number(*read)), changes, chance);
        }
        for (field, by_resource, changes) in &self.sets {
            let domain = match &projection.writes[*field] {
                _ if *by_resource => domain::RESOURCES,
                Field::Attribute(of) => domain_of(of.owner),
                _ => domain::SPANS,
            };
            values(&mut out, (kind::SET, domain, number(*field)), changes, chance);
        }
        for (field, additions) in &self.additions {
            let owners = additions.iter().flat_map(|(owner, ..)| number(*owner).to_le_bytes());
            let argument = number(*field);
            out.push((kind::ADD_OWNER, layout::U32, domain::NONE, argument, owners.collect()));
            let bytes = keys(additions.iter().map(|(_, key, _)| key).collect(), chance);
            out.push((kind::ADD_KEY, layout::TEXT, domain::NONE, argument, bytes));
            let set: Vec<_> = additions.iter().map(|(.., of)| Change::Set(of.clone())).collect();
            values(&mut out, (kind::ADD, domain::NONE, argument), &set, chance);
        }
        if !self.counts.is_empty() {
            let count = |(id, value): &(u32, u64)| {
                [&u64::from(*id).to_le_bytes()[..], &value.to_le_bytes()].concat()
            };
            let bytes = self.counts.iter().flat_map(count).collect();
            out.push((kind::COUNT, layout::COUNTS, domain::NONE, 0, bytes));
        }
        // What nobody knows is skipped.
        out.push((999, 77, 66, 55, vec![1, 2, 3]));
        let turn = chance.below(out.len());
        out.rotate_left(turn);
        out
    }
}

fn changes(chance: &mut Chance, count: usize) -> Vec<Change> {
    let change = |chance: &mut Chance| match chance.below(4) {
        0 => Change::Keep,
        1 => Change::Remove,
        _ => Change::Set(requests::value(chance)),
    };
    (0..count).map(|_| change(chance)).collect()
}

fn intrinsic_changes(chance: &mut Chance, intrinsic: Intrinsic, count: usize) -> Vec<Change> {
    let change = |chance: &mut Chance| match (chance.below(4), intrinsic) {
        (0, _) => Change::Keep,
        (1, Intrinsic::TraceState | Intrinsic::StatusMessage) => Change::Remove,
        (_, Intrinsic::Kind | Intrinsic::StatusCode) => {
            let number = i64::try_from(chance.below(3)).unwrap();
            Change::Set(AnyValue { value: Some(Value::IntValue(number)) })
        }
        _ => Change::Set(AnyValue { value: Some(Value::StringValue(requests::text(chance))) }),
    };
    (0..count).map(|_| change(chance)).collect()
}

/// A key that may be written of an owner.
fn writable(chance: &mut Chance, projection: &Projection, owner: Owner) -> Option<String> {
    let of = |field: &&Field| matches!(field, Field::Attribute(of) | Field::Attributes(of) if of.owner == owner);
    let fields: Vec<&Field> = projection.writes.iter().filter(of).collect();
    if fields.is_empty() {
        return None;
    }
    Some(match chance.pick(&fields) {
        Field::Attribute(of) => of.key.clone(),
        Field::Attributes(of) => added(chance, &of.key),
        Field::Intrinsic(_) => panic!("they were filtered"),
    })
}

/// What keys of an owner begin with that all may be written.
fn start(chance: &mut Chance, projection: &Projection, owner: Owner) -> Option<String> {
    let starts = projection.writes.iter().filter_map(|field| match field {
        Field::Attributes(of) if of.owner == owner => Some(&of.key),
        _ => None,
    });
    let starts: Vec<&String> = starts.collect();
    let longer = ["", "b", "http."];
    (!starts.is_empty()).then(|| format!("{}{}", chance.pick(&starts), chance.pick(&longer)))
}

/// A key that begins so.
fn added(chance: &mut Chance, start: &str) -> String {
    let known = chance.pick(&requests::KEYS[1..]);
    match chance.below(3) {
        0 if known.starts_with(start) => (*known).to_owned(),
        _ => format!("{start}{}", chance.pick(&["b", "bc", "new"])),
    }
}

/// Whether all keys that begin as a field says may be written.
fn covers(projection: &Projection, of: &plugins::Attribute) -> bool {
    projection.writes.iter().any(|field| {
        matches!(field, Field::Attributes(written)
            if written.owner == of.owner && of.key.starts_with(&written.key))
    })
}

/// An answer to a batch that is right.
pub(crate) fn answer(
    chance: &mut Chance,
    plain: &Plain,
    view: &View,
    projection: &Projection,
) -> Answer {
    let attributes = |owner: Owner| {
        (0..view.count(owner)).map(|entry| plain.attributes(view, owner, entry)).collect()
    };
    let mut answer = Answer { before: Owner::ALL.map(attributes), ..Answer::default() };
    if chance.one_in(2) {
        answer.keep = Some(view.rows.iter().map(|_| !chance.one_in(3)).collect());
    }
    if chance.one_in(3) {
        let reason = |chance: &mut Chance| chance.one_in(2).then(|| requests::text(chance));
        answer.reasons = Some(view.rows.iter().map(|_| reason(chance)).collect());
    }
    for owner in Owner::ALL {
        for replace in [false, true] {
            let mut pairs = Vec::new();
            for _ in 0..chance.below(4) {
                let keys = [(); 2].map(|()| writable(chance, projection, owner));
                if let [Some(from), Some(to)] = keys {
                    pairs.push((from, to));
                }
            }
            if chance.one_in(3) && !pairs.is_empty() {
                answer.renames.push((owner, replace, pairs));
            }
        }
        let keys: Vec<_> =
            (0..chance.below(3)).filter_map(|_| writable(chance, projection, owner)).collect();
        if chance.one_in(3) && !keys.is_empty() {
            answer.deletions.push((owner, keys));
        }
        let starts: Vec<_> =
            (0..chance.below(3)).filter_map(|_| start(chance, projection, owner)).collect();
        if chance.one_in(3) && !starts.is_empty() {
            answer.starts.push((owner, starts));
        }
    }
    for (read, field) in projection.reads.iter().enumerate() {
        if let Field::Attributes(of) = field
            && covers(projection, of)
            && chance.one_in(2)
        {
            let entries = 0..view.count(of.owner);
            let pairs = entries.flat_map(|entry| plain.attributes(view, of.owner, entry));
            let count = pairs.filter(|pair| pair.key.starts_with(&of.key)).count();
            answer.pairs.push((read, changes(chance, count)));
        }
    }
    for (place, field) in projection.writes.iter().enumerate() {
        if chance.one_in(3) {
            continue;
        }
        match field {
            Field::Intrinsic(intrinsic) => {
                let changes = intrinsic_changes(chance, *intrinsic, view.rows.len());
                answer.sets.push((place, false, changes));
            }
            Field::Attribute(of) => {
                let by_resource = of.owner == Owner::Span && chance.one_in(3);
                let said_by = if by_resource { Owner::Resource } else { of.owner };
                let changes = changes(chance, view.count(said_by));
                answer.sets.push((place, by_resource, changes));
            }
            Field::Attributes(of) if view.count(of.owner) > 0 => {
                let addition = |chance: &mut Chance| {
                    let owner = chance.below(view.count(of.owner));
                    (owner, added(chance, &of.key), requests::value(chance))
                };
                let additions = (0..chance.below(6)).map(|_| addition(chance)).collect();
                answer.additions.push((place, additions));
            }
            Field::Attributes(_) => {}
        }
    }
    if chance.one_in(3) {
        answer.counts = vec![(1, 2), (3, 4)];
    }
    answer
}
