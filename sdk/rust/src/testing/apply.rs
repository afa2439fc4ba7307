//! Does to a fixture what an answer says, as a host does it to spans: what is outside of `writes` fails the answer.

use super::decoded::{Decoded, Edit};
use super::fixture::{Attributes, Fixture, Span};
use crate::answer::Clash;
use crate::any::Any;
use crate::error::PluginError;
use crate::projection::{Attribute, Field, Intrinsic, Owner, Projection};

/// Keys are at most so long.
const KEY_BYTES_MAX: usize = 512;

/// An attribute, and where it stood when the batch was made.
struct Slot {
    at: usize,
    key: String,
    value: Any,
}

/// The attributes of each span, resource, scope, event or link.
type Lists = Vec<Vec<Slot>>;

/// The spans as the answer leaves them; those that it drops are gone.
///
/// # Errors
///
/// Bad input, where a host would refuse the answer.
pub fn apply(
    fixture: &Fixture,
    projection: &Projection,
    answer: &Decoded,
) -> Result<Fixture, PluginError> {
    let mut after = fixture.clone();
    let mut lists = Owner::ALL.map(|owner| lists(&mut after, owner));
    rename(&mut lists, projection, answer)?;
    for (owner, key) in &answer.deletes {
        may_write(projection, *owner, key)?;
        for list in &mut lists[*owner as usize] {
            list.retain(|slot| slot.key != *key);
        }
    }
    for (owner, start) in &answer.starts {
        let covered = projection.writes.iter().any(|field| match field {
            Field::Attributes(all) => all.owner == *owner && start.starts_with(&all.key),
            Field::Attribute(_) | Field::Intrinsic(_) => false,
        });
        if !covered {
            return Err(PluginError::BadInput(format!("{start}* may not be written")));
        }
        for list in &mut lists[*owner as usize] {
            list.retain(|slot| !slot.key.starts_with(start));
        }
    }
    set_pairs(&mut lists, fixture, projection, answer)?;
    for ((place, per), edits) in &answer.sets {
        match projection.writes.get(*place as usize) {
            Some(Field::Attribute(attribute)) => {
                set(&mut lists, fixture, attribute, *per, edits)?;
            }
            Some(Field::Intrinsic(intrinsic)) if *per == Owner::Span => {
                set_intrinsic(&mut after, *intrinsic, edits)?;
            }
            _ => return Err(refused("a set of a field that may not be set")),
        }
    }
    for add in &answer.adds {
        let Some(Field::Attribute(field) | Field::Attributes(field)) =
            projection.writes.get(add.write as usize)
        else {
            return Err(refused("an addition to a field that has no attributes"));
        };
        may_write(projection, field.owner, &add.key)?;
        let list = lists[field.owner as usize].get_mut(add.owner as usize);
        let list = list.ok_or_else(|| refused("an addition to what there is not"))?;
        put(list, &add.key, &Edit::Set(add.value.clone()));
    }
    for (owner, lists) in Owner::ALL.into_iter().zip(lists) {
        for (list, slots) in owners(&mut after, owner).into_iter().zip(lists) {
            *list = slots.into_iter().map(|slot| (slot.key, slot.value)).collect();
        }
    }
    drop_spans(&mut after, answer);
    Ok(after)
}

fn refused(why: &str) -> PluginError {
    PluginError::bad_input(why)
}

fn owners(fixture: &mut Fixture, owner: Owner) -> Vec<&mut Attributes> {
    let resources = fixture.resources.iter_mut();
    if owner == Owner::Resource {
        return resources.map(|resource| &mut resource.attributes).collect();
    }
    let scopes = resources.flat_map(|resource| &mut resource.scopes);
    if owner == Owner::Scope {
        return scopes.map(|scope| &mut scope.attributes).collect();
    }
    let spans = scopes.flat_map(|scope| &mut scope.spans);
    match owner {
        Owner::Event => spans.flat_map(|of| &mut of.events).map(|of| &mut of.attributes).collect(),
        Owner::Link => spans.flat_map(|of| &mut of.links).map(|of| &mut of.attributes).collect(),
        _ => spans.map(|span| &mut span.attributes).collect(),
    }
}

fn lists(fixture: &mut Fixture, owner: Owner) -> Lists {
    let slots = |list: &mut Attributes| {
        let slots = std::mem::take(list).into_iter().enumerate();
        slots.map(|(at, (key, value))| Slot { at, key, value }).collect()
    };
    owners(fixture, owner).into_iter().map(slots).collect()
}

/// Refuses a key that no field in `writes` covers.
fn may_write(projection: &Projection, owner: Owner, key: &str) -> Result<(), PluginError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(refused("a key of 0 or more than 512 bytes"));
    }
    let covered = projection.writes.iter().any(|field| match field {
        Field::Intrinsic(_) => false,
        Field::Attribute(attribute) => attribute.owner == owner && attribute.key == key,
        Field::Attributes(all) => all.owner == owner && key.starts_with(&all.key),
    });
    if covered { Ok(()) } else { Err(PluginError::BadInput(format!("{key} may not be written"))) }
}

fn rename(
    lists: &mut [Lists; 5],
    projection: &Projection,
    answer: &Decoded,
) -> Result<(), PluginError> {
    for (owner, from, to, clash) in &answer.renames {
        may_write(projection, *owner, from)?;
        may_write(projection, *owner, to)?;
        for list in &mut lists[*owner as usize] {
            let there = |key: &str, list: &[Slot]| list.iter().any(|slot| slot.key == key);
            if !there(from, list) || from == to || (*clash == Clash::Keep && there(to, list)) {
                continue;
            }
            list.retain(|slot| slot.key != *to);
            for slot in list.iter_mut().filter(|slot| slot.key == *from) {
                slot.key.clone_from(to);
            }
        }
    }
    Ok(())
}

