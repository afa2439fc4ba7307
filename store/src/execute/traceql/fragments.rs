//! Values of resources and scopes, which are kept as OTLP has them.

use model::column::Interner;
use model::otlp::{fields, key_value};
use traceql::ast::Static;

use super::value::of_any;
use crate::execute::Carried;

/// The values of an attribute in each resource or scope: the attributes are fields of this number
/// in field 1 of a fragment. Of a key that is there twice the first counts.
pub(super) fn of_fragments(fragments: &Interner, number: u32, key: &str) -> Vec<Vec<Static>> {
    fragments.values().map(|fragment| of_fragment(fragment, number, key)).collect()
}

/// The values of an attribute in each resource, with what it carries.
pub(super) fn of_resources(
    resources: &Interner,
    key: &str,
    carried: Carried<'_>,
) -> Vec<Vec<Static>> {
    resources.values().map(|resource| of_fragment(&carried.by(resource), 1, key)).collect()
}

fn of_fragment(fragment: &[u8], number: u32, key: &str) -> Vec<Static> {
    let mut values = Vec::new();
    let mut all = fields(fragment, 1).flat_map(|inner| fields(inner, number)).map(key_value);
    if let Some((_, value)) = all.find(|(found, _)| *found == key.as_bytes()) {
        of_any(value, &mut values);
    }
    values
}

pub(super) fn scopes(fragments: &Interner, of: impl Fn(&[u8]) -> Vec<Static>) -> Vec<Vec<Static>> {
    fragments.values().map(of).collect()
}

/// A text of a scope; empty where it has none.
pub(super) fn scope_text(fragment: &[u8], number: u32) -> Static {
    let text = fields(fragment, 1).find_map(|scope| fields(scope, number).next());
    Static::Text(String::from_utf8_lossy(text.unwrap_or_default()).into_owned())
}
