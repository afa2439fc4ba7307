//! Actions on attributes, as `attributes` and `resource` of the Collector write them: insert, update, upsert, delete,
//! hash, extract, convert, and rename.
//!
//! They are done one after the other on columns of cells; what depends on a text alone is worked out once for each
//! that occurs. Attributes that only a pattern names are found among the keys of the batch.

mod config;
mod hash;
mod work;

use traceweir_plugin::{
    Answer, Any, Batch, Clash, ConfigError, Field, Intrinsic, Numbers, Owner, PluginError,
    Projection, Read, Write,
};

pub use self::config::ActionConfig;
use self::work::{Cell, Made, Work};
use crate::convert::text_of;
use crate::pattern::Pattern;

/// When a value is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Absent,
    Present,
    Always,
}

/// Where a value comes from.
#[derive(Debug)]
enum Source {
    Literal(Any),
    Slot(usize),
    /// Whoever has sent the resource.
    Peer,
}

/// Where the value of each owner is, in a batch.
enum Given<'a> {
    Made(Made),
    Slot(usize),
    /// Of each resource; and which resource each owner is of, where it is none itself.
    Peers(Vec<Option<Made>>, Option<Numbers<'a, u32>>),
}

impl Given<'_> {
    fn cell(&self, work: &Work<'_>, i: usize) -> Option<Cell> {
        match self {
            Self::Made(made) => Some(Cell::Made(*made)),
            Self::Slot(slot) => work.copy(*slot, i),
            Self::Peers(peers, of) => {
                let resource = match of {
                    Some(of) => of.get(i)? as usize,
                    None => i,
                };
                peers.get(resource).copied().flatten().map(Cell::Made)
            }
        }
    }
}

/// What `convert` makes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Int,
    Double,
    Bool,
    Text,
}

/// One action; slots are places in the list of keys.
#[derive(Debug)]
enum Step {
    Put { to: usize, from: Source, when: When },
    Delete { slot: usize },
    Rename { from: usize, to: usize },
    Hash { slot: usize },
    Extract { slot: usize, pattern: Pattern, to: Vec<usize> },
    Convert { slot: usize, to: Type },
    DeleteLike { pattern: Pattern },
    HashLike { pattern: Pattern },
}

/// A key that actions name.
#[derive(Debug)]
struct Slot {
    key: String,
    read: Option<Read>,
    write: Option<Write>,
}

/// How attributes that a pattern names are found.
#[derive(Debug)]
enum Likes {
    /// There is no such pattern.
    None,
    /// By the keys of the batch: whoever has one loses it.
    Keys,
    /// One by one.
    Pairs(Read),
}

/// Some actions on the attributes of an owner.
#[derive(Debug)]
pub struct Actions {
    owner: Owner,
    steps: Vec<Step>,
    slots: Vec<Slot>,
    likes: Likes,
    /// Keys that go from everybody, and that nothing else touches: the host does it.
    deletes: Vec<String>,
    /// The same of new keys: from, to.
    renames: Vec<(String, String)>,
}

impl Actions {
    /// Takes a list of actions that stands at `path`, and adds to the projection what they read and write. Where all
    /// owners are looked at (`of_all`), the host does some of them.
    ///
    /// # Errors
    ///
    /// What is wrong with an action.
    pub fn new(
        path: &str,
        list: Vec<ActionConfig>,
        owner: Owner,
        of_all: bool,
        projection: &mut Projection,
    ) -> Result<Self, ConfigError> {
        if list.is_empty() {
            return Err(ConfigError::new(path, "must have an action"));
        }
        let mut actions = Self {
            owner,
            steps: Vec::with_capacity(list.len()),
            slots: Vec::new(),
            likes: Likes::None,
            deletes: Vec::new(),
            renames: Vec::new(),
        };
        for (i, action) in list.into_iter().enumerate() {
            let step = action.step(&format!("{path}[{i}]"), &mut actions.slots)?;
            actions.steps.push(step);
        }
        if of_all {
            actions.leave_to_host();
        }
        actions.project(of_all, projection);
        Ok(actions)
    }

    /// Takes out what the host can do by itself: deletions and renames of keys that no other action touches.
    fn leave_to_host(&mut self) {
        let like = |step: &Step| matches!(step, Step::DeleteLike { .. } | Step::HashLike { .. });
        if self.steps.iter().any(like) {
            return;
        }
        let uses: Vec<usize> = (0..self.slots.len())
            .map(|slot| self.steps.iter().filter(|step| step.slots().contains(&slot)).count())
            .collect();
        let alone = |slots: &[usize]| slots.iter().all(|slot| uses.get(*slot) == Some(&1));
        let key = |slot: &usize| self.slots.get(*slot).map(|slot| slot.key.clone());
        self.steps.retain(|step| match step {
            Step::Delete { slot } if alone(&[*slot]) => {
                self.deletes.extend(key(slot));
                false
            }
            Step::Rename { from, to } if alone(&[*from, *to]) && from != to => {
                self.renames.extend(key(from).zip(key(to)));
                false
            }
            _ => true,
        });
    }

