//! A processor that takes ids out of the names of spans, and writes the template of the URL: of `/users/4711/orders`,
//! `/users/{id}/orders`. Each name and URL of a batch is looked at once.

mod segment;

use kit::{Keys, Url};
use serde::Deserialize;
use traceweir_plugin::{
    Answer, Batch, Column, ConfigError, Field, Info, Intrinsic, Owner, Plugin, PluginError,
    Processor, Projection, Read, TextId, Texts, Values, Write, config, export_processor,
};

/// What `configure` takes.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Whether names of spans are changed.
    name: bool,
    /// Where the URL is; the first that is there.
    attributes: Vec<String>,
    /// What gets the template, unless it is there; none: nothing does.
    template_attribute: Option<String>,
    /// What is left of a query.
    query: Query,
    /// Segments that stay as they are.
    keep: Keys,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Query {
    /// Nothing.
    #[default]
    Drop,
    /// The names of its parameters.
    Names,
}

impl Default for Config {
    fn default() -> Self {
        let keys = ["url.path", "url.full", "http.target", "http.url"];
        Self {
            name: true,
            attributes: keys.map(str::to_owned).to_vec(),
            template_attribute: Some("url.template".to_owned()),
            query: Query::default(),
            keep: Keys::default(),
        }
    }
}

/// The attribute that gets the template.
#[derive(Debug)]
struct Template {
    sources: Vec<Read>,
    there: Read,
    write: Write,
}

/// An instance.
#[derive(Debug)]
pub struct UrlTemplate {
    name: Option<Write>,
    template: Option<Template>,
    query: Query,
    keep: Keys,
}

impl Plugin for UrlTemplate {
    fn describe() -> Info {
        Info {
            name: "url-template".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "takes ids out of names and URLs".to_owned(),
            config_schema: include_str!("../schema.json").to_owned(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let config: Config = config::parse(json)?;
        let mut projection = Projection::default();
        let name = config.name.then(|| {
            projection.read(Intrinsic::Name);
            projection.write(Intrinsic::Name)
        });
        let template = config.template_attribute.map(|key| {
            let mut read = |key: &str| projection.read(Field::attribute(Owner::Span, key));
            let sources = config.attributes.iter().map(|key| read(key)).collect();
            let there = read(&key);
            let write = projection.write(Field::attribute(Owner::Span, key));
            Template { sources, there, write }
        });
        if name.is_none() && template.is_none() {
            return Err(ConfigError::new("$", "must change names or write a template"));
        }
        Ok((Self { name, template, query: config.query, keep: config.keep }, projection))
    }
}

impl Processor for UrlTemplate {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let mut answer = Answer::edits(batch);
        if let Some(name) = self.name {
            self.names(batch.names()?, answer.set(name, Owner::Span));
        }
        if let Some(template) = &self.template {
            let there = batch.column(template.there)?;
            let sources = template.sources.iter().map(|read| batch.column(*read));
            let sources = sources.collect::<Result<Vec<_>, _>>()?;
            self.templates(there, &sources, answer.set(template.write, Owner::Span));
        }
        Ok(answer)
    }
}

impl UrlTemplate {
    fn names(&self, names: Texts<'_>, edits: &mut Values) {
        let new: Vec<Option<TextId>> =
            names.values().map(|name| self.name(name).map(|new| edits.text(&new))).collect();
        for row in 0..names.len() {
            if let Some(Some(new)) = names.index(row).and_then(|name| new.get(name)) {
                edits.put_text(row, *new);
            }
        }
    }

