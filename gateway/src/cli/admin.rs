//! One request to the administration port of a running server.

use std::time::Duration;

use http::Method;

use super::reach::{Ask, Target, Trust};

/// A longer answer is not one of ours: those with captured requests are the longest.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Which server is asked.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Server {
    /// The server's administration address; `https://HOST:PORT` where it speaks TLS
    #[arg(long = "admin", value_name = "ADDR", default_value = "127.0.0.1:3201")]
    pub(super) address: Target,
    #[command(flatten)]
    trust: Trust,
}

impl Server {
    /// A request; status and body of the answer, which may take so long.
    ///
    /// # Errors
    /// Says why there is none.
    pub(super) fn ask(
        &self,
        (method, path): (Method, &str),
        body: &str,
        wait: Duration,
    ) -> Result<(u16, String), String> {
        let (headers, body) = (Vec::new(), body.to_owned());
        let ask = Ask { method, path, headers, body, wait, bytes_max: ANSWER_BYTES_MAX };
        let said = self.trust.ask(&self.address, ask)?;
        Ok((said.status, String::from_utf8_lossy(&said.body).into_owned()))
    }
}