    fn project(&mut self, of_all: bool, projection: &mut Projection) {
        let owner = self.owner;
        for key in self.deletes.iter().chain(self.renames.iter().flat_map(|(from, to)| [from, to]))
        {
            projection.write(Field::attribute(owner, key));
        }
        for (i, slot) in self.slots.iter_mut().enumerate() {
            let steps = || self.steps.iter().filter(|step| step.slots().contains(&i));
            if steps().any(|step| step.writes().contains(&i)) {
                slot.write = Some(projection.write(Field::attribute(owner, &slot.key)));
            }
            if steps().any(|step| step.reads().contains(&i)) {
                let field = Field::attribute(owner, &slot.key);
                let whole = steps().any(|step| step.copies() == Some(i));
                slot.read = Some(projection.read(if whole { field.complex() } else { field }));
            }
        }
        let peers = |step: &Step| matches!(step, Step::Put { from: Source::Peer, .. });
        if self.steps.iter().any(peers) {
            projection.read(Intrinsic::PeerAddress);
            if owner != Owner::Resource {
                projection.read(Intrinsic::ResourceIndex);
            }
        }
        let deletes = self.steps.iter().any(|step| matches!(step, Step::DeleteLike { .. }));
        let hashes = self.steps.iter().any(|step| matches!(step, Step::HashLike { .. }));
        if deletes || hashes {
            projection.write(Field::attributes(owner, ""));
        }
        if hashes || (deletes && !(of_all && owner == Owner::Span)) {
            self.likes = Likes::Pairs(projection.read(Field::attributes(owner, "")));
        } else if deletes {
            projection.read(Intrinsic::SpanAttributeKeys);
            self.likes = Likes::Keys;
        }
    }

    /// Does the actions on those that `rows` has; `None` for all.
    ///
    /// # Errors
    ///
    /// Bad input, where a column is missing.
    pub fn run(
        &self,
        batch: &Batch<'_>,
        rows: Option<&[bool]>,
        answer: &mut Answer,
    ) -> Result<(), PluginError> {
        for (from, to) in &self.renames {
            answer.rename(self.owner, from, to, Clash::Replace);
        }
        for key in &self.deletes {
            answer.delete_key(self.owner, key);
        }
        let entries = match self.owner {
            Owner::Resource => batch.resources(),
            _ => batch.rows(),
        };
        let columns =
            self.slots.iter().map(|slot| slot.read.map(|read| batch.column(read)).transpose());
        let mut work = Work::new(columns.collect::<Result<_, _>>()?, entries, rows);
        for step in &self.steps {
            self.step(step, batch, &mut work)?;
        }
        self.likes(batch, rows, answer)?;
        for (i, slot) in self.slots.iter().enumerate() {
            if let Some(write) = slot.write.filter(|_| work.has_changed(i)) {
                work.write(i, answer.set(write, self.owner));
            }
        }
        Ok(())
    }

