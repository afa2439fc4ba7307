//! Conditions on spans, as `include` and `exclude` of the Collector's processors write them.

use std::cell::OnceCell;

use serde::Deserialize;
use serde::de::IgnoredAny;
use traceweir_plugin::{
    Any, Batch, Column, ConfigError, Field, Intrinsic, Owner, PluginError, Projection, Read, Texts,
};

use crate::convert::text_of;
use crate::pattern::Pattern;

/// How the texts of a condition are meant.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum MatchType {
    /// As they are.
    Strict,
    /// As patterns, which match anywhere.
    Regexp,
}

/// A condition: every property that is given has to fit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchConfig {
    match_type: MatchType,
    /// How the Collector caches what has matched.
    #[serde(default, rename = "regexp")]
    _regexp: IgnoredAny,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    resources: Vec<KeyValue>,
    #[serde(default)]
    libraries: Vec<Library>,
    #[serde(default)]
    span_names: Vec<String>,
    #[serde(default)]
    span_kinds: Vec<String>,
    #[serde(default)]
    attributes: Vec<KeyValue>,
}

/// An attribute; without a value, any value fits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyValue {
    key: String,
    value: Option<Any>,
}

/// A scope, by its name; without a version, any version fits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Library {
    name: String,
    version: Option<String>,
}

/// Some texts, of which one has to fit.
#[derive(Debug)]
pub enum TextMatch {
    /// As they are.
    Strict(Vec<String>),
    /// Patterns.
    Regexp(Vec<Pattern>),
}

impl TextMatch {
    /// Takes a list that stands at `path`.
    ///
    /// # Errors
    ///
    /// A pattern that is none.
    pub fn new(path: &str, how: MatchType, texts: Vec<String>) -> Result<Self, ConfigError> {
        if how == MatchType::Strict {
            return Ok(Self::Strict(texts));
        }
        let patterns = texts.iter().enumerate();
        let pattern = |(i, text): (usize, &String)| Pattern::new(&format!("{path}[{i}]"), text);
        Ok(Self::Regexp(patterns.map(pattern).collect::<Result<_, _>>()?))
    }

    /// Whether one of them fits.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Strict(texts) => texts.iter().any(|there| there == text),
            Self::Regexp(patterns) => patterns.iter().any(|pattern| pattern.is_match(text)),
        }
    }
}

/// What an attribute has to be.
#[derive(Debug)]
enum Expected {
    There,
    Equal(Any),
    Like(Box<Pattern>),
}

impl Expected {
    fn new(path: &str, how: MatchType, value: Option<&Any>) -> Result<Self, ConfigError> {
        match (how, value) {
            (_, None) => Ok(Self::There),
            (MatchType::Strict, Some(value)) => Ok(Self::Equal(value.clone())),
            (MatchType::Regexp, Some(Any::Text(text))) => {
                Ok(Self::Like(Box::new(Pattern::new(path, text)?)))
            }
            _ => Err(ConfigError::new(path, "must be a pattern, in quotes")),
        }
    }

    fn fits(&self, value: &Any) -> bool {
        match self {
            Self::There => true,
            Self::Equal(wanted) => wanted == value,
            Self::Like(pattern) => text_of(value).is_some_and(|text| pattern.is_match(&text)),
        }
    }
}

/// An attribute that is read, and what it has to be.
#[derive(Debug)]
struct Attribute {
    read: Read,
    expected: Expected,
}

impl Attribute {
    /// Clears those of `fits` whose owner does not fit. Each text is looked at once.
    fn hold(&self, batch: &Batch<'_>, fits: &mut [bool]) -> Result<(), PluginError> {
        let column: Column<'_> = batch.column(self.read)?;
        let text = |text: &str| self.expected.fits(&Any::from(text));
        let texts: Vec<bool> = column.values().map(text).collect();
        for (i, fit) in fits.iter_mut().enumerate().filter(|(_, fit)| **fit) {
            *fit = match column.index(i) {
                Some(at) => texts.get(at).copied().unwrap_or_default(),
                None => {
                    Any::from_value(column.value(i))?.is_some_and(|any| self.expected.fits(&any))
                }
            };
        }
        Ok(())
    }
}

/// A condition, ready to be held against batches.
#[derive(Debug)]
pub struct Condition {
    resources: Vec<Attribute>,
    /// `service.name`.
    services: Option<(Read, TextMatch)>,
    /// Name and version of scopes.
    libraries: Vec<(TextMatch, Option<TextMatch>)>,
    names: Option<TextMatch>,
    kinds: Option<[bool; 6]>,
    attributes: Vec<Attribute>,
}

