//! Buffers for bodies, used again and again.
//!
//! A body of a few hundred kilobytes is a fresh mapping for the allocator: the kernel clears each
//! of its pages, which took 9 % of the whole server's CPU time. Buffers come back here when the
//! last reader of a body drops it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Most bytes that are kept while nobody uses them.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// Smaller ones are left to the allocator, which is good at them.
pub(super) const POOLED_BYTES_MIN: usize = 64 << 10;

/// A pool of buffers; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// An empty buffer for at least `bytes`.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Vec<u8> {
        if bytes < POOLED_BYTES_MIN {
            return Vec::with_capacity(bytes);
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Vec<u8>| buffer.capacity() >= bytes;
        // Rounded up, so that bodies of about one size find each other's buffers.
        kept.iter()
            .position(fits)
            .map(|found| kept.swap_remove(found))
            .unwrap_or_else(|| Vec::with_capacity(bytes.next_multiple_of(POOLED_BYTES_MIN)))
    }

    /// The buffer as a body; it comes back when the last clone is dropped.
    #[must_use]
    pub fn lend(&self, buffer: Vec<u8>) -> Bytes {
        if buffer.capacity() < POOLED_BYTES_MIN {
            return buffer.into();
        }
        Bytes::from_owner(Lent { buffer, home: self.clone() })
    }

    /// Takes a buffer back.
    fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: usize = kept.iter().map(Vec::capacity).sum();
        if bytes.saturating_add(buffer.capacity()) <= KEPT_BYTES_MAX {
            kept.push(buffer);
        }
    }
}

/// A buffer on loan.
struct Lent {
    buffer: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_reader_is_gone() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(100 << 10);
        let (at, capacity) = (buffer.as_ptr(), buffer.capacity());
        buffer.extend_from_slice(b"body");
        let body = buffers.lend(buffer);
        let reader = body.slice(1..3);
        drop(body);
        let other = buffers.take(100 << 10);
        assert_ne!(other.as_ptr(), at, "a reader still has it");
        assert_eq!(&reader[..], b"od");
        drop(reader);
        let again = buffers.take(70 << 10);
        assert_eq!((again.as_ptr(), again.capacity(), again.len()), (at, capacity, 0));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let buffers = Buffers::default();
        let lent: Vec<Bytes> = (0..40).map(|_| buffers.lend(Vec::with_capacity(1 << 20))).collect();
        drop(lent);
        let kept: usize = buffers.0.lock().unwrap().iter().map(Vec::capacity).sum();
        assert!((1 << 20..=KEPT_BYTES_MAX).contains(&kept), "{kept}");
    }
}
