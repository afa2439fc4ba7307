//! The parts of a URL, or of a path with a query, as attributes have them.

/// A URL in its parts: nothing is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// Scheme and host; empty where the text is a path.
    pub origin: &'a str,
    /// The path.
    pub path: &'a str,
    /// What follows the `?`, without the fragment.
    pub query: Option<&'a str>,
}

impl<'a> Url<'a> {
    /// Splits a text, of which any is a URL or a path.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let text = text.split_once('#').map_or(text, |(text, _)| text);
        let (text, query) = match text.split_once('?') {
            Some((text, query)) => (text, Some(query)),
            None => (text, None),
        };
        let (origin, path) = match text.split_once("://") {
            Some((scheme, rest)) => {
                let host = rest.find('/').unwrap_or(rest.len());
                text.split_at(scheme.len() + "://".len() + host)
            }
            None => ("", text),
        };
        Self { origin, path, query }
    }

    /// The names of the parameters of the query, in their order.
    pub fn parameters(&self) -> impl Iterator<Item = &'a str> {
        let pairs = self.query.into_iter().flat_map(|query| query.split('&'));
        let names = pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
        names.filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_its_parts() {
        let url = Url::new("https://shop.example:8443/cart/1?a=1&b&=c#top");
        let wanted =
            Url { origin: "https://shop.example:8443", path: "/cart/1", query: Some("a=1&b&=c") };
        assert_eq!(url, wanted);
        assert_eq!(url.parameters().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(Url::new("/a?x://y"), Url { origin: "", path: "/a", query: Some("x://y") });
        assert_eq!(Url::new("http://a"), Url { origin: "http://a", path: "", query: None });
        assert_eq!(Url::new("ä"), Url { origin: "", path: "ä", query: None });
    }
}
