//! An answer held against its batch and its plan.

use traceweir_plugin::codes::{REPLACE, answer, domain, layout, tag};

use super::sections::{Section, Texts, sections, u32_at};
use super::values::Values;
use super::verdicts::Verdicts;
use super::{Additions, Bounds, Deletions, Edits, Fault, RENAMES_MAX, Renames, Set, owner_of};
use crate::batch::{Batch, domain_of};
use crate::draft::{Draft, Word};
use crate::projection::{Intrinsic, KEY_BYTES_MAX, Keys, Owner, Plan, Role, Write};

/// Most keys that one answer deletes of one owner: more are told apart more slowly, and those who answer choose them.
const DELETIONS_MAX: usize = 4_096;
/// Most beginnings of keys by which one answer deletes of one owner: each key is held against all of them.
const STARTS_MAX: usize = 64;
/// Most attributes that one answer adds to one span, resource, scope, event or link: each is looked for among all that
/// it has.
const ADDITIONS_MAX: u16 = 256;
/// Most counters that one answer raises.
const COUNTS_MAX: usize = 1_024;
/// What a threshold takes in a tracestate that has none, with the field around it.
const THRESHOLD_BYTES: usize = 64;

impl<'a> Edits<'a> {
    /// Reads an answer to a batch of a draft.
    ///
    /// # Errors
    /// Names the section and what is wrong there. Nothing of the answer counts then.
    pub fn decode(
        answer: &'a [u8],
        draft: &Draft,
        plan: &Plan,
        batch: &Batch,
        bounds: &Bounds,
    ) -> Result<Self, Fault> {
        if answer.len() > bounds.answer_bytes_max {
            let message =
                format!("answer has {} bytes, limit is {}", answer.len(), bounds.answer_bytes_max);
            return Err(Fault::new("header", message));
        }
        let sections = sections(answer, &batch.shape)?;
        let mut decoder = Decoder { draft, plan, batch, edits: Self::default(), added: Vec::new() };
        for column in sections.chunk_by(|a, b| a.name() == b.name()) {
            if let Some(first) = column.first() {
                decoder.column(first, column, &sections)?;
            }
        }
        let renamed = Owner::ALL.map(|owner| decoder.renamed_bytes(owner));
        let mut edits = decoder.edits;
        edits.written += renamed.iter().sum::<usize>();
        let room = bounds.written_bytes_max.min(draft.room());
        if edits.written > room {
            let message = format!("writes up to {} bytes, limit is {room}", edits.written);
            return Err(Fault::new("header", message));
        }
        if edits.verdicts.is_none() && plan.is_sampler() {
            return Err(Fault::new("verdict", "there is none"));
        }
        Ok(edits)
    }
}

impl Plan {
    const fn is_sampler(&self) -> bool {
        matches!(self.role, Role::HeadSampler | Role::TailSampler(_))
    }

    /// Whether a section may stand in its answers.
    const fn may_answer(&self, kind: u16) -> bool {
        match kind {
            answer::REASON | answer::SET | answer::COUNT => !matches!(self.role, Role::Router),
            answer::VERDICT | answer::PROBABILITY => self.is_sampler(),
            _ => matches!(self.role, Role::SpanProcessor),
        }
    }
}

/// An answer on its way.
struct Decoder<'a, 'b> {
    draft: &'b Draft,
    plan: &'b Plan,
    batch: &'b Batch,
    edits: Edits<'a>,
    /// How many attributes each span gets, and so on, by owner; empty until one does.
    added: Vec<Vec<u16>>,
}