/// The kinds of spans, by their numbers.
const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];

impl Condition {
    /// Takes a condition that stands at `path`, and adds to the projection what it reads.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(
        path: &str,
        config: MatchConfig,
        projection: &mut Projection,
    ) -> Result<Self, ConfigError> {
        let how = config.match_type;
        let texts = |key: &str, texts: Vec<String>| {
            let there = !texts.is_empty();
            there.then(|| TextMatch::new(&format!("{path}.{key}"), how, texts)).transpose()
        };
        let services = texts("services", config.services)?.map(|services| {
            (projection.read(Field::attribute(Owner::Resource, "service.name")), services)
        });
        let names = texts("span_names", config.span_names)?;
        let mut attributes = |key: &str, owner, list: &[KeyValue]| {
            let attribute = |(i, KeyValue { key: name, value }): (usize, &KeyValue)| {
                let path = format!("{path}.{key}[{i}].value");
                let expected = Expected::new(&path, how, value.as_ref())?;
                // Arrays and maps are compared by what is in them.
                let complex = matches!(expected, Expected::Equal(Any::Array(_) | Any::Map(_)));
                let field = Field::attribute(owner, name);
                let read = projection.read(if complex { field.complex() } else { field });
                Ok(Attribute { read, expected })
            };
            list.iter().enumerate().map(attribute).collect::<Result<Vec<_>, ConfigError>>()
        };
        let condition = Self {
            resources: attributes("resources", Owner::Resource, &config.resources)?,
            attributes: attributes("attributes", Owner::Span, &config.attributes)?,
            services,
            libraries: libraries(path, how, config.libraries)?,
            names,
            kinds: kinds(path, how, config.span_kinds)?,
        };
        condition.read(path, projection)?;
        Ok(condition)
    }

    /// Reads what a condition needs beyond attributes; one that asks for nothing is refused.
    fn read(&self, path: &str, projection: &mut Projection) -> Result<(), ConfigError> {
        let resources = self.services.is_some() || !self.resources.is_empty();
        let reads = [
            (resources, Intrinsic::ResourceIndex),
            (!self.libraries.is_empty(), Intrinsic::ScopeIndex),
            (!self.libraries.is_empty(), Intrinsic::ScopeName),
            (self.libraries.iter().any(|(_, of)| of.is_some()), Intrinsic::ScopeVersion),
            (self.names.is_some(), Intrinsic::Name),
            (self.kinds.is_some(), Intrinsic::Kind),
        ];
        for (_, intrinsic) in reads.iter().filter(|(wanted, _)| *wanted) {
            projection.read(*intrinsic);
        }
        if self.attributes.is_empty() && reads.iter().all(|(wanted, _)| !wanted) {
            let why =
                "must have services, resources, libraries, span_names, span_kinds or attributes";
            return Err(ConfigError::new(path, why));
        }
        Ok(())
    }

    /// Which rows fit.
    ///
    /// # Errors
    ///
    /// Bad input, where a column is missing.
    pub fn rows(&self, batch: &Batch<'_>) -> Result<Vec<bool>, PluginError> {
        let mut rows = vec![true; batch.rows()];
        if let Some(resources) = self.resources(batch)? {
            let of = batch.resource_indices()?;
            keep(&mut rows, |row| of.get(row).is_some_and(|at| at_is(&resources, at)));
        }
        if !self.libraries.is_empty() {
            let scopes = self.scopes(batch)?;
            let of = batch.scope_indices()?;
            keep(&mut rows, |row| of.get(row).is_some_and(|at| at_is(&scopes, at)));
        }
        if let Some(wanted) = &self.names {
            let names = batch.names()?;
            let fits = once(names, |name| wanted.is_match(name));
            keep(&mut rows, |row| names.index(row).is_some_and(&fits));
        }
        if let Some(wanted) = &self.kinds {
            let kinds = batch.kinds()?;
            let fits = |kind: &u8| wanted.get(usize::from(*kind)).copied().unwrap_or_default();
            keep(&mut rows, |row| kinds.get(row).is_some_and(fits));
        }
        for attribute in &self.attributes {
            attribute.hold(batch, &mut rows)?;
        }
        Ok(rows)
    }

    /// Which resources fit; `None` where nothing is asked of them.
    fn resources(&self, batch: &Batch<'_>) -> Result<Option<Vec<bool>>, PluginError> {
        if self.services.is_none() && self.resources.is_empty() {
            return Ok(None);
        }
        let mut fits = vec![true; batch.resources()];
        if let Some((read, services)) = &self.services {
            let names = batch.column(*read)?;
            keep(&mut fits, |i| names.text(i).is_some_and(|name| services.is_match(name)));
        }
        for attribute in &self.resources {
            attribute.hold(batch, &mut fits)?;
        }
        Ok(Some(fits))
    }

    fn scopes(&self, batch: &Batch<'_>) -> Result<Vec<bool>, PluginError> {
        let names = batch.scope_names()?;
        let versions = self.libraries.iter().any(|(_, version)| version.is_some());
        let versions = versions.then(|| batch.scope_versions()).transpose()?;
        let fits = |scope: usize| {
            let version = versions.and_then(|versions| versions.get(scope)).unwrap_or_default();
            self.libraries.iter().any(|(name, wanted)| {
                name.is_match(names.get(scope).unwrap_or_default())
                    && wanted.as_ref().is_none_or(|wanted| wanted.is_match(version))
            })
        };
        Ok((0..batch.counts().scopes as usize).map(fits).collect())
    }
}

