//! Edits of a draft, one by one. Each tells how many things it has changed: what is set to what it was is no change.

use model::otlp::outline::Stretch;

use super::{Draft, Edit, Found, Value, Word, at32, count, original};
use crate::answer::RENAMES_MAX;
use crate::batch::same;
use crate::projection::{Keys, Owner};

/// What is edited: whose it is, its place there, and the span that it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) owner: Owner,
    pub(crate) place: u32,
    /// Its own place for a span; nothing for a resource or scope.
    pub(crate) span: u32,
}

/// How many attributes of a span are noted, mostly, with one that is new.
const SLOTS: usize = 3;

/// New keys for attributes, one pair of keys after the other; each sees what those before it did.
#[derive(Debug)]
pub(crate) struct Renaming<'a> {
    /// From and to.
    pairs: Vec<(&'a [u8], &'a [u8])>,
    /// The places of pairs by the key that they rename.
    from: Keys,
    /// Where there is an attribute by the new key it goes; else nothing happens to the one by the old key.
    replace: bool,
}

/// Places of pairs.
type Places = [u64; RENAMES_MAX / 64];

impl<'a> Renaming<'a> {
    /// No more than [`RENAMES_MAX`] pairs; others are left out.
    pub(crate) fn new(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>, replace: bool) -> Self {
        let pairs: Vec<_> = pairs.filter(|(from, to)| from != to).take(RENAMES_MAX).collect();
        let mut from = Keys::default();
        for (place, (key, _)) in (0..).zip(&pairs) {
            from.insert(key, place);
        }
        from.seal();
        Self { pairs, from, replace }
    }

    fn new_key(&self, place: usize) -> &'a [u8] {
        self.pairs.get(place).map_or(&[], |(_, to)| to)
    }

    /// Notes the pairs that rename a key, from a place on.
    fn note(&self, key: &[u8], from: usize, due: &mut Places) {
        self.from.each(key, |place| {
            let place = place as usize;
            if let Some(word) = due.get_mut(place / 64).filter(|_| place >= from) {
                *word |= 1 << (place % 64);
            }
        });
    }
}

/// Takes out the first place.
fn pop(places: &mut Places) -> Option<usize> {
    let word = places.iter().position(|word| *word != 0)?;
    let bits = places.get_mut(word)?;
    let bit = bits.trailing_zeros() as usize;
    *bits &= *bits - 1;
    Some(word * 64 + bit)
}

/// What an attribute is called while there are renames.
#[derive(Clone, Copy)]
enum Called<'a> {
    /// As it was.
    Old(&'a [u8]),
    /// By the new key of this pair.
    New(usize),
    Gone,
}

impl Target {
    pub(crate) const fn new(owner: Owner, place: u32, span: u32) -> Self {
        Self { owner, place, span }
    }

    pub(crate) const fn span(place: u32) -> Self {
        Self { owner: Owner::Span, place, span: place }
    }
}

impl Draft {
    /// Makes room for new bytes, and for edits of nearly all spans where there are as many.
    pub(crate) fn reserve(&mut self, bytes: usize, edits: usize) {
        self.memory.reserve(bytes);
        if edits > self.outline.spans.len() / 2 {
            let more = self.outline.spans.len().saturating_sub(self.edits.len());
            self.edits.reserve(more);
            self.slots.reserve(more * SLOTS);
        }
    }

    /// How many bytes can still be written.
    pub(crate) const fn room(&self) -> usize {
        self.memory.room()
    }

    /// Writes an attribute, to be put in a place or several.
    pub(crate) fn write(&mut self, owner: Owner, key: &[u8], value: Value<'_>) -> u32 {
        self.memory.put_attribute(owner, key, value)
    }

    /// Sets an attribute: the first by its key gets the value, others by it go, and where there is none it is added.
    pub(crate) fn set(&mut self, of: Target, key: &[u8], value: Value<'_>) -> u64 {
        let new = self.write(of.owner, key, value);
        let changed = self.place(of, key, new, Found::Unknown);
        if changed == 0 {
            self.memory.take_back(new);
        }
        changed
    }

    /// The same with an attribute that has been written; it may be the one of others, too. Where the attribute was what
    /// it is to be, what was written has no place.
    pub(crate) fn place(&mut self, of: Target, key: &[u8], new: u32, found: Found) -> u64 {
        let slot = match found {
            Found::At(slot) => Some(slot),
            Found::Nowhere => None,
            Found::Unknown => self.find(of, key, 0),
        };
        let Some(slot) = slot else {
            self.append(of, new);
            return 1;
        };
        let changed = self.replace(of, slot, new);
        match found {
            Found::Unknown => changed + self.remove_from(of, key, slot + 1),
            _ => changed,
        }
    }

