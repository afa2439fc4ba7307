//! An object on its way: small ones in one request, larger ones in parts.

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use store::backend::Upload;
use store::{Error, Kind};

use super::Client;

/// Bytes of a part, and what an object may have that is sent in one request. S3 takes parts of 5 MiB
/// and more, at most 10,000 of them.
const PART_BYTES: usize = 8 << 20;

/// See the module.
pub(super) struct Parts {
    client: Client,
    path: Path,
    buffer: Vec<u8>,
    /// Bytes of the parts that were sent.
    sent_bytes: u64,
    upload: Option<Box<dyn MultipartUpload>>,
}

impl Parts {
    pub(super) fn new(client: Client, path: Path) -> Self {
        Self { client, path, buffer: Vec::new(), sent_bytes: 0, upload: None }
    }

    /// Sends what is gathered as the next part.
    fn send(&mut self) -> Result<(), Error> {
        let Client { objects, stats, .. } = &self.client;
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => {
                stats.puts.inc();
                let begun = objects.put_multipart(&self.path);
                none.insert(self.client.wait("begin", &self.path, begun)?)
            }
        };
        let part = std::mem::take(&mut self.buffer);
        stats.puts.inc();
        stats.written_bytes.add(part.len() as u64);
        self.sent_bytes += part.len() as u64;
        self.client.wait("write", &self.path, upload.put_part(PutPayload::from(part)))
    }

    /// The length of what has the name, if anything has.
    fn bytes_there(&self) -> Option<u64> {
        self.client.stats.gets.inc();
        self.client.ask(self.client.objects.head(&self.path)).ok().map(|meta| meta.size)
    }
}

impl Upload for Parts {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART_BYTES { self.send() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<bool, Error> {
        if self.upload.is_none() {
            let created = self.client.create(&self.path, std::mem::take(&mut self.buffer));
            // What comes to be there after all is of no use to anybody.
            return created.map_err(|error| error.with_kind(Kind::Io));
        }
        if !self.buffer.is_empty() {
            self.send()?;
        }
        // No store takes parts under the condition that the name is free. Names of blocks are of one
        // writer and used once: what has the name is what an attempt before has made.
        if self.bytes_there().is_some() {
            return Ok(false);
        }
        let Some(upload) = &mut self.upload else { return Ok(false) };
        self.client.stats.puts.inc();
        let completed = self.client.wait("finish", &self.path, upload.complete());
        // The client tries again where an answer was lost, and is told then that there is no such
        // upload: it is done.
        if completed.is_ok() || self.bytes_there() == Some(self.sent_bytes) {
            self.upload = None;
            return Ok(true);
        }
        completed.map(|_| true)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            // Parts of what was never finished cost money until a rule of the bucket removes them.
            if let Err(fault) = self.client.ask(upload.abort()) {
                tracing::warn!(path = %self.path, %fault, "parts of an unfinished upload stay");
            }
        }
    }
}