impl<'a> Decoder<'a, '_> {
    /// Reads the sections of one kind and argument; parts of additions lie among all sections.
    fn column(
        &mut self,
        first: &Section<'a>,
        column: &[Section<'a>],
        all: &[Section<'a>],
    ) -> Result<(), Fault> {
        if !self.plan.may_answer(first.kind) {
            return Err(first.fault("is not for such a plugin"));
        }
        if column.len() > 1 && !matches!(first.kind, answer::SET | answer::SET_PAIRS | answer::ADD)
        {
            return Err(first.fault("stands twice"));
        }
        match first.kind {
            answer::KEEP => self.keep(first),
            answer::REASON => self.reasons(first),
            answer::VERDICT => self.verdicts(first, all),
            answer::RENAME => self.renames(first),
            answer::DELETE_KEYS => self.deletions(first),
            answer::DELETE_STARTS => self.deletions_by_start(first),
            answer::SET_PAIRS => self.pairs(first, column),
            answer::SET => self.set(first, column),
            answer::ADD => self.additions(first, column, all),
            answer::COUNT => self.counts(first),
            // Read with what they belong to.
            _ => self.part(first, all),
        }
    }

    /// What rows are called here, and how many there are.
    fn rows(&self) -> (u8, usize) {
        match self.plan.role {
            Role::TailSampler(_) => (domain::TRACES, self.batch.shape.traces.len()),
            Role::SpanProcessor | Role::HeadSampler | Role::Router => {
                (domain::SPANS, self.batch.shape.rows.len())
            }
        }
    }

    fn keep(&mut self, section: &Section<'a>) -> Result<(), Fault> {
        head(section, layout::BITMAP, domain::SPANS, Some(0))?;
        let rows = self.batch.shape.rows.len();
        let Some(_) = section.bytes.get(..rows.div_ceil(64) * 8) else {
            return Err(section.fault(format!("has {} bytes for {rows} rows", section.bytes.len())));
        };
        let past = |(place, byte): (usize, &u8)| match rows.checked_sub(8 * place) {
            Some(left @ 0..8) => *byte >> left != 0,
            Some(_) => false,
            None => *byte != 0,
        };
        if section.bytes.iter().enumerate().skip(rows / 8).any(past) {
            return Err(section.fault("a bit past the last row is set"));
        }
        self.edits.keep = Some(section.bytes);
        Ok(())
    }

    fn reasons(&mut self, section: &Section<'a>) -> Result<(), Fault> {
        let (domain, rows) = self.rows();
        head(section, layout::TEXT, domain, Some(0))?;
        self.edits.reasons = Some(Texts::read(section, Some(rows))?);
        Ok(())
    }

    fn verdicts(&mut self, section: &Section<'a>, all: &[Section<'a>]) -> Result<(), Fault> {
        let (domain, rows) = self.rows();
        head(section, layout::U8, domain, Some(0))?;
        let probabilities = all.iter().find(|of| of.name() == (answer::PROBABILITY, 0));
        if let Some(section) = probabilities {
            head(section, layout::F64, domain, Some(0))?;
        }
        let verdicts = Verdicts::read(section, probabilities, rows)?;
        if self.plan.role == Role::HeadSampler
            && let Some(row) = verdicts.torn(self.draft, self.batch)
        {
            let message = format!("entry {row} is of a trace of which another row says otherwise");
            return Err(section.fault(message));
        }
        if probabilities.is_some() {
            let state = |row: &u32| self.draft.memory.text(self.draft.word(*row, Word::TraceState));
            let bytes = self.batch.shape.rows.iter().map(|row| state(row).len() + THRESHOLD_BYTES);
            self.edits.written += bytes.sum::<usize>();
        }
        self.edits.verdicts = Some(verdicts);
        Ok(())
    }

    /// Keys of an owner, all of which may be written.
    fn keys(&self, section: &Section<'a>, owner: Owner) -> Result<Texts<'a>, Fault> {
        head(section, layout::TEXT, domain::NONE, None)?;
        let keys = Texts::read(section, None)?;
        for entry in 0..keys.entries {
            let key = key(section, &keys, entry)?;
            if !self.plan.may_write(owner, key) {
                let key = String::from_utf8_lossy(key);
                return Err(section.fault(format!("{key:?} is not in `writes`")));
            }
        }
        Ok(keys)
    }

    fn renames(&mut self, section: &Section<'a>) -> Result<(), Fault> {
        let owner = owner_of(section.argument & !REPLACE);
        let owner = owner.ok_or_else(|| section.fault("there is no such owner"))?;
        let keys = self.keys(section, owner)?;
        if keys.entries % 2 != 0 {
            return Err(section.fault("a key has no new one"));
        }
        if keys.entries / 2 > RENAMES_MAX {
            return Err(section.fault(format!("has more than {RENAMES_MAX} keys")));
        }
        let replace = section.argument & REPLACE != 0;
        self.edits.renames.push(Renames { owner, replace, keys });
        Ok(())
    }

    /// What is written where attributes of somebody get other keys: each list of keys writes an attribute once, under
    /// the last key that it gets, and may rename what the other has renamed.
    fn renamed_bytes(&self, owner: Owner) -> usize {
        let lists = || self.edits.renames.iter().filter(|renames| renames.owner == owner);
        let (mut keys, mut longest) = (Keys::default(), 0);
        for key in lists().flat_map(|renames| renames.keys.values()) {
            keys.insert(key, 0);
            longest = longest.max(key.len());
        }
        keys.seal();
        if keys.is_empty() {
            return 0;
        }
        let (memory, shape) = (&self.draft.memory, &self.batch.shape);
        let of = |entry| {
            let attributes = self.draft.attributes(owner, shape.place(owner, entry));
            let pairs = attributes.iter().filter(|at| **at != 0).map(|at| memory.field(*at));
            let renamed = pairs.filter(|pair| keys.contains(memory.key(pair)));
            renamed.map(|pair| pair.len() + longest + THRESHOLD_BYTES).sum::<usize>()
        };
        (0..shape.count(owner)).map(of).sum::<usize>() * lists().count()
    }

    fn deletions(&mut self, section: &Section<'a>) -> Result<(), Fault> {
        let owner = owner_of(section.argument);
        let owner = owner.ok_or_else(|| section.fault("there is no such owner"))?;
        let keys = self.keys(section, owner)?;
        if keys.entries > DELETIONS_MAX {
            return Err(section.fault(format!("has more than {DELETIONS_MAX} keys")));
        }
        self.edits.deletions.push(Deletions { owner, by_start: false, texts: keys });
        Ok(())
    }

    fn deletions_by_start(&mut self, section: &Section<'a>) -> Result<(), Fault> {
        let owner = owner_of(section.argument);
        let owner = owner.ok_or_else(|| section.fault("there is no such owner"))?;
        head(section, layout::TEXT, domain::NONE, None)?;
        let texts = Texts::read(section, None)?;
        if texts.entries > STARTS_MAX {
            return Err(section.fault(format!("has more than {STARTS_MAX} texts")));
        }
        for entry in 0..texts.entries {
            let start = texts.get(entry).unwrap_or_default();
            if !self.plan.may_write_all(owner, start) {
                let start = String::from_utf8_lossy(start);
                return Err(section.fault(format!("all of {start:?} is not in `writes`")));
            }
        }
        self.edits.deletions.push(Deletions { owner, by_start: true, texts });
        Ok(())
    }

    fn pairs(&mut self, first: &Section<'a>, column: &[Section<'a>]) -> Result<(), Fault> {
        let of = self.plan.pairs_of.get(first.argument as usize).copied().flatten();
        let place = of.ok_or_else(|| first.fault("no such field `attributes` is read"))?;
        let (Some(pairs), Some(plan)) = (self.batch.pairs.get(place), self.plan.pairs.get(place))
        else {
            return Err(first.fault("no such field `attributes` is read"));
        };
        domain_is(first, domain::PAIRS)?;
        let (values, bytes) = Values::read(column, pairs.slots.len())?;
        self.edits.written += bytes;
        for (pair, _) in values.tags().iter().enumerate().filter(|(_, tag)| **tag != tag::ABSENT) {
            let key = pairs.key(pair);
            self.edits.written += key.len();
            if !plan.is_writable && !self.plan.may_write(plan.owner, key) {
                let key = String::from_utf8_lossy(key);
                return Err(first.fault(format!("{key:?} is not in `writes`")));
            }
        }
        self.edits.pairs.push((place, values));
        Ok(())
    }

    fn set(&mut self, first: &Section<'a>, column: &[Section<'a>]) -> Result<(), Fault> {
        let field = first.argument as usize;
        let shape = &self.batch.shape;
        let (owner, key_bytes) = match self.plan.writes.get(field) {
            Some(Write::Intrinsic(_)) => (Owner::Span, 0),
            Some(Write::Attribute { owner, key, .. }) => (*owner, key.len()),
            Some(Write::Attributes { .. }) => {
                return Err(first.fault("the field is several attributes"));
            }
            None => return Err(first.fault("is not in `writes`")),
        };
        let by_resource = first.domain == domain::RESOURCES
            && matches!(
                self.plan.writes.get(field),
                Some(Write::Attribute { owner: Owner::Span, .. })
            );
        if !by_resource {
            domain_is(first, domain_of(owner))?;
        }
        let said_by = if by_resource { Owner::Resource } else { owner };
        let (values, bytes) = Values::read(column, shape.shown(said_by))?;
        let present = |tags: &[u8]| tags.iter().filter(|tag| **tag != tag::ABSENT).count();
        self.edits.written += if by_resource {
            let of_row = |resource: &u32| values.bytes(*resource as usize) + key_bytes;
            shape.resource_of.iter().map(of_row).sum::<usize>()
        } else {
            bytes + key_bytes * present(values.tags())
        };
        if let Some(Write::Intrinsic(intrinsic)) = self.plan.writes.get(field) {
            check_intrinsic(first, *intrinsic, &values)?;
        }
        self.edits.sets.push(Set { field, by_resource, values });
        Ok(())
    }

    fn additions(
        &mut self,
        first: &Section<'a>,
        column: &[Section<'a>],
        all: &[Section<'a>],
    ) -> Result<(), Fault> {
        let (owner, start) = match self.plan.writes.get(first.argument as usize) {
            Some(Write::Attributes { owner, start }) => (*owner, start),
            _ => return Err(first.fault("no such field `attributes` is in `writes`")),
        };
        domain_is(first, domain::NONE)?;
        let of = |kind: u16| {
            let section = all.iter().find(|of| of.name() == (kind, first.argument));
            section.ok_or_else(|| Fault::of((kind, first.argument), "there is none"))
        };
        let (owners, keys) = (of(answer::ADD_OWNER)?, of(answer::ADD_KEY)?);
        head(owners, layout::U32, domain::NONE, None)?;
        head(keys, layout::TEXT, domain::NONE, None)?;
        let (owners_bytes, rest) = owners.bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(owners.fault("ends within a number"));
        }
        let entries = owners_bytes.len();
        let (values, bytes) = Values::read(column, entries)?;
        let texts = Texts::read(keys, Some(entries))?;
        self.edits.written += bytes;
        for entry in 0..entries {
            let key = key(keys, &texts, entry)?;
            if !key.starts_with(start) {
                let key = String::from_utf8_lossy(key);
                return Err(keys.fault(format!("{key:?} does not begin as the field does")));
            }
            self.edits.written += key.len();
            if values.tags().get(entry) == Some(&tag::REMOVE) {
                return Err(first.fault(format!("entry {entry} removes what it adds")));
            }
            self.count_addition(owners, owner, entry)?;
        }
        let owners = owners.bytes;
        self.edits.additions.push(Additions { owner, owners, keys: texts, values });
        Ok(())
    }

    fn count_addition(
        &mut self,
        section: &Section<'_>,
        owner: Owner,
        entry: usize,
    ) -> Result<(), Fault> {
        if self.added.is_empty() {
            let none = |owner: &Owner| vec![0; self.batch.shape.shown(*owner)];
            self.added = Owner::ALL.iter().map(none).collect();
        }
        let number = u32_at(section.bytes, 4 * entry).map_or(usize::MAX, |number| number as usize);
        let added = self.added.get_mut(owner as usize).and_then(|of| of.get_mut(number));
        let Some(added) = added else {
            return Err(section.fault(format!("entry {entry} is of {number}, which there is not")));
        };
        *added += 1;
        if *added > ADDITIONS_MAX {
            let message = format!("{number} gets more than {ADDITIONS_MAX} attributes");
            return Err(section.fault(message));
        }
        Ok(())
    }

    fn counts(&mut self, section: &Section<'a>) -> Result<(), Fault> {
        head(section, layout::COUNTS, domain::NONE, Some(0))?;
        let (counts, rest) = section.bytes.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(section.fault("ends within a count"));
        }
        if counts.len() > COUNTS_MAX {
            return Err(section.fault(format!("has more than {COUNTS_MAX} counts")));
        }
        if let Some(entry) = counts.iter().position(|count| count.get(4..8) != Some(&[0; 4])) {
            return Err(section.fault(format!("entry {entry} has no zero behind its id")));
        }
        self.edits.counts = section.bytes;
        Ok(())
    }

    /// A section that is read with another one, which must be there.
    fn part(&self, section: &Section<'a>, all: &[Section<'a>]) -> Result<(), Fault> {
        let whole = match section.kind {
            answer::PROBABILITY => answer::VERDICT,
            _ => answer::ADD,
        };
        if all.iter().any(|of| of.name() == (whole, section.argument)) {
            return Ok(());
        }
        Err(section.fault(format!("belongs to {}, which there is not", super::name(whole))))
    }
}