    /// Takes back what was written last.
    pub(crate) fn take_back(&mut self, new: u32) {
        self.memory.take_back(new);
    }

    /// Notes that what was written once stands in one more place.
    pub(crate) fn repeat(&mut self, new: u32) {
        self.repeated += self.memory.whole(new).len();
    }

    /// Sets one attribute, whatever others have its key. What is gone stays gone.
    pub(crate) fn set_slot(&mut self, of: Target, slot: u32, value: Value<'_>) -> u64 {
        let Some(pair) = self.pair(of, slot) else { return 0 };
        let mut key = std::mem::take(&mut self.scratch);
        key.clear();
        key.extend_from_slice(self.memory.key(self.memory.field(pair)));
        let new = self.memory.put_attribute(of.owner, &key, value);
        self.scratch = key;
        self.replace_or_take_back(of, slot, new)
    }

    /// Removes one attribute.
    pub(crate) fn remove_slot(&mut self, of: Target, slot: u32) -> u64 {
        if self.pair(of, slot).is_none() {
            return 0;
        }
        self.put_slot(of, slot, 0);
        1
    }

    /// Removes the attributes by a key.
    pub(crate) fn remove(&mut self, of: Target, key: &[u8]) -> u64 {
        self.remove_from(of, key, 0)
    }

    fn remove_from(&mut self, of: Target, key: &[u8], mut from: u32) -> u64 {
        let mut removed = 0;
        while let Some(slot) = self.find(of, key, from) {
            self.put_slot(of, slot, 0);
            removed += 1;
            from = slot + 1;
        }
        removed
    }

    /// Removes the attributes by these keys.
    pub(crate) fn remove_any(&mut self, of: Target, keys: &Keys) -> u64 {
        let mut removed = 0;
        let mut from = 0;
        loop {
            let slots = self.attributes(of.owner, of.place).get(from..).unwrap_or_default();
            // So many at a time: a bit for each one that goes.
            let mut gone = 0u64;
            for (slot, at) in slots.iter().enumerate().take(64) {
                let is_one = *at != 0 && keys.contains(self.memory.key(self.memory.field(*at)));
                gone |= u64::from(is_one) << slot;
            }
            let is_last = slots.len() <= 64;
            if gone != 0 {
                removed += u64::from(gone.count_ones());
                self.clear_slots(of, from, gone);
            }
            if is_last {
                return removed;
            }
            from += 64;
        }
    }

    /// Removes the attributes whose bits are set, from a slot on.
    fn clear_slots(&mut self, of: Target, from: usize, mut gone: u64) {
        let Some(edit) = self.edit(of) else { return };
        let first = edit.attributes.first as usize + from;
        while gone != 0 {
            if let Some(at) = self.slots.get_mut(first + gone.trailing_zeros() as usize) {
                *at = 0;
            }
            gone &= gone - 1;
        }
    }

