//! Blocks that were compacted answer as they did before.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use model::{Nanos, TimeRange};
use proptest::prelude::*;

use super::search::{ask, during, expected, query, run, told};
use super::world::{NOW, S, Where, World, scattered};
use crate::block::section::Sort;
use crate::execute::traceql::SearchRequest;
use crate::l0;
use crate::merge::{Input, Merge};
use crate::shelf::{Block, Blocks, Part};

impl World {
    /// Compacts the blocks that are in these places among the blocks. What takes their place stands
    /// where the first of them was.
    fn compact(&mut self, chosen: &[usize], sort: Sort, spans_max: u64) {
        let is_block = |part: &Part| matches!(part, Part::Block(_));
        let blocks = self.all.iter().filter(|(part, ..)| is_block(part)).count();
        let places: Vec<usize> = (0..blocks).filter(|at| chosen.contains(at)).collect();
        let Some(first) = places.first().copied() else { return };
        let inputs: Vec<Input> = places
            .iter()
            .map(|at| {
                let Part::Block(block) = &self.all[*at].0 else { panic!("blocks come first") };
                let reader = self.readers.open(block).unwrap();
                Input::Block(Arc::clone(block), reader)
            })
            .collect();
        static NEXT: AtomicU64 = AtomicU64::new(1_000);
        let stats = l0::Stats::default();
        let merge = Merge {
            tenant: &self.tenants[0],
            inputs: &inputs,
            gathered: None,
            blocks: &Blocks::default(),
            backend: &*self.files,
            readers: &self.readers,
            stats: &stats,
            writer: 1,
            now: Nanos(NOW),
            next_block: &NEXT,
            spans_max,
            bytes_max: 1 << 20,
            queried: Vec::new(),
            has_catalogs: true,
            go_on: &|| Ok(()),
        };
        let change = merge.compact(sort).unwrap();
        assert_eq!(change.removed.len(), places.len());
        let spans: Vec<S> = places.iter().flat_map(|at| self.all[*at].1.clone()).collect();
        let mut at = 0;
        self.all.retain(|_| {
            at += 1;
            !places.contains(&(at - 1))
        });
        // The plain evaluator needs no more than their order.
        for (number, meta) in change.added.into_iter().enumerate() {
            assert!((1..=2).contains(&meta.compactions));
            assert_eq!(meta.created_at, NOW);
            let block = Block::new(&self.tenants[0], Arc::new(meta));
            let of = if number == 0 { spans.clone() } else { Vec::new() };
            self.all.insert(first + number, (Part::Block(Arc::new(block)), of, 0));
        }
        self.see(0..usize::MAX);
    }
}

/// What was said of the spans that the answers are about.
fn same(world: &World, request: &SearchRequest) -> Result<(), TestCaseError> {
    let answer = run(world, request);
    prop_assert_eq!(&answer.partial, &None);
    prop_assert_eq!(told(&answer), expected(world, request), "{}", request.query);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_global_rejects: 1 << 20, ..ProptestConfig::default() })]

    #[test]
    fn searches_are_the_same_before_and_after(
        mut spans in scattered(),
        query in query(),
        limit in prop_oneof![Just(1usize), Just(10)],
        during in during(),
        chosen in prop::collection::vec(0usize..4, 1..4),
        spans_max in prop_oneof![Just(3u64), Just(1 << 20)],
        again in any::<bool>(),
        cataloged in prop::collection::vec(0usize..4, 0..4),
    ) {
        for (_, place, _) in &mut spans {
            if *place == Where::L0 {
                *place = Where::Block;
            }
        }
        let mut world = World::new(spans);
        let request = SearchRequest { during, ..ask(&query, limit) };
        same(&world, &request)?;
        world.catalog(&cataloged);
        same(&world, &request)?;
        world.view.owners[0].catalogs.clear();
        world.compact(&chosen, Sort::Normal, spans_max);
        same(&world, &request)?;
        same(&world, &SearchRequest { during: TimeRange::ALL, ..request.clone() })?;
        if again {
            world.compact(&[0, 1, 2], Sort::Straggler, 1 << 20);
            same(&world, &request)?;
        }
        world.catalog(&cataloged);
        same(&world, &request)?;
    }
}