    fn given<'a>(
        &self,
        from: &Source,
        batch: &Batch<'a>,
        work: &mut Work<'_>,
    ) -> Result<Given<'a>, PluginError> {
        Ok(match from {
            Source::Literal(value) => Given::Made(work.make(value.clone())),
            Source::Slot(slot) => Given::Slot(*slot),
            Source::Peer => {
                let addresses = batch.peer_addresses()?;
                let mut made = |resource| {
                    let address = addresses.get(resource).filter(|address| !address.is_empty());
                    address.map(|address| work.make(address.into()))
                };
                let peers = (0..batch.resources()).map(&mut made).collect();
                let of = match self.owner {
                    Owner::Resource => None,
                    _ => Some(batch.resource_indices()?),
                };
                Given::Peers(peers, of)
            }
        })
    }

    fn step(&self, step: &Step, batch: &Batch<'_>, work: &mut Work<'_>) -> Result<(), PluginError> {
        match step {
            Step::Put { to, from, when } => {
                let given = self.given(from, batch, work)?;
                work.each(*to, |work, i| {
                    let due = match when {
                        When::Always => true,
                        When::Absent => !work.is_there(*to, i),
                        When::Present => work.is_there(*to, i),
                    };
                    if due { given.cell(work, i) } else { None }
                });
            }
            Step::Delete { slot } => work.each(*slot, |_, _| Some(Cell::Gone)),
            Step::Rename { from, to } => {
                work.each(*to, |work, i| work.copy(*from, i));
                if from != to {
                    work.each(*from, |_, _| Some(Cell::Gone));
                }
            }
            Step::Hash { slot } => work.change(*slot, hash::hashed)?,
            Step::Convert { slot, to } => work.change(*slot, |value| converted(value, *to))?,
            Step::Extract { slot, pattern, to } => {
                let names: Vec<&str> = to
                    .iter()
                    .filter_map(|slot| Some(self.slots.get(*slot)?.key.as_str()))
                    .collect();
                work.spread(*slot, to, |value| match value {
                    Any::Text(text) => extracted(pattern, &names, text),
                    _ => None,
                })?;
            }
            // What has been read or made by now; all others are found by `likes`.
            Step::DeleteLike { pattern } => {
                for slot in self.slots_like(pattern) {
                    work.each(slot, |_, _| Some(Cell::Gone));
                }
            }
            Step::HashLike { pattern } => {
                for slot in self.slots_like(pattern) {
                    work.change(slot, hash::hashed)?;
                }
            }
        }
        Ok(())
    }

    fn slots_like(&self, pattern: &Pattern) -> impl Iterator<Item = usize> {
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, slot)| pattern.is_match(&slot.key)).map(|(i, _)| i)
    }

    /// Deletes and hashes attributes as they came, by patterns of their keys.
    fn likes(
        &self,
        batch: &Batch<'_>,
        rows: Option<&[bool]>,
        answer: &mut Answer,
    ) -> Result<(), PluginError> {
        let deletes = |key: &str| {
            self.steps.iter().any(|step| match step {
                Step::DeleteLike { pattern } => pattern.is_match(key),
                _ => false,
            })
        };
        let read = match self.likes {
            Likes::None => return Ok(()),
            Likes::Keys => {
                for key in batch.span_attribute_keys()?.values().filter(|key| deletes(key)) {
                    answer.delete_key(self.owner, key);
                }
                return Ok(());
            }
            Likes::Pairs(read) => read,
        };
        let hashes = |key: &str| {
            self.steps.iter().any(|step| match step {
                Step::HashLike { pattern } => pattern.is_match(key),
                _ => false,
            })
        };
        let pairs = batch.pairs(read)?;
        let keys: Vec<(bool, bool)> =
            pairs.keys().values().map(|key| (deletes(key), hashes(key))).collect();
        let values = pairs.values();
        let edits = answer.set_pairs(&pairs);
        let due = |owner: &usize| rows.is_none_or(|rows| rows.get(*owner) == Some(&true));
        for pair in (0..pairs.owners()).filter(due).flat_map(|owner| pairs.of(owner)) {
            match pairs.keys().index(pair).and_then(|key| keys.get(key)) {
                Some((true, _)) => edits.remove(pair),
                Some((_, true)) => {
                    let value = Any::from_value(values.value(pair))?;
                    if let Some(hash) = value.and_then(|value| hash::hashed(&value)) {
                        edits.put(pair, hash.as_value(&mut Vec::new()));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Step {
    /// All slots that it touches.
    fn slots(&self) -> Vec<usize> {
        [self.reads(), self.writes()].concat()
    }

    /// Those whose values it looks at.
    fn reads(&self) -> Vec<usize> {
        match self {
            Self::Put { to, from, when } => {
                let to = (*when != When::Always).then_some(*to);
                let from = match from {
                    Source::Slot(slot) => Some(*slot),
                    Source::Literal(_) | Source::Peer => None,
                };
                to.into_iter().chain(from).collect()
            }
            Self::Rename { from, .. } => vec![*from],
            Self::Hash { slot } | Self::Convert { slot, .. } | Self::Extract { slot, .. } => {
                vec![*slot]
            }
            Self::Delete { .. } | Self::DeleteLike { .. } | Self::HashLike { .. } => vec![],
        }
    }

    fn writes(&self) -> Vec<usize> {
        match self {
            Self::Put { to, .. } => vec![*to],
            Self::Rename { from, to } => vec![*from, *to],
            Self::Delete { slot } | Self::Hash { slot } | Self::Convert { slot, .. } => vec![*slot],
            Self::Extract { to, .. } => to.clone(),
            Self::DeleteLike { .. } | Self::HashLike { .. } => vec![],
        }
    }

    /// The slot whose value it takes as it is, arrays and maps included.
    fn copies(&self) -> Option<usize> {
        match self {
            Self::Put { from: Source::Slot(slot), .. } => Some(*slot),
            Self::Rename { from, .. } => Some(*from),
            _ => None,
        }
    }
}

/// A value as another type; `None` where it has no meaning there, and stays.
fn converted(value: &Any, to: Type) -> Option<Any> {
    let text = text_of(value)?;
    match to {
        Type::Text => Some(Any::Text(text)),
        Type::Bool => text.parse().ok().map(Any::Bool),
        Type::Double => match value {
            Any::Bool(bool) => Some(Any::Double(f64::from(u8::from(*bool)))),
            _ => text.trim().parse().ok().map(Any::Double),
        },
        Type::Int => match value {
            Any::Bool(bool) => Some(Any::Int((*bool).into())),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "towards zero, at most to the ends"
            )]
            Any::Double(double) => Some(Any::Int(*double as i64)),
            _ => text.trim().parse().ok().map(Any::Int),
        },
    }
}

/// The texts of the groups by these names; `None` where the pattern does not match.
fn extracted(pattern: &Pattern, names: &[&str], text: &str) -> Option<Vec<Option<Any>>> {
    let groups = pattern.groups(text)?;
    let group = |name: &&str| groups.iter().find(|(there, _)| there == name);
    Some(names.iter().map(|name| group(name).map(|(_, text)| Any::from(*text))).collect())
}
