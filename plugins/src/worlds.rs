//! The worlds of the contract: what a plugin is for, by what it exports, and what it may import.

/// What a plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum World {
    /// Enriches, redacts, renames, drops spans on their way in.
    SpanProcessor,
    /// Says which spans stay on their way in.
    HeadSampler,
    /// Says which whole traces stay.
    TailSampler,
    /// Says who somebody is.
    Authenticator,
    /// Says whose spans they are.
    Router,
    /// Fetches what tables are made of.
    TableRefresher,
}

impl World {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SpanProcessor,
        Self::HeadSampler,
        Self::TailSampler,
        Self::Authenticator,
        Self::Router,
        Self::TableRefresher,
    ];

    /// The world, as the WIT names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpanProcessor => "span-processor-plugin",
            Self::HeadSampler => "head-sampler-plugin",
            Self::TailSampler => "tail-sampler-plugin",
            Self::Authenticator => "authenticator-plugin",
            Self::Router => "router-plugin",
            Self::TableRefresher => "table-refresher-plugin",
        }
    }

    /// The interface that makes it what it is.
    #[must_use]
    pub const fn interface(self) -> &'static str {
        match self {
            Self::SpanProcessor => "span-processor",
            Self::HeadSampler => "head-sampler",
            Self::TailSampler => "tail-sampler",
            Self::Authenticator => "authenticator",
            Self::Router => "router",
            Self::TableRefresher => "refresher",
        }
    }

    /// Whether spans pass it on their way in.
    #[must_use]
    pub const fn is_for_chains(self) -> bool {
        matches!(self, Self::SpanProcessor | Self::HeadSampler)
    }

    /// Interfaces that its world imports.
    #[must_use]
    pub const fn imports(self) -> &'static [&'static str] {
        match self {
            Self::SpanProcessor => &["log", "metrics", "tables", "clock", "random", "cache"],
            Self::HeadSampler | Self::TailSampler | Self::Router => &["log", "metrics", "tables"],
            Self::Authenticator => &["log", "metrics", "tables", "clock", "cache"],
            Self::TableRefresher => &["log", "clock", "fetch"],
        }
    }
}

#[cfg(test)]
mod tests {
    use wit_parser::{Resolve, WorldKey};

    use super::*;
    use crate::contract::VERSION;

    #[test]
    fn roles_are_the_worlds_of_the_contract() {
        let mut resolve = Resolve::default();
        let text = include_str!("../../wit/traceweir-plugin.wit");
        let package = resolve.push_str("traceweir-plugin.wit", text).unwrap();
        let package = &resolve.packages[package];
        assert_eq!(package.name.version.as_ref().unwrap().to_string(), VERSION);
        let names = |keys: Vec<&WorldKey>| {
            let of = |key: &WorldKey| match key {
                WorldKey::Interface(id) => resolve.interfaces[*id].name.clone().unwrap(),
                WorldKey::Name(name) => name.clone(),
            };
            let mut names: Vec<String> =
                keys.into_iter().map(of).filter(|name| name != "types").collect();
            names.sort();
            names
        };
        for world in World::ALL {
            let of = &resolve.worlds[package.worlds[world.name()]];
            let mut imports: Vec<&str> = world.imports().to_vec();
            imports.sort_unstable();
            assert_eq!(names(of.imports.keys().collect()), imports, "{world:?}");
            let mut exports = vec!["lifecycle", world.interface()];
            exports.sort_unstable();
            assert_eq!(names(of.exports.keys().collect()), exports, "{world:?}");
        }
        assert_eq!(
            package.worlds.len(),
            World::ALL.len() + 1,
            "and the one that they have in common"
        );
    }
}
