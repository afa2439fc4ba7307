//! Objects in memory that can be made unreadable for a while.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::backend::{Backend, Upload};
use crate::block::tests::Bytes;
use crate::disk::File;
use crate::error::Error;

type Files = Arc<Mutex<HashMap<String, Arc<dyn File>>>>;

/// Objects by name.
#[derive(Debug, Default)]
pub(in super::super) struct Memory {
    files: Files,
    /// Whether none can be read.
    pub(super) is_broken: Arc<AtomicBool>,
    /// Whether they are as if in a bucket.
    pub(super) is_far: AtomicBool,
}

impl Memory {
    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) {
        put(&self.files, name, bytes, &self.is_broken);
    }
}

fn put(files: &Files, name: &str, bytes: Vec<u8>, is_broken: &Arc<AtomicBool>) {
    let file = Fragile(Bytes(bytes), Arc::clone(is_broken));
    files.lock().unwrap().insert(name.to_owned(), Arc::new(file));
}

impl Backend for Memory {
    fn begin(&self, name: &str) -> Result<Box<dyn Upload>, Error> {
        let (files, is_broken) = (Arc::clone(&self.files), Arc::clone(&self.is_broken));
        Ok(Box::new(Growing { files, is_broken, name: name.to_owned(), bytes: Vec::new() }))
    }
    fn open(&self, name: &str) -> Result<Arc<dyn File>, Error> {
        let files = self.files.lock().unwrap();
        files.get(name).cloned().ok_or_else(|| Error::new(crate::Kind::Io, "not there"))
    }
    fn reads_at_once(&self, _: &str) -> usize {
        if self.is_far.load(Ordering::Relaxed) { 4 } else { 1 }
    }
    fn list(&self, _: &str) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
    fn remove(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
    fn set_aside(&self, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }
    fn settle(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// An object that is written.
struct Growing {
    files: Files,
    is_broken: Arc<AtomicBool>,
    name: String,
    bytes: Vec<u8>,
}

impl Upload for Growing {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<bool, Error> {
        put(&self.files, &self.name, self.bytes, &self.is_broken);
        Ok(true)
    }
}

/// A file that cannot be read for a while.
#[derive(Debug)]
struct Fragile(Bytes, Arc<AtomicBool>);

impl File for Fragile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.1.load(Ordering::Relaxed) {
            true => Err(io::Error::other("broken")),
            false => self.0.read_at(buffer, offset),
        }
    }
}
