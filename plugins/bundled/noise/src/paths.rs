//! Whether a path is one of a list: as a whole, or by how it begins or ends.

use crate::lists::Reason;

/// Paths, with what each stands for.
#[derive(Clone, Debug)]
pub(crate) struct Paths<T> {
    /// Sorted.
    exact: Vec<(String, T)>,
    starts: Vec<(String, T)>,
    ends: Vec<(String, T)>,
}

impl<T> Default for Paths<T> {
    fn default() -> Self {
        Self { exact: Vec::new(), starts: Vec::new(), ends: Vec::new() }
    }
}

impl<T: Copy> Paths<T> {
    pub(crate) fn new<'a>(list: impl Iterator<Item = (&'a str, T)>) -> Self {
        let mut paths = Self::default();
        for (path, of) in list {
            if let Some(end) = path.strip_prefix('*') {
                paths.ends.push((end.to_owned(), of));
            } else if let Some(start) = path.strip_suffix('*') {
                paths.starts.push((start.to_owned(), of));
            } else {
                paths.exact.push((path.to_owned(), of));
            }
        }
        paths.exact.sort_by(|a, b| a.0.cmp(&b.0));
        paths
    }

    /// What a path stands for, if it is one of them; a `/` at its end does not count.
    pub(crate) fn find(&self, path: &str) -> Option<T> {
        let path = match path.strip_suffix('/') {
            Some(shorter) if !shorter.is_empty() => shorter,
            _ => path,
        };
        if let Ok(at) = self.exact.binary_search_by(|(there, _)| there.as_str().cmp(path)) {
            return self.exact.get(at).map(|(_, of)| *of);
        }
        let starts = self.starts.iter().find(|(start, _)| path.starts_with(start));
        let ends = || self.ends.iter().find(|(end, _)| path.ends_with(end));
        starts.or_else(ends).map(|(_, of)| *of)
    }
}

/// The service of gRPC that a path, a span's name or a method begins with: of `/grpc.health.v1.Health/Check`,
/// `grpc.health.v1.Health`.
pub(crate) fn service(text: &str) -> &str {
    let text = text.strip_prefix('/').unwrap_or(text);
    text.split_once('/').map_or(text, |(service, _)| service)
}

/// Which service is noise.
#[derive(Clone, Debug)]
pub(crate) struct Services(pub(crate) Vec<(String, Reason)>);

impl Services {
    pub(crate) fn find(&self, text: &str) -> Option<Reason> {
        let service = service(text);
        self.0.iter().find(|(there, _)| there == service).map(|(_, reason)| *reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_all_that_begins_or_ends_so() {
        let list = [("/health", 1), ("/q/*", 2), ("*/healthz", 3), ("/", 4)];
        let paths = Paths::new(list.into_iter());
        for (path, wanted) in [
            ("/health", Some(1)),
            ("/health/", Some(1)),
            ("/healthy", None),
            ("/health/7", None),
            ("/q/health", Some(2)),
            ("/q", None),
            ("/healthz", Some(3)),
            ("/shop/healthz", Some(3)),
            ("/xhealthz", None),
            ("/", Some(4)),
            ("", None),
            ("//", Some(4)),
        ] {
            assert_eq!(paths.find(path), wanted, "{path}");
        }
    }

    #[test]
    fn a_service_stands_in_front() {
        assert_eq!(service("/grpc.health.v1.Health/Check"), "grpc.health.v1.Health");
        assert_eq!(service("grpc.health.v1.Health/Watch"), "grpc.health.v1.Health");
        assert_eq!(service("grpc.health.v1.Health"), "grpc.health.v1.Health");
        assert_eq!(service(""), "");
    }
}
