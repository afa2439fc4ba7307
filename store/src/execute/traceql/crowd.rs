//! Which traces stand in several files, where files have more traces than are kept from query to query
//! ([`crate::shelf::places`]): read anew for one query, in four bytes a trace.

use crate::execute::Parts;
use crate::shelf::Part;

/// The most traces: 64 MiB. Of more each file is asked for each trace.
const TRACES_MAX: u64 = 16 << 20;
/// Traces in several places are looked for in so many parts of all hashes, one after the other: what is put
/// in order at a time is as much smaller.
const SLICES_BITS: u32 = 4;

/// The traces of all files of a view.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Short hashes of their ids, ascending, by the place of the file in the view.
    lists: Vec<(usize, Vec<u32>)>,
    /// Those that are there more than once, ascending.
    several: Vec<u32>,
}

impl Crowd {
    /// Reads the index of each file; `None` where there are too many traces. A file that cannot be read
    /// is noted, and counts as one without traces.
    pub(super) fn new(parts: &Parts<'_>) -> Option<Self> {
        let all = &parts.view.parts;
        if all.iter().map(Part::traces).sum::<u64>() > TRACES_MAX {
            return None;
        }
        let files = all.iter().enumerate().filter(|(_, part)| !matches!(part, Part::Head(..)));
        let files: Vec<usize> = files.map(|(at, _)| at).collect();
        let hashes = parts.hashes(&files);
        Some(Self::of(files.into_iter().zip(hashes).collect()))
    }

    fn of(lists: Vec<(usize, Vec<u32>)>) -> Self {
        let (mut several, mut slice) = (Vec::new(), Vec::new());
        for number in 0..1u32 << SLICES_BITS {
            slice.clear();
            let is_before = |hash: &u32| hash >> (u32::BITS - SLICES_BITS) < number;
            let is_within = |hash: &u32| hash >> (u32::BITS - SLICES_BITS) <= number;
            for (_, list) in &lists {
                let range = list.partition_point(is_before)..list.partition_point(is_within);
                slice.extend_from_slice(list.get(range).unwrap_or_default());
            }
            slice.sort_unstable();
            let equal = slice.chunk_by(|a, b| a == b).filter(|equal| equal.len() > 1);
            several.extend(equal.filter_map(|equal| equal.first()));
        }
        Self { lists, several }
    }

    /// Whether a trace may stand in a file.
    pub(super) fn may_have(&self, hash: u32) -> bool {
        self.having(hash).next().is_some()
    }

    /// Whether a trace of a file may stand in another place of a file, too.
    pub(super) fn may_have_more(&self, hash: u32) -> bool {
        self.several.binary_search(&hash).is_ok()
    }

    /// The places of the files that may have a trace.
    pub(super) fn having(&self, hash: u32) -> impl Iterator<Item = usize> {
        let has = move |(_, list): &&(usize, Vec<u32>)| list.binary_search(&hash).is_ok();
        self.lists.iter().filter(has).map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_who_has_a_trace_and_which_are_there_more_than_once() {
        let top = 0xffff_ffff;
        let lists = vec![(0, vec![1, 7, 7, top]), (2, vec![1, 0x1000_0000]), (5, vec![3, top])];
        let crowd = Crowd::of(lists);
        let having = |hash| crowd.having(hash).collect::<Vec<_>>();
        assert_eq!([having(1), having(7), having(top)], [vec![0, 2], vec![0], vec![0, 5]]);
        assert_eq!(
            [1, 3, 7, 0x1000_0000, top, 2].map(|hash| crowd.may_have_more(hash)),
            [true, false, true, false, true, false]
        );
        assert!(crowd.may_have(3) && !crowd.may_have(2));
    }
}