/// A key, as they have to be.
fn key<'a>(section: &Section<'_>, keys: &Texts<'a>, entry: usize) -> Result<&'a [u8], Fault> {
    let key = keys.get(entry).unwrap_or_default();
    match key.len() {
        1..=KEY_BYTES_MAX => Ok(key),
        0 => Err(section.fault(format!("key {entry} is empty"))),
        bytes => {
            let message = format!("key {entry} has {bytes} bytes, limit is {KEY_BYTES_MAX}");
            Err(section.fault(message))
        }
    }
}

fn domain_is(section: &Section<'_>, domain: u8) -> Result<(), Fault> {
    if section.domain == domain {
        return Ok(());
    }
    Err(section.fault(format!("domain is {}, expected {domain}", section.domain)))
}

/// Type, domain and, where there is one alone, argument.
fn head(section: &Section<'_>, layout: u8, domain: u8, argument: Option<u32>) -> Result<(), Fault> {
    if section.layout != layout {
        return Err(section.fault(format!("type is {}, expected {layout}", section.layout)));
    }
    if argument.is_some_and(|argument| argument != section.argument) {
        return Err(section.fault("argument is not 0"));
    }
    domain_is(section, domain)
}

/// Intrinsic fields are set with the tag of their type, and to what OTLP knows.
fn check_intrinsic(
    section: &Section<'_>,
    intrinsic: Intrinsic,
    values: &Values<'_>,
) -> Result<(), Fault> {
    let most = match intrinsic {
        Intrinsic::Kind => Some(5),
        Intrinsic::StatusCode => Some(2),
        _ => None,
    };
    let right = |entry: usize, tag: u8| match (tag, most) {
        (tag::ABSENT, _) | (tag::STRING, None) => true,
        (tag::REMOVE, None) => intrinsic != Intrinsic::Name,
        (tag::INT, Some(most)) => values.int(entry) <= most,
        _ => false,
    };
    let mut tags = values.tags().iter().enumerate();
    match tags.find(|(entry, tag)| !right(*entry, **tag)) {
        None => Ok(()),
        Some((entry, tag)) => {
            let message = format!("entry {entry} with the tag {tag} is none for {intrinsic:?}");
            Err(section.fault(message))
        }
    }
}
