//! A token that a command shows to a server.

/// A token; its `Debug` does not show it.
#[derive(Clone)]
pub(super) struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl std::str::FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_one = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_one { Ok(Self(text.to_owned())) } else { Err("not a token".to_owned()) }
    }
}

impl Token {
    /// The value of the header.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_do_not_show() {
        let token: Token = "secret".parse().unwrap();
        assert_eq!(format!("{token:?}"), "***");
        assert_eq!(token.bearer(), "Bearer secret");
        assert!("a b".parse::<Token>().is_err() && "".parse::<Token>().is_err());
    }
}
