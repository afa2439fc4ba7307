//! Plugins: sandboxed Wasm components that see batches of spans on their way into the store.

mod answer;
mod batch;
mod draft;
mod projection;

pub use answer::{Bounds, Edits, Fault as AnswerFault, Kept, Outcome, Reason};
pub use batch::{Around, Batch, Budgets, Late, Unlimited};
pub use draft::{Draft, Finished, Written};
pub use projection::{
    Attribute, Budget, Fault as ProjectionFault, Field, Intrinsic, Level, MatchRule, Owner, Plan,
    Projection, Role,
};

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
