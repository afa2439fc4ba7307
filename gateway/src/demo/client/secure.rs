//! TLS of the client: whose certificates are believed, and the stream beneath HTTP.

use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Fault, Protocol};

/// Whom a server has to be signed by.
#[derive(Clone)]
pub(super) struct Secure(Arc<ClientConfig>);

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secure")
    }
}

impl Secure {
    /// The roots of a PEM file.
    pub(super) fn open(path: &Path, protocol: Protocol) -> Result<Self, Fault> {
        let refuse = |why: &dyn fmt::Display| Fault::new(&path.display().to_string(), why);
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(path).map_err(|fault| refuse(&fault))? {
            let root = root.map_err(|fault| refuse(&fault))?;
            roots.add(root).map_err(|fault| refuse(&fault))?;
        }
        if roots.is_empty() {
            return Err(refuse(&"has no certificate in it"));
        }
        let mut config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let spoken: &[u8] = match protocol {
            Protocol::Grpc => b"h2",
            Protocol::Http => b"http/1.1",
        };
        config.alpn_protocols = vec![spoken.to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// The handshake with a server of this name.
    pub(super) async fn connect(&self, stream: TcpStream, host: &str) -> io::Result<Stream> {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await?;
        Ok(Stream::Secure(Box::new(stream)))
    }
}

/// What bytes go through.
#[derive(Debug)]
pub(super) enum Stream {
    Clear(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(context, into),
            Self::Secure(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(context, from),
            Self::Secure(stream) => Pin::new(stream).poll_write(context, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
