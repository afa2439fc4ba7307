//! Promises are kept, whatever is promised and in whatever order it is used.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::disk::File;
use crate::log::record::FRAME_BYTES;

#[derive(Debug)]
struct NoFile;

impl File for NoFile {
    fn len(&self) -> std::io::Result<u64> {
        Ok(0)
    }
    fn read_at(&self, _: &mut [u8], _: u64) -> std::io::Result<usize> {
        Ok(0)
    }
    fn write_at(&self, _: &[u8], _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn allocate(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn set_len(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }
    fn lock(&self) -> std::io::Result<bool> {
        Ok(true)
    }
}

fn segment(number: u64, capacity: u64) -> Segment {
    let len = capacity + HEADER_BYTES + FRAME_BYTES as u64;
    Segment { number, len, file: Arc::new(NoFile) }
}

#[derive(Clone, Debug)]
enum Act {
    Promise(u64),
    /// Uses a promise, and less of it than was promised.
    Use(prop::sample::Index, u64),
    Release(prop::sample::Index),
    Rotate,
    Add(u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    let aligned = |most: u64| (1..most).prop_map(|n| n * 8);
    prop_oneof![
        4 => aligned(800).prop_map(Act::Promise),
        4 => (any::<prop::sample::Index>(), aligned(200)).prop_map(|(at, less)| Act::Use(at, less)),
        1 => any::<prop::sample::Index>().prop_map(Act::Release),
        1 => Just(Act::Rotate),
        2 => prop_oneof![Just(4000), aligned(2000)].prop_map(Act::Add),
    ]
}

proptest! {
    #[test]
    fn every_promise_is_kept(acts in prop::collection::vec(any_act(), 1..200)) {
        let mut room = Room::default();
        let mut promises: Vec<u64> = Vec::new();
        let mut number = 0;
        let mut last: Option<(u64, u64, u64)> = None;
        for act in acts {
            match act {
                Act::Promise(bytes) => {
                    if room.promise(bytes) {
                        promises.push(bytes);
                    }
                }
                Act::Use(at, less) if !promises.is_empty() => {
                    let promised = promises.swap_remove(at.index(promises.len()));
                    let bytes = promised.saturating_sub(less).max(8);
                    let place = room.place(bytes);
                    prop_assert!(place.is_some(), "no place for {bytes} of {promised}");
                    room.release(promised);
                    let place = place.unwrap();
                    prop_assert!(place.offset + bytes <= place.segment.limit());
                    if let Some((segment, end, sequence)) = last.filter(|last| last.0 == place.segment.number) {
                        prop_assert_eq!((segment, end, sequence + 1), (place.segment.number, place.offset, place.sequence));
                    } else {
                        prop_assert_eq!((place.offset, place.sequence), (HEADER_BYTES, 0));
                        prop_assert!(last.is_none_or(|last| last.0 < place.segment.number));
                    }
                    last = Some((place.segment.number, place.offset + bytes, place.sequence));
                }
                Act::Release(at) if !promises.is_empty() => {
                    room.release(promises.swap_remove(at.index(promises.len())));
                }
                Act::Use(..) | Act::Release(_) => {}
                Act::Rotate => {
                    if let Some(next) = room.rotate() {
                        prop_assert!(last.is_none_or(|last| last.0 < next));
                    }
                }
                Act::Add(capacity) => {
                    number += 1;
                    room.add(segment(number, capacity));
                }
            }
            prop_assert_eq!((room.promises(), room.promised()), (promises.len(), promises.iter().sum()));
        }
        // Whatever is left fits too.
        for bytes in promises {
            prop_assert!(room.place(bytes).is_some());
        }
    }
}

#[test]
fn the_spare_is_kept_for_rotation() {
    let mut room = Room::default();
    assert!(!room.promise(8));
    room.add(segment(1, 1000));
    assert!(room.promise(900));
    assert_eq!(room.place(900).unwrap().segment.number, 1);
    room.release(900);
    room.add(segment(2, 1000));
    assert!(room.promise(96));
    assert!(!room.promise(500), "segment 2 is the spare");
    assert_eq!(room.rotate(), Some(2));
    assert_eq!(room.rotate(), Some(2), "an empty segment is not ended");
    assert_eq!(room.place(96).unwrap().segment.number, 2);
    assert_eq!(room.rotate(), None);
}
