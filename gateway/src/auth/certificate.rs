//! Certificates of clients, and who they stand for: rules, of which the first that fits counts.

use std::sync::Arc;

use model::Faults;
use serde::{Deserialize, Serialize};

use super::grants::Grants;
use super::principal::{Principal, Proof};
use crate::server::Certificate;

/// Whom certificates stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// A URI among the names of the certificate, as `spiffe://acme/{cluster}/ns/{ns}`: a place in braces fits
    /// whatever has no `/` in it.
    pub uri: String,
    /// Or its subject, as `CN={cluster}, O=acme`: a place fits whatever has no `,` in it.
    pub subject: String,
    /// What it may do; places are those of `uri` or `subject`.
    pub grants: Grants,
}

impl Rule {
    /// Notes every value that is not accepted; `key` is where it stands.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        if self.uri.is_empty() == self.subject.is_empty() {
            faults.push(key, "both or none of uri and subject", "one of them");
        }
        let pattern = match Pattern::parse(self.text(), self.separator()) {
            Ok(pattern) => pattern,
            Err(fault) => return faults.push(key, self.text(), fault),
        };
        let is_place = |place: &str| pattern.places().any(|known| known == place);
        let places = "places of the rule's uri or subject";
        self.grants.check(&format!("{key}.grants"), is_place, places, faults);
    }

    fn text(&self) -> &str {
        if self.uri.is_empty() { &self.subject } else { &self.uri }
    }

    const fn separator(&self) -> char {
        if self.uri.is_empty() { ',' } else { '/' }
    }

    /// Who a certificate stands for, if the rule fits.
    pub(super) fn principal(&self, certificate: &Certificate) -> Option<Principal> {
        let pattern = Pattern::parse(self.text(), self.separator()).ok()?;
        let subject = std::slice::from_ref(&certificate.subject);
        let names = if self.uri.is_empty() { subject } else { &certificate.uris };
        let (name, found) = names.iter().find_map(|name| Some((name, pattern.find(name)?)))?;
        let values = |place: &str| {
            let own = found.iter().filter(|(known, _)| *known == place);
            own.map(|(_, value)| (*value).to_owned()).collect()
        };
        let who = (Proof::Certificate, name.clone());
        Some(self.grants.principal(who, &values, certificate.not_after))
    }
}

/// Text with places that fit whatever has no separator in it.
#[derive(Debug, PartialEq, Eq)]
struct Pattern<'p> {
    /// Before the first place.
    begin: &'p str,
    /// Each place, and the text behind it.
    rest: Vec<(&'p str, &'p str)>,
    separator: char,
}

impl<'p> Pattern<'p> {
    fn parse(text: &'p str, separator: char) -> Result<Self, String> {
        let mut pieces = text.split('{');
        let begin = pieces.next().unwrap_or_default();
        let rest = pieces.map(|piece| piece.split_once('}').filter(|(place, _)| !place.is_empty()));
        let rest: Option<Vec<_>> = rest.collect();
        let rest = rest.ok_or("braces go in pairs, with a name between them")?;
        if begin.contains('}') || rest.iter().any(|(_, text)| text.contains('}')) {
            return Err("a } without its {".to_owned());
        }
        // Where a place ends is told by what follows: two in a row say nothing of that.
        let ends = |at: usize| rest.get(at).is_none_or(|(_, text)| !text.is_empty());
        if (0..rest.len().saturating_sub(1)).any(|at| !ends(at)) {
            return Err("two places in a row".to_owned());
        }
        Ok(Self { begin, rest, separator })
    }

    fn places(&self) -> impl Iterator<Item = &'p str> {
        self.rest.iter().map(|(place, _)| *place)
    }

    /// What its places have in a text that it fits.
    fn find<'t>(&self, text: &'t str) -> Option<Vec<(&'p str, &'t str)>> {
        let mut left = text.strip_prefix(self.begin)?;
        let mut found = Vec::new();
        for (at, (place, after)) in self.rest.iter().enumerate() {
            let is_last = at + 1 == self.rest.len();
            let len = match (is_last, after.is_empty()) {
                (true, true) => left.len(),
                (true, false) => {
                    left.len().checked_sub(after.len()).filter(|_| left.ends_with(after))?
                }
                (false, _) => left.find(after)?,
            };
            let (value, rest) = left.split_at_checked(len)?;
            if value.is_empty() || value.contains(self.separator) {
                return None;
            }
            found.push((*place, value));
            left = rest.strip_prefix(after)?;
        }
        left.is_empty().then_some(found)
    }
}

/// Who a certificate stands for, by the first rule that fits.
pub(super) fn principal(rules: &[Rule], certificate: &Certificate) -> Option<Arc<Principal>> {
    rules.iter().find_map(|rule| rule.principal(certificate)).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, text: &str) -> Option<Vec<(String, String)>> {
        let pattern = Pattern::parse(pattern, '/').unwrap();
        let own = |(place, value): (&str, &str)| (place.to_owned(), value.to_owned());
        Some(pattern.find(text)?.into_iter().map(own).collect())
    }

    #[test]
    fn patterns_fit_whole_names() {
        let pattern = "spiffe://acme/{cluster}/ns/{ns}/sa/x";
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let both = vec![pair("cluster", "eu-1"), pair("ns", "shop")];
        assert_eq!(found(pattern, "spiffe://acme/eu-1/ns/shop/sa/x"), Some(both));
        for other in [
            "spiffe://acme/eu-1/ns/shop/sa/xy",
            "spiffe://acme/eu-1/ns/a/b/sa/x",
            "spiffe://acme//ns/shop/sa/x",
            "spiffe://evil/eu-1/ns/shop/sa/x",
            "spiffe://acme/a/b/ns/shop/sa/x",
        ] {
            assert_eq!(found(pattern, other), None, "{other}");
        }
        assert_eq!(found("a/b", "a/b"), Some(vec![]));
        assert_eq!(found("a/b", "a/bc"), None);
        assert_eq!(found("a/{x}", "a/b"), Some(vec![pair("x", "b")]));
    }

    #[test]
    fn patterns_that_are_none_are_told() {
        for bad in ["{", "}", "{}", "a}", "{a}{b}", "{a}}"] {
            assert!(Pattern::parse(bad, '/').is_err(), "{bad}");
        }
    }
}