fn set_pairs(
    lists: &mut [Lists; 5],
    fixture: &Fixture,
    projection: &Projection,
    answer: &Decoded,
) -> Result<(), PluginError> {
    for (place, edits) in &answer.pairs {
        let Some(Field::Attributes(field)) = projection.reads.get(*place as usize) else {
            return Err(refused("pairs that were not read"));
        };
        let mut read = fixture.clone();
        let mut edits = edits.iter();
        for (list, now) in
            owners(&mut read, field.owner).iter().zip(&mut lists[field.owner as usize])
        {
            for (at, (key, _)) in list.iter().enumerate() {
                if !key.starts_with(&field.key) {
                    continue;
                }
                let edit = edits.next().ok_or_else(|| refused("fewer edits than pairs"))?;
                if *edit == Edit::Stay {
                    continue;
                }
                may_write(projection, field.owner, key)?;
                match edit {
                    Edit::Remove => now.retain(|slot| slot.at != at),
                    Edit::Set(value) => {
                        for slot in now.iter_mut().filter(|slot| slot.at == at) {
                            slot.value = value.clone();
                        }
                    }
                    Edit::Stay => {}
                }
            }
        }
        if edits.next().is_some() {
            return Err(refused("more edits than pairs"));
        }
    }
    Ok(())
}

fn set(
    lists: &mut [Lists; 5],
    fixture: &Fixture,
    attribute: &Attribute,
    per: Owner,
    edits: &[Edit],
) -> Result<(), PluginError> {
    let lists = &mut lists[attribute.owner as usize];
    let edits: Vec<&Edit> = if per == attribute.owner {
        edits.iter().collect()
    } else if (attribute.owner, per) == (Owner::Span, Owner::Resource) {
        per_resource(fixture, edits)?
    } else {
        return Err(refused("a set of another domain"));
    };
    if edits.len() != lists.len() {
        return Err(refused("a set of more or fewer than there are"));
    }
    for (list, edit) in lists.iter_mut().zip(edits) {
        put(list, &attribute.key, edit);
    }
    Ok(())
}

/// The edit of its resource for each span.
fn per_resource<'e>(fixture: &Fixture, edits: &'e [Edit]) -> Result<Vec<&'e Edit>, PluginError> {
    if edits.len() != fixture.resources.len() {
        return Err(refused("a set of more or fewer than there are resources"));
    }
    let spans = |resource: &super::fixture::Resource| -> usize {
        resource.scopes.iter().map(|scope| scope.spans.len()).sum()
    };
    let edits = fixture.resources.iter().zip(edits);
    Ok(edits.flat_map(|(resource, edit)| std::iter::repeat_n(edit, spans(resource))).collect())
}

fn put(list: &mut Vec<Slot>, key: &str, edit: &Edit) {
    let value = match edit {
        Edit::Stay => return,
        Edit::Remove => return list.retain(|slot| slot.key != key),
        Edit::Set(value) => value.clone(),
    };
    let Some(first) = list.iter().position(|slot| slot.key == key) else {
        list.push(Slot { at: usize::MAX, key: key.to_owned(), value });
        return;
    };
    list[first].value = value;
    let mut at = 0;
    list.retain(|slot| {
        at += 1;
        at - 1 <= first || slot.key != key
    });
}

fn set_intrinsic(
    fixture: &mut Fixture,
    intrinsic: Intrinsic,
    edits: &[Edit],
) -> Result<(), PluginError> {
    let scopes = fixture.resources.iter_mut().flat_map(|resource| &mut resource.scopes);
    let spans: Vec<&mut Span> = scopes.flat_map(|scope| &mut scope.spans).collect();
    if spans.len() != edits.len() {
        return Err(refused("a set of more or fewer than there are rows"));
    }
    for (span, edit) in spans.into_iter().zip(edits) {
        match (intrinsic, edit) {
            (_, Edit::Stay) => {}
            (Intrinsic::Name, Edit::Set(Any::Text(text))) => span.name.clone_from(text),
            (Intrinsic::TraceState, Edit::Set(Any::Text(text))) => {
                span.trace_state.clone_from(text);
            }
            (Intrinsic::TraceState, Edit::Remove) => span.trace_state.clear(),
            (Intrinsic::StatusMessage, Edit::Set(Any::Text(text))) => {
                span.status_message.clone_from(text);
            }
            (Intrinsic::StatusMessage, Edit::Remove) => span.status_message.clear(),
            (Intrinsic::Kind, Edit::Set(Any::Int(kind))) => span.kind = code(*kind, 5)?,
            (Intrinsic::StatusCode, Edit::Set(Any::Int(status))) => {
                span.status_code = code(*status, 2)?;
            }
            _ => return Err(refused("an intrinsic field that may not be set so")),
        }
    }
    Ok(())
}

fn code(number: i64, most: u8) -> Result<u8, PluginError> {
    let code = u8::try_from(number).ok().filter(|code| *code <= most);
    code.ok_or_else(|| refused("a code that there is not"))
}

fn drop_spans(fixture: &mut Fixture, answer: &Decoded) {
    let mut row = 0;
    for scope in fixture.resources.iter_mut().flat_map(|resource| &mut resource.scopes) {
        scope.spans.retain(|_| {
            row += 1;
            answer.keeps(row - 1)
        });
    }
}
