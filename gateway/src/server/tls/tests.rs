//! Real handshakes over real sockets, with certificates that are made here.

use std::path::Path;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::Wait;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::server::{self, Body, DrainTrigger, Handler, Peer, Reply, Server, drain};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A certificate and its key, as PEM.
struct Own {
    cert: String,
    key: String,
}

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn signed(authority: &Authority, name: &str, uri: Option<&str>) -> Own {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let uri = uri.map(|uri| SanType::URI(uri.to_owned().try_into().unwrap()));
    params.subject_alt_names.extend(uri);
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, authority).unwrap();
    Own { cert: cert.pem(), key: key.serialize_pem() }
}

/// A server that says who its peer is.
struct Rig {
    dir: tempfile::TempDir,
    authority: Authority,
    tls: Option<Arc<Tls>>,
    addr: std::net::SocketAddr,
    _drain: DrainTrigger,
}

struct WhoAmI;

impl Handler for WhoAmI {
    fn handle(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Reply {
        let version = request.version();
        let who = peer.certificate.map_or_else(
            || "nobody".to_owned(),
            |own| format!("{} {}", own.subject, own.uris.join(" ")),
        );
        let answer = Response::new(Body::from(format!("{version:?} {who}")));
        Box::pin(std::future::ready(answer))
    }
}

fn write(dir: &Path, own: &Own) {
    std::fs::write(dir.join("cert.pem"), &own.cert).unwrap();
    std::fs::write(dir.join("key.pem"), &own.key).unwrap();
}

impl Rig {
    async fn start(client_auth: Option<ClientAuth>) -> Self {
        Self::start_with(client_auth, true).await
    }

    async fn start_with(client_auth: Option<ClientAuth>, is_on: bool) -> Self {
        let (dir, authority) = (tempfile::tempdir().unwrap(), authority());
        write(dir.path(), &signed(&authority, "server", None));
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        let config = Config {
            cert_file: file("cert.pem"),
            key_file: file("key.pem"),
            client_ca_file: client_auth.map(|_| file("ca.pem")).unwrap_or_default(),
            client_auth: client_auth.unwrap_or_default(),
            clear: Vec::new(),
        };
        let tls = if is_on { Tls::open(&config).unwrap() } else { None };
        let config = server::Config { header_wait: Wait::secs(5), ..server::Config::default() };
        let addr = ([127, 0, 0, 1], 0).into();
        let server = Server::bind(addr, config, Arc::default()).await.unwrap();
        let (addr, acceptor) =
            (server.addr(), tls.as_ref().and_then(|tls| tls.acceptor("http", true)));
        let (trigger, drain) = drain::channel();
        crate::clock::Tasks::new().spawn("server", async move {
            server.serve(Arc::new(WhoAmI), acceptor, drain).await;
        });
        Self { dir, authority, tls, addr, _drain: trigger }
    }

    fn connector(&self, own: Option<&Own>, protocol: &str) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = certificates("own", own.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    async fn connect(
        &self,
        own: Option<&Own>,
        protocol: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.addr).await?;
        let name = ServerName::try_from("localhost").unwrap();
        self.connector(own, protocol).connect(name, stream).await
    }

    fn request(&self) -> Request<Full<Bytes>> {
        Request::get(format!("https://{}/", self.addr)).body(Full::default()).unwrap()
    }

