//! JSON (RFC 8259) into a tree. serde_json would add 40 kB to every plugin: its errors print numbers of every kind.

/// The deepest that lists and objects may lie in each other.
const DEPTH_MAX: u32 = 128;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    /// In their order; a key may stand twice.
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Reads a text, which has to be one value.
    ///
    /// # Errors
    ///
    /// What was expected, and at which byte.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(DEPTH_MAX).and_then(|value| match reader.next_token() {
            None => Ok(value),
            Some(_) => Err("its end"),
        });
        value.map_err(|wanted| format!("is no JSON: expected {wanted} at byte {}", reader.at))
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

/// What was expected where something else stands.
type Read<T> = Result<T, &'static str>;

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The first byte that is no space; it is not taken.
    fn next_token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.peek()
    }

    /// Takes a byte, if it stands there.
    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn word(&mut self, word: &str, value: Json) -> Read<Json> {
        let is_there = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if !is_there {
            return Err("a value");
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: u32) -> Read<Json> {
        match self.next_token() {
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'[') => self.list(depth.checked_sub(1).ok_or("less depth")?),
            Some(b'{') => self.object(depth.checked_sub(1).ok_or("less depth")?),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err("a value"),
        }
    }

    fn list(&mut self, depth: u32) -> Read<Json> {
        self.at += 1;
        let mut list = Vec::new();
        if self.next_token() == Some(b']') {
            self.at += 1;
            return Ok(Json::List(list));
        }
        loop {
            list.push(self.value(depth)?);
            self.next_token();
            if self.take(b']') {
                return Ok(Json::List(list));
            }
            if !self.take(b',') {
                return Err("',' or ']'");
            }
        }
    }

    fn object(&mut self, depth: u32) -> Read<Json> {
        self.at += 1;
        let mut pairs = Vec::new();
        if self.next_token() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(pairs));
        }
        loop {
            if self.next_token() != Some(b'"') {
                return Err("a key");
            }
            let key = self.string()?;
            self.next_token();
            if !self.take(b':') {
                return Err("':'");
            }
            pairs.push((key, self.value(depth)?));
            self.next_token();
            if self.take(b'}') {
                return Ok(Json::Object(pairs));
            }
            if !self.take(b',') {
                return Err("',' or '}'");
            }
        }
    }

    fn string(&mut self) -> Read<String> {
        self.at += 1;
        let mut text = String::new();
        let mut start = self.at;
        loop {
            match self.peek() {
                Some(byte @ (b'"' | b'\\')) => {
                    text += self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    if byte == b'"' {
                        return Ok(text);
                    }
                    text.push(self.escape()?);
                    start = self.at;
                }
                None | Some(0..=0x1f) => return Err("the end of a text"),
                Some(_) => self.at += 1,
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Read<char> {
        let byte = self.peek();
        self.at += 1;
        Ok(match byte {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err("an escape"),
        })
    }

    /// A character by its number; beyond the first 65,536 by a pair of surrogates.
    fn unicode(&mut self) -> Read<char> {
        let wanted = "a character";
        let mut code = self.hex()?;
        if (0xd800..0xdc00).contains(&code) {
            if !(self.take(b'\\') && self.take(b'u')) {
                return Err(wanted);
            }
            let low = self.hex()?.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or(wanted)?;
            code = 0x1_0000 + ((code - 0xd800) << 10) + low;
        }
        char::from_u32(code).ok_or(wanted)
    }

    fn hex(&mut self) -> Read<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or("four hexadecimal digits")?;
            self.at += 1;
        }
        Ok(code)
    }

    fn digits(&mut self) -> Read<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err("a digit") }
    }

    fn number(&mut self) -> Read<Json> {
        let start = self.at;
        self.take(b'-');
        // Nothing follows a zero in front.
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut is_whole = true;
        if self.take(b'.') {
            is_whole = false;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            is_whole = false;
            let _: bool = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if is_whole && text != "-0" {
            if let Ok(number) = text.parse() {
                return Ok(Json::Unsigned(number));
            }
            if let Ok(number) = text.parse() {
                return Ok(Json::Signed(number));
            }
        }
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Json::Float).ok_or("a smaller number")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// The same tree as another reader makes it.
    fn same(json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(bool) => (*bool).into(),
            Json::Unsigned(number) => (*number).into(),
            Json::Signed(number) => (*number).into(),
            Json::Float(number) => (*number).into(),
            Json::Text(text) => text.as_str().into(),
            Json::List(list) => list.iter().map(same).collect(),
            Json::Object(pairs) => {
                pairs.iter().map(|(key, value)| (key.clone(), same(value))).collect()
            }
        }
    }

    fn assert_same(text: &str) {
        match (Json::parse(text), serde_json::from_str::<Value>(text)) {
            (Ok(ours), Ok(theirs)) => {
                // Of fractions the last bit may differ, as the other reader rounds twice.
                let near = |value: &Value| {
                    value.to_string().chars().filter(|c| *c != '-').take(15).collect::<String>()
                };
                let (ours, theirs) = (same(&ours), theirs);
                assert!(ours == theirs || near(&ours) == near(&theirs), "{text}: {ours} {theirs}");
            }
            (Err(_), Err(_)) => {}
            (ours, theirs) => panic!("{text:?}: {ours:?} {theirs:?}"),
        }
    }

    #[test]
    fn what_another_reader_takes_is_taken() {
        for text in [
            "",
            " ",
            "null",
            " true ",
            "fals",
            "nulll",
            "0",
            "-0",
            "01",
            "-",
            "1.",
            ".5",
            "1e5",
            "1E+5",
            "1e",
            "1e999",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "-9223372036854775809",
            "0.1",
            "\"\"",
            "\"a\\n\\\"\\/\\u00e4\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"\\ud83d\\u0041\"",
            "\"\\x\"",
            "\"\n\"",
            "\"a",
            "\"\\u00g0\"",
            "[]",
            "[ ]",
            "[1,2]",
            "[1,]",
            "[,1]",
            "[1",
            "[1 2]",
            "{}",
            "{ }",
            "{\"a\":1}",
            "{\"a\" : 1 , \"b\":[{}]}",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":1,}",
            "{\"a\":1,\"a\":2}",
            "{} {}",
            "ä",
        ] {
            assert_same(text);
        }
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let wrong = |text: &str| Json::parse(text).unwrap_err();
        assert_eq!(wrong("{\"a\": ]}"), "is no JSON: expected a value at byte 6");
        assert_eq!(wrong("{} x"), "is no JSON: expected its end at byte 3");
        assert_eq!(wrong(&"[".repeat(1_000)), "is no JSON: expected less depth at byte 128");
    }

    proptest! {
        #[test]
        fn texts_that_look_like_json_are_read_alike(text in r#"[\[\]{}:,"\\a0-9eE.+\- u]{0,16}"#) {
            assert_same(&text);
        }

        #[test]
        fn any_text_is_written_and_read(text in any::<String>(), int in any::<i64>(), float in -1e300..1e300) {
            let value = serde_json::json!({text.clone(): [text, int, float, null, true]});
            let read = Json::parse(&value.to_string()).map(|read| same(&read));
            prop_assert_eq!(read, Ok(value));
        }
    }
}