fn keep(fits: &mut [bool], mut hold: impl FnMut(usize) -> bool) {
    for (i, fit) in fits.iter_mut().enumerate().filter(|(_, fit)| **fit) {
        *fit = hold(i);
    }
}

fn at_is(list: &[bool], at: u32) -> bool {
    list.get(at as usize).copied().unwrap_or_default()
}

/// Asks `what` of each value at most once, by its number.
fn once<'a>(texts: Texts<'a>, what: impl Fn(&'a str) -> bool + 'a) -> impl Fn(usize) -> bool + 'a {
    let known: Vec<OnceCell<bool>> = vec![OnceCell::new(); texts.value_count()];
    move |value| {
        let ask = || texts.value(value).is_some_and(&what);
        known.get(value).is_some_and(|known| *known.get_or_init(ask))
    }
}

type Libraries = Vec<(TextMatch, Option<TextMatch>)>;

fn libraries(path: &str, how: MatchType, list: Vec<Library>) -> Result<Libraries, ConfigError> {
    let library = |(i, library): (usize, Library)| {
        let one = |key: &str, text| {
            TextMatch::new(&format!("{path}.libraries[{i}].{key}"), how, vec![text])
        };
        let version = library.version.map(|version| one("version", version)).transpose()?;
        Ok((one("name", library.name)?, version))
    };
    list.into_iter().enumerate().map(library).collect()
}

fn kinds(path: &str, how: MatchType, list: Vec<String>) -> Result<Option<[bool; 6]>, ConfigError> {
    if list.is_empty() {
        return Ok(None);
    }
    let path = format!("{path}.span_kinds");
    if how == MatchType::Regexp {
        let wanted = TextMatch::new(&path, how, list)?;
        return Ok(Some(KINDS.map(|kind| wanted.is_match(&format!("SPAN_KIND_{kind}")))));
    }
    let mut wanted = [false; 6];
    for (i, text) in list.iter().enumerate() {
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("SPAN_KIND_").unwrap_or(&name);
        let kind = KINDS.iter().position(|kind| *kind == name);
        let kind = kind.and_then(|kind| wanted.get_mut(kind));
        *kind.ok_or_else(|| ConfigError::new(format!("{path}[{i}]"), "is no kind of span"))? = true;
    }
    Ok(Some(wanted))
}

/// What is looked at: spans that `include` has and `exclude` has not.
#[derive(Debug, Default)]
pub struct Selection {
    include: Option<Condition>,
    exclude: Option<Condition>,
}

impl Selection {
    /// Takes the conditions at `$.include` and `$.exclude`.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn new(
        include: Option<MatchConfig>,
        exclude: Option<MatchConfig>,
        projection: &mut Projection,
    ) -> Result<Self, ConfigError> {
        let mut condition = |path, config: Option<MatchConfig>| {
            config.map(|config| Condition::new(path, config, projection)).transpose()
        };
        Ok(Self {
            include: condition("$.include", include)?,
            exclude: condition("$.exclude", exclude)?,
        })
    }

    /// Whether every span is looked at.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Which rows are looked at; `None` for all.
    ///
    /// # Errors
    ///
    /// Bad input, where a column is missing.
    pub fn rows(&self, batch: &Batch<'_>) -> Result<Option<Vec<bool>>, PluginError> {
        if self.is_all() {
            return Ok(None);
        }
        let include = self.include.as_ref().map(|condition| condition.rows(batch)).transpose()?;
        let mut rows = include.unwrap_or_else(|| vec![true; batch.rows()]);
        if let Some(exclude) = &self.exclude {
            let excluded = exclude.rows(batch)?;
            keep(&mut rows, |row| !excluded.get(row).copied().unwrap_or_default());
        }
        Ok(Some(rows))
    }
}
