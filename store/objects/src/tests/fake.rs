//! An object store in memory that loses answers, as networks do.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// What becomes of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loses {
    /// The first answer, so that the client tries again.
    AnAnswer,
    /// All answers, though all is done.
    AllAnswers,
    /// Requests: nothing is done.
    Requests,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Fake {
    pub(super) inner: InMemory,
    pub(super) loses: Loses,
}

impl Fake {
    pub(super) fn new(loses: Loses) -> Self {
        Self { inner: InMemory::new(), loses }
    }
}

impl fmt::Display for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

fn timed_out() -> Error {
    Error::Generic { store: "fake", source: "timed out".into() }
}

#[async_trait]
impl ObjectStore for Fake {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        if self.loses == Loses::Requests {
            return Err(timed_out());
        }
        let put = self.inner.put_opts(location, payload.clone(), opts.clone()).await;
        match (self.loses, put) {
            (Loses::AllAnswers, Ok(_)) => Err(timed_out()),
            (_, Ok(_)) => self.inner.put_opts(location, payload, opts).await,
            (_, fault) => fault,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        let is_done = self.loses != Loses::Requests;
        Ok(Box::new(FakeUpload { inner, is_done, is_completed: AtomicBool::new(false) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FakeUpload {
    inner: Box<dyn MultipartUpload>,
    is_done: bool,
    is_completed: AtomicBool,
}

#[async_trait]
impl MultipartUpload for FakeUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.is_done && !self.is_completed.swap(true, Ordering::Relaxed) {
            drop(self.inner.complete().await?);
        }
        // As S3 says to the second attempt.
        let source = "NoSuchUpload".into();
        Err(Error::NotFound { path: "upload".to_owned(), source })
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
