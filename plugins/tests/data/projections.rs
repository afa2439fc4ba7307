//! Projections of all shapes.

use plugins::{Attribute, Budget, Field, Intrinsic, MatchRule, Owner, Projection};

use super::chance::Chance;
use super::requests::KEYS;

pub(crate) fn attribute(chance: &mut Chance, owner: Owner) -> Attribute {
    let key = chance.pick(&KEYS[1..]);
    Attribute { owner, key: (*key).to_owned(), complex: chance.one_in(2) }
}

/// The beginning of one of the keys, mostly.
pub(crate) fn start(chance: &mut Chance, owner: Owner) -> Attribute {
    let key = *chance.pick(&["", "", "a", "http.", "http.request.header.", "zzz"]);
    Attribute { owner, key: key.to_owned(), complex: chance.one_in(2) }
}

fn owner(chance: &mut Chance) -> Owner {
    *chance.pick(&Owner::ALL)
}

fn field(chance: &mut Chance, intrinsics: &[Intrinsic]) -> Field {
    let owner = owner(chance);
    match chance.below(3) {
        0 => Field::Intrinsic(*chance.pick(intrinsics)),
        1 => Field::Attribute(attribute(chance, owner)),
        _ => Field::Attributes(start(chance, owner)),
    }
}

/// What may be written.
pub(crate) const WRITABLE: [Intrinsic; 5] = [
    Intrinsic::TraceState,
    Intrinsic::Name,
    Intrinsic::Kind,
    Intrinsic::StatusCode,
    Intrinsic::StatusMessage,
];

pub(crate) fn projection(chance: &mut Chance) -> Projection {
    let count = chance.below(10);
    let mut reads: Vec<Field> = (0..count).map(|_| field(chance, &Intrinsic::ALL)).collect();
    let count = chance.below(8);
    let writes: Vec<Field> = (0..count).map(|_| field(chance, &WRITABLE)).collect();
    // What is written has often been read.
    for field in &writes {
        if chance.one_in(2) {
            reads.push(field.clone());
        }
    }
    let rule = |chance: &mut Chance| MatchRule {
        key: (*chance.pick(&KEYS[1..])).to_owned(),
        any_of: ["v0", "v1", "v2", ""].map(str::to_owned).to_vec(),
    };
    let rules = usize::from(chance.one_in(6));
    let match_resource = (0..rules).map(|_| rule(chance)).collect();
    let budget = |name: usize, chance: &mut Chance| {
        let owner = *chance.pick(&[Owner::Span, Owner::Resource]);
        Budget {
            name: name.to_string(),
            per: (!chance.one_in(3)).then(|| attribute(chance, owner)),
            limit: 7,
            window_ms: 1000,
        }
    };
    let budgets = if chance.one_in(3) { chance.below(3) } else { 0 };
    let budgets = (0..budgets).map(|name| budget(name, chance)).collect();
    Projection { reads, writes, match_resource, budgets, max_batch_rows: 0 }
}
