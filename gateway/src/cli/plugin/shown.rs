//! What a plugin reads and writes, for people: fields as TraceQL names them, where it has a name for them.

use plugins::{Attribute, Budget, Field, MatchRule, Projection};
use serde::Serialize;

/// A projection.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    reads: Vec<String>,
    writes: Vec<String>,
    /// Only resources with one of these values are passed.
    match_resource: Vec<String>,
    budgets: Vec<String>,
    /// 0: as the host likes.
    max_batch_rows: u32,
}

impl Shown {
    pub(super) fn of(projection: &Projection) -> Self {
        let Projection { reads, writes, match_resource, budgets, max_batch_rows } = projection;
        let rule =
            |rule: &MatchRule| format!("resource.{} is {}", rule.key, rule.any_of.join(" or "));
        Self {
            reads: reads.iter().map(field).collect(),
            writes: writes.iter().map(field).collect(),
            match_resource: match_resource.iter().map(rule).collect(),
            budgets: budgets.iter().map(budget).collect(),
            max_batch_rows: *max_batch_rows,
        }
    }

    /// Rows of a table.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&'static str, String)> {
        let listed = |list: &[String]| match list {
            [] => "nothing".to_owned(),
            list => list.join("\n"),
        };
        let mut rows = vec![("reads", listed(&self.reads)), ("writes", listed(&self.writes))];
        if !self.match_resource.is_empty() {
            rows.push(("passed where", listed(&self.match_resource)));
        }
        if !self.budgets.is_empty() {
            rows.push(("budgets", listed(&self.budgets)));
        }
        if self.max_batch_rows > 0 {
            rows.push(("rows", format!("{} at most in a call", self.max_batch_rows)));
        }
        rows.into_iter()
    }
}

fn field(field: &Field) -> String {
    match field {
        Field::Intrinsic(intrinsic) => kebab(&format!("{intrinsic:?}")),
        Field::Attribute(of) => attribute(of, ""),
        Field::Attributes(of) => attribute(of, "*"),
    }
}

fn attribute(of: &Attribute, end: &str) -> String {
    let owner = format!("{:?}", of.owner).to_lowercase();
    let complex = if of.complex { " (arrays, maps and bytes, too)" } else { "" };
    format!("{owner}.{}{end}{complex}", of.key)
}

fn budget(budget: &Budget) -> String {
    let per = budget.per.as_ref().map(|of| format!(" per {}", attribute(of, "")));
    let (name, limit, window) = (&budget.name, budget.limit, budget.window_ms);
    format!("{name}: {limit} spans in {window} ms{}", per.unwrap_or_default())
}

/// As the contract has it: `TraceId` is `trace-id`.
fn kebab(name: &str) -> String {
    name.char_indices().fold(String::new(), |mut text, (at, letter)| {
        if at > 0 && letter.is_uppercase() {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
        text
    })
}

#[cfg(test)]
mod tests {
    use plugins::{Intrinsic, Owner};

    use super::*;

    #[test]
    fn fields_are_named_as_people_know_them() {
        let of = |owner, key: &str, complex| Attribute { owner, key: key.to_owned(), complex };
        assert_eq!(field(&Field::Intrinsic(Intrinsic::ParentSpanId)), "parent-span-id");
        let one = Field::Attribute(of(Owner::Resource, "service.name", false));
        assert_eq!(field(&one), "resource.service.name");
        let all = Field::Attributes(of(Owner::Span, "http.", true));
        assert_eq!(field(&all), "span.http.* (arrays, maps and bytes, too)");
    }
}