    /// Gives attributes other keys.
    pub(crate) fn rename(&mut self, of: Target, renaming: &Renaming<'_>) -> u64 {
        let slots = self.attributes(of.owner, of.place);
        let key = |at: &u32| (*at != 0).then(|| self.memory.key(self.memory.field(*at)));
        let mut due = Places::default();
        slots.iter().filter_map(key).for_each(|key| renaming.note(key, 0, &mut due));
        if due == Places::default() {
            return 0;
        }
        // Every attribute is written once, under its last key, however often it is renamed on the way there.
        let mut names: Vec<Called<'_>> =
            slots.iter().map(|at| key(at).map_or(Called::Gone, Called::Old)).collect();
        let key_of = |name: &Called<'_>, key: &[u8]| match name {
            Called::Old(old) => same(old, key),
            Called::New(place) => same(renaming.new_key(*place), key),
            Called::Gone => false,
        };
        while let Some(place) = pop(&mut due) {
            let Some((from, to)) = renaming.pairs.get(place).copied() else { continue };
            let found = |key: &[u8]| names.iter().any(|name| key_of(name, key));
            let has_to = found(to);
            if has_to && !renaming.replace || !found(from) {
                continue;
            }
            for name in &mut names {
                if has_to && key_of(name, to) {
                    *name = Called::Gone;
                } else if key_of(name, from) {
                    *name = Called::New(place);
                }
            }
            renaming.note(to, place + 1, &mut due);
        }
        let change = |(slot, name): (u32, &Called<'_>)| match name {
            Called::Old(_) => None,
            Called::New(place) => Some((slot, Some(*place))),
            Called::Gone => Some((slot, None)),
        };
        let changes: Vec<_> = (0..).zip(&names).filter_map(change).collect();
        let mut changed = 0;
        for (slot, place) in changes {
            changed += match place {
                Some(place) => self.put_renamed(of, slot, renaming.new_key(place)),
                None => self.remove_slot(of, slot),
            };
        }
        changed
    }

    fn put_renamed(&mut self, of: Target, slot: u32, key: &[u8]) -> u64 {
        let Some(pair) = self.pair(of, slot) else { return 0 };
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        value.extend_from_slice(self.memory.encoded_value(self.memory.field(pair)));
        let new = self.memory.put_attribute(of.owner, key, Value::Encoded(&value));
        self.scratch = value;
        self.replace_or_take_back(of, slot, new)
    }

    /// Sets a field of a span; nothing where it says so already.
    pub(crate) fn set_word(&mut self, span: u32, word: Word, value: Value<'_>) -> u64 {
        let (known, tag) = (self.word(span, word), word.tag());
        let is_known = match value {
            Value::String(text) => same(self.memory.text(known), text),
            Value::Int(value) => self.memory.number(known) == value,
            _ => true,
        };
        if is_known {
            return 0;
        }
        let at = self.memory.put_word(tag, value);
        if let Some(edit) = self.edit(Target::span(span)) {
            edit.words[word as usize] = at;
        }
        1
    }

    /// The first attribute by a key, from a slot on.
    pub(crate) fn find(&self, of: Target, key: &[u8], from: u32) -> Option<u32> {
        let slots = self.attributes(of.owner, of.place).get(from as usize..)?;
        let is_it = |at: &u32| *at != 0 && same(self.memory.key(self.memory.field(*at)), key);
        slots.iter().position(is_it).map(|slot| from + at32(slot))
    }

    /// Where the attribute of a slot stands, if it is not gone.
    fn pair(&self, of: Target, slot: u32) -> Option<u32> {
        let slots = self.attributes(of.owner, of.place);
        slots.get(slot as usize).copied().filter(|at| *at != 0)
    }

    /// Puts what was written in the place of an attribute, unless it is the same.
    fn replace(&mut self, of: Target, slot: u32, new: u32) -> u64 {
        if let Some(known) = self.pair(of, slot)
            && self.memory.whole(known) == self.memory.whole(new)
        {
            return 0;
        }
        self.put_slot(of, slot, new);
        1
    }

    /// The same with what was written last, which has no other place.
    fn replace_or_take_back(&mut self, of: Target, slot: u32, new: u32) -> u64 {
        let changed = self.replace(of, slot, new);
        if changed == 0 {
            self.memory.take_back(new);
        }
        changed
    }

    fn put_slot(&mut self, of: Target, slot: u32, at: u32) {
        let Some(edit) = self.edit(of) else { return };
        let place = (edit.attributes.first + slot) as usize;
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = at;
        }
    }

    fn append(&mut self, of: Target, at: u32) {
        let Some(number) = self.edit_number(of) else { return };
        let Self { slots, edits, .. } = self;
        let Some(edit) = edits.get_mut(number) else { return };
        // The list of what was edited last ends where it can grow; others move there.
        if slots.len() != edit.attributes.range().end {
            let first = at32(slots.len());
            slots.extend_from_within(edit.attributes.range());
            edit.attributes.first = first;
        }
        edit.attributes.count += 1;
        slots.push(at);
        self.appended += 1;
    }

    /// The edit of something, which begins with what it has.
    fn edit(&mut self, of: Target) -> Option<&mut Edit> {
        let number = self.edit_number(of)?;
        self.edits.get_mut(number)
    }

    #[inline]
    fn edit_number(&mut self, of: Target) -> Option<usize> {
        let Target { owner, place, span } = of;
        if matches!(owner, Owner::Event | Owner::Link) {
            self.edit(Target::span(span))?.nested = true;
        }
        match self.edit_of[owner as usize].get(place as usize) {
            Some(number @ 1..) => Some(*number as usize - 1),
            _ => self.begin_edit(owner, place),
        }
    }

    fn begin_edit(&mut self, owner: Owner, place: u32) -> Option<usize> {
        let edit_of = &mut self.edit_of[owner as usize];
        if edit_of.is_empty() {
            edit_of.resize(count(&self.outline, owner), 0);
        }
        let edit_of = edit_of.get_mut(place as usize)?;
        let slots = original(&self.outline, owner, place);
        let attributes = Stretch { first: at32(self.slots.len()), count: at32(slots.len()) };
        self.slots.extend_from_slice(slots);
        self.edits.push(Edit { attributes, ..Edit::default() });
        *edit_of = at32(self.edits.len());
        Some(self.edits.len() - 1)
    }
}