    fn templates(&self, there: Column<'_>, sources: &[Column<'_>], edits: &mut Values) {
        // Of each source, of each of its texts; worked out when it is first needed.
        let mut known: Vec<Vec<Option<TextId>>> =
            sources.iter().map(|source| vec![None; source.texts().value_count()]).collect();
        for row in (0..there.len()).filter(|row| there.tags().get(*row) == Some(&0)) {
            let texts = sources.iter().zip(&mut known);
            let mut found = texts.filter_map(|(source, known)| {
                let text = source.index(row)?;
                Some((source.texts().value(text)?, known.get_mut(text)?))
            });
            if let Some((url, known)) = found.next() {
                let text = *known.get_or_insert_with(|| {
                    let url = Url::new(url);
                    edits.text(&self.template(&url, ""))
                });
                edits.put_text(row, text);
            }
        }
    }

    /// The name without ids; `None` where it stays as it is.
    fn name(&self, name: &str) -> Option<String> {
        let word = |word: &str| {
            if !word.starts_with('/') && !word.contains("://") {
                return word.to_owned();
            }
            let url = Url::new(word);
            self.template(&url, url.origin)
        };
        let new: Vec<String> = name.split(' ').map(word).collect();
        let new = new.join(" ");
        (new != name).then_some(new)
    }

    /// The template of a URL, behind `start`.
    fn template(&self, url: &Url<'_>, start: &str) -> String {
        let mut template = start.to_owned();
        for (i, segment) in url.path.split('/').enumerate() {
            if i > 0 {
                template.push('/');
            }
            if self.keep.has(segment) {
                template += segment;
            } else {
                segment::append(&mut template, segment);
            }
        }
        if url.path.is_empty() {
            template.push('/');
        }
        if self.query == Query::Names {
            for (i, name) in url.parameters().enumerate() {
                template.push(if i == 0 { '?' } else { '&' });
                template += name;
            }
        }
        template
    }
}

export_processor!(UrlTemplate);

#[cfg(test)]
mod tests {
    use traceweir_plugin::testing::{Fixture, Span, process, refusal};

    use super::*;

    fn after(config: &str, span: Span) -> Span {
        let after = process::<UrlTemplate>(config, &Fixture::of(span)).unwrap();
        after.spans().next().unwrap().clone()
    }

    #[test]
    fn names_lose_their_ids() {
        let name = |name: &str| after("{}", Span::new(name)).name;
        assert_eq!(name("GET /users/4711/orders?page=2"), "GET /users/{id}/orders");
        assert_eq!(name("GET https://shop.example/cart/12"), "GET https://shop.example/cart/{id}");
        assert_eq!(name("SELECT orders 4711"), "SELECT orders 4711");
        assert_eq!(name("/"), "/");
    }

    #[test]
    fn the_template_is_that_of_the_first_url() {
        let template = |span: Span| after("{}", span).get("url.template").cloned();
        let span = || Span::new("GET").with("http.target", "/b/2?x=1");
        assert_eq!(template(span()), Some("/b/{id}".into()));
        assert_eq!(
            template(span().with("url.full", "https://a.example/c/3#x")),
            Some("/c/{id}".into())
        );
        assert_eq!(template(span().with("url.path", "/d")), Some("/d".into()));
        assert_eq!(template(span().with("url.template", "/own")), Some("/own".into()));
        assert_eq!(
            template(Span::new("GET").with("url.full", "https://a.example")),
            Some("/".into())
        );
        assert_eq!(template(Span::new("job").with("url.path", 1_i64)), None);
    }

    #[test]
    fn names_of_parameters_may_stay() {
        let config = r#"{"query": "names", "name": false, "keep": ["2024"], "template_attribute": "template"}"#;
        let after =
            after(config, Span::new("/a/1").with("url.full", "http://a/2024/7?q=x&page=2&q=y"));
        assert_eq!(after.get("template"), Some(&"/2024/{id}?q&page&q".into()));
        assert_eq!(after.name, "/a/1");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refusal = |config| refusal::<UrlTemplate>(config).unwrap();
        assert!(refusal(r#"{"query": "all"}"#).starts_with("$.query: unknown variant"));
        assert_eq!(
            refusal(r#"{"name": false, "template_attribute": null}"#),
            "$: must change names or write a template"
        );
    }
}
