//! One request to the administration port of a running server, over HTTP/1.1: what it says is short.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::bearer::Token;

/// How long a server may take until somebody answers at all.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// A longer answer is not one of ours.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Which server is asked.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Server {
    /// The server's administration address
    #[arg(long = "admin", value_name = "ADDR", default_value = "127.0.0.1:3201")]
    pub(super) address: String,
    /// A token, sent as `Authorization: Bearer`
    #[arg(long, value_name = "TOKEN", env = "TRACEWEIR_TOKEN", hide_env_values = true)]
    token: Option<Token>,
}

impl Server {
    /// A request; status and body of the answer, which may take so long.
    ///
    /// # Errors
    /// Says why there is none.
    pub(super) fn ask(
        &self,
        (method, path): (&str, &str),
        body: &str,
        wait: Duration,
    ) -> Result<(u16, String), String> {
        let host = self.address.trim_start_matches("http://").trim_end_matches('/');
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        if let Some(token) = &self.token {
            head = format!("{head}authorization: {}\r\n", token.bearer());
        }
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        exchange(host, &request, wait)
            .map_err(|fault| format!("no server answers at {}: {fault}", self.address))
    }
}

fn exchange(host: &str, request: &str, wait: Duration) -> Result<(u16, String), String> {
    let told = |fault: std::io::Error| fault.to_string();
    let addresses: Vec<SocketAddr> = host.to_socket_addrs().map_err(told)?.collect();
    let mut stream = Err("the name has no address".to_owned());
    for addr in addresses {
        stream = TcpStream::connect_timeout(&addr, CONNECT_WAIT).map_err(told);
        if stream.is_ok() {
            break;
        }
    }
    let mut stream = stream?;
    stream.set_read_timeout(Some(wait)).map_err(told)?;
    stream.set_write_timeout(Some(wait)).map_err(told)?;
    stream.write_all(request.as_bytes()).map_err(told)?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).map_err(told)?;
    parse(&answer).ok_or_else(|| "the answer is no HTTP".to_owned())
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_split_and_nonsense_is_refused() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\nreplaying\n";
        assert_eq!(parse(answer), Some((503, "replaying\n".to_owned())));
        for wrong in ["", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 x\r\n\r\n", "HTTP/1.1\r\n\r\n"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