    /// What the server says over HTTP/2.
    async fn ask(&self, own: Option<&Own>) -> Result<String, String> {
        let stream = self.connect(own, "h2").await.map_err(|fault| fault.to_string())?;
        assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        let io = TokioIo::new(stream);
        let (mut client, connection) =
            http2::handshake(TokioExecutor::new(), io).await.map_err(|fault| fault.to_string())?;
        drive(connection);
        let response =
            client.send_request(self.request()).await.map_err(|fault| fault.to_string())?;
        Ok(text(response).await)
    }
}

/// Runs a client's side of a connection.
fn drive(connection: impl Future<Output: Send> + Send + 'static) {
    crate::clock::Tasks::new().spawn("client", async move { drop(connection.await) });
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn one_port_speaks_both_versions_of_http_over_tls() {
    let rig = Rig::start(None).await;
    assert_eq!(rig.ask(None).await.unwrap(), "HTTP/2.0 nobody");
    let stream = rig.connect(None, "http/1.1").await.unwrap();
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    drive(connection);
    let response = client.send_request(rig.request()).await.unwrap();
    assert_eq!(text(response).await, "HTTP/1.1 nobody");
    assert!(rig.connect(None, "spdy/3").await.is_err());
}

#[tokio::test]
async fn certificates_of_clients_tell_who_they_are() {
    let rig = Rig::start(Some(ClientAuth::Optional)).await;
    let own = signed(&rig.authority, "spoke", Some("spiffe://acme/eu-1"));
    assert_eq!(rig.ask(Some(&own)).await.unwrap(), "HTTP/2.0 CN=spoke spiffe://acme/eu-1");
    assert_eq!(rig.ask(None).await.unwrap(), "HTTP/2.0 nobody");
    let foreign = signed(&authority(), "spoke", None);
    assert!(rig.ask(Some(&foreign)).await.is_err(), "somebody else has signed it");
    let failed = || rig.tls.as_ref().unwrap().stats().handshakes_failed.get();
    assert!(failed() > 0);
}

#[tokio::test]
async fn where_certificates_are_required_nobody_comes_in_without() {
    let rig = Rig::start(Some(ClientAuth::Required)).await;
    let own = signed(&rig.authority, "spoke", None);
    assert_eq!(rig.ask(Some(&own)).await.unwrap(), "HTTP/2.0 CN=spoke ");
    assert!(rig.ask(None).await.is_err());
}

#[tokio::test]
async fn a_changed_certificate_holds_from_then_on_and_drops_nobody() {
    let rig = Rig::start(None).await;
    let tls = rig.tls.as_ref().unwrap();
    let before = rig.connect(None, "h2").await.unwrap();
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(before)).await.unwrap();
    drive(connection);
    let shown = async || {
        let stream = rig.connect(None, "h2").await.unwrap();
        Certificate::parse(&stream.get_ref().1.peer_certificates().unwrap()[0]).unwrap().subject
    };
    tls.reload();
    assert_eq!((shown().await.as_str(), tls.stats().reloads.get()), ("CN=server", 0));
    // First one file, then the other, as some tools write them.
    let next = signed(&rig.authority, "next", None);
    std::fs::write(rig.dir.path().join("cert.pem"), &next.cert).unwrap();
    tls.reload();
    assert_eq!((shown().await.as_str(), tls.stats().failed.get()), ("CN=server", 1));
    std::fs::write(rig.dir.path().join("key.pem"), &next.key).unwrap();
    tls.reload();
    assert_eq!((shown().await.as_str(), tls.stats().reloads.get()), ("CN=next", 1));
    std::fs::write(rig.dir.path().join("cert.pem"), "nothing of use").unwrap();
    tls.reload();
    assert_eq!(shown().await, "CN=next");
    let response = client.send_request(rig.request()).await.unwrap();
    assert_eq!(text(response).await, "HTTP/2.0 nobody");
}

#[tokio::test]
async fn clients_in_the_clear_are_told_that_this_is_tls() {
    let rig = Rig::start(None).await;
    let stream = TcpStream::connect(rig.addr).await.unwrap();
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    drive(connection);
    let response = client.send_request(rig.request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(response).await, "this port speaks TLS: use https\n");
    // gRPC, too.
    let stream = TcpStream::connect(rig.addr).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    drive(connection);
    let mut request = rig.request();
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(response.headers()["grpc-message"], "this port speaks TLS: use https");
}

#[tokio::test]
async fn clients_with_tls_are_told_that_this_is_in_the_clear() {
    let rig = Rig::start_with(None, false).await;
    let fault = rig.connect(None, "h2").await.unwrap_err().to_string();
    assert!(fault.contains("HandshakeFailure"), "{fault}");
    // And nothing else is read of it.
    let mut stream = TcpStream::connect(rig.addr).await.unwrap();
    stream.write_all(&[22, 3, 1, 0, 5]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 40]);
}

#[test]
fn what_does_not_go_together_is_told() {
    let faults = |config: Config| {
        let mut faults = Faults::default();
        config.check(&["http", "admin"], &mut faults);
        faults.list().iter().map(|fault| fault.key.clone()).collect::<Vec<_>>()
    };
    let text = |text: &str| text.to_owned();
    assert!(faults(Config::default()).is_empty());
    assert_eq!(faults(Config { cert_file: text("a"), ..Config::default() }), ["tls.key_file"]);
    assert_eq!(faults(Config { key_file: text("a"), ..Config::default() }), ["tls.cert_file"]);
    let client_ca_file = Config { client_ca_file: text("a"), ..Config::default() };
    assert_eq!(faults(client_ca_file), ["tls.client_ca_file"]);
    let on = Config { cert_file: text("a"), key_file: text("b"), ..Config::default() };
    let required = Config { client_auth: ClientAuth::Required, ..on.clone() };
    assert_eq!(faults(required), ["tls.client_auth"]);
    assert_eq!(faults(Config { clear: vec![text("htpp")], ..on.clone() }), ["tls.clear"]);
    assert!(faults(Config { clear: vec![text("admin")], ..on }).is_empty());
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority();
    let own = signed(&authority, "server", None);
    write(dir.path(), &own);
    let file = |name: &str| dir.path().join(name).display().to_string();
    let config =
        Config { cert_file: file("cert.pem"), key_file: file("key.pem"), ..Config::default() };
    assert!(Tls::open(&config).is_ok());
    let fault = |config: Config| Tls::open(&config).unwrap_err();
    assert!(fault(Config { cert_file: file("none.pem"), ..config.clone() }).contains("none.pem"));
    let swapped =
        Config { cert_file: file("key.pem"), key_file: file("cert.pem"), ..config.clone() };
    assert!(fault(swapped).contains("key.pem: no certificate"));
    let ca = Config { client_ca_file: file("key.pem"), ..config.clone() };
    assert!(fault(ca).contains("key.pem: no certificate"));
    // The key of another one.
    std::fs::write(dir.path().join("key.pem"), signed(&authority, "other", None).key).unwrap();
    assert!(fault(config).contains("key.pem"));
}
