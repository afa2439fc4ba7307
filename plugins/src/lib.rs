//! Plugins: sandboxed Wasm components that see batches of spans on their way into the store.

pub mod wrap;

#[cfg(test)]
mod tests {
    #[test]
    fn the_contract_parses() {
        let text = include_str!("../../wit/traceweir-plugin.wit");
        let mut resolve = wit_parser::Resolve::default();
        let package = resolve.push_str("traceweir-plugin.wit", text).unwrap();
        assert_eq!(resolve.packages[package].worlds.len(), 7);
    }
}
