//! The characters of JSON: white space, strings, numbers, and values that nobody wants.
//!
//! Knows nothing of OTLP. Reads bytes that are known to be UTF-8, borrows from them, and names
//! the byte where they stop being JSON. Source of the grammar: RFC 8259.

use std::borrow::Cow;

use super::SKIPPED_NESTING_MAX;

/// A fault on its way up, gathering the path as it goes: that costs nothing while all is well.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) offset: usize,
    pub(super) expected: &'static str,
    /// From the innermost outwards.
    pub(super) path: Vec<Step>,
}

/// One step of a JSON path.
#[derive(Debug)]
pub(super) enum Step {
    Key(&'static str),
    Index(usize),
}

/// What a reader gives: boxed, so that the way of success stays narrow.
pub(super) type Parsed<T> = Result<T, Box<Broken>>;

impl Broken {
    pub(super) fn at(offset: usize, expected: &'static str) -> Box<Self> {
        Box::new(Self { offset, expected, path: Vec::new() })
    }

    #[cold]
    pub(super) fn inside(mut self: Box<Self>, step: Step) -> Box<Self> {
        self.path.push(step);
        self
    }
}

/// A string as it stands between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) raw: &'a [u8],
    pub(super) escaped: bool,
    /// Where `raw` starts.
    pub(super) offset: usize,
}

impl<'a> Text<'a> {
    /// The characters, escapes resolved.
    pub(super) fn resolved(self) -> Parsed<Cow<'a, [u8]>> {
        if !self.escaped {
            return Ok(Cow::Borrowed(self.raw));
        }
        let mut out = Vec::with_capacity(self.raw.len());
        self.unescape(&mut out)?;
        Ok(Cow::Owned(out))
    }

    /// Appends the characters, escapes resolved. A surrogate without its other half becomes
    /// U+FFFD.
    pub(super) fn unescape(self, out: &mut Vec<u8>) -> Parsed<()> {
        let mut rest = self.raw;
        loop {
            let Some(escape) = rest.iter().position(|byte| *byte == b'\\') else {
                out.extend_from_slice(rest);
                return Ok(());
            };
            let (plain, tail) = rest.split_at(escape);
            out.extend_from_slice(plain);
            let offset = self.offset + self.raw.len() - tail.len();
            rest = put_escape(tail, out).ok_or_else(|| Broken::at(offset, "an escape of JSON"))?;
        }
    }
}

/// Resolves the escape that `text` starts with; gives what follows it.
fn put_escape<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let [b'\\', kind, rest @ ..] = text else { return None };
    out.push(match kind {
        b'"' | b'\\' | b'/' => *kind,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return put_unicode(rest, out),
        _ => return None,
    });
    Some(rest)
}

/// Resolves `XXXX` or `XXXX\uYYYY`.
fn put_unicode<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (high, rest) = unit(text)?;
    let pair = match rest {
        [b'\\', b'u', tail @ ..] if (0xd800..0xdc00).contains(&high) => unit(tail),
        _ => None,
    };
    let (point, rest) = match pair {
        Some((low, tail)) if (0xdc00..0xe000).contains(&low) => {
            (0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00), tail)
        }
        _ => (high, rest),
    };
    let character = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

/// Reads four hex digits.
fn unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let mut value = 0;
    for digit in digits {
        let nibble = hex_value(*digit)?;
        value = value << 4 | u32::from(nibble);
    }
    Some((value, rest))
}

/// The value of a hex digit of either case.
#[inline]
pub(super) fn hex_value(digit: u8) -> Option<u8> {
    const NONE: u8 = 0xff;
    const TABLE: [u8; 256] = {
        let mut table = [NONE; 256];
        let mut value = 0u8;
        while value < 16 {
            table[b"0123456789abcdef"[value as usize] as usize] = value;
            table[b"0123456789ABCDEF"[value as usize] as usize] = value;
            value += 1;
        }
        table
    };
    let value = TABLE[usize::from(digit)];
    (value != NONE).then_some(value)
}

/// Reads JSON from its start.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// Starts at `at`.
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where the next character stands.
    pub(super) const fn offset(&self) -> usize {
        self.at
    }

    /// A fault at the next character.
    #[cold]
    pub(super) fn fault(&self, expected: &'static str) -> Box<Broken> {
        Broken::at(self.at, expected)
    }

    /// The next character that is no white space, not taken.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes one character.
    #[inline]
    pub(super) fn take(&mut self, byte: u8, expected: &'static str) -> Parsed<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.fault(expected))
    }

    /// Whether an object or array goes on after its opening (`first`) or a member of it; takes
    /// the comma, or the `close` at its end.
    #[inline]
    pub(super) fn more(&mut self, first: &mut bool, close: u8) -> Parsed<bool> {
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                return Ok(false);
            }
            Some(b',') if !*first => {
                self.at += 1;
                if self.peek() == Some(close) {
                    return Err(self.fault("a member after the comma"));
                }
            }
            Some(_) if *first => {}
            _ if close == b'}' => return Err(self.fault("a comma or }")),
            _ => return Err(self.fault("a comma or ]")),
        }
        *first = false;
        Ok(true)
    }

    /// Takes `null`, if it is there.
    #[inline]
    pub(super) fn null(&mut self) -> Parsed<bool> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.word(b"null")?;
        Ok(true)
    }

    /// Takes `true` or `false`.
    pub(super) fn boolean(&mut self) -> Parsed<bool> {
        match self.peek() {
            Some(b't') => self.word(b"true").map(|()| true),
            Some(b'f') => self.word(b"false").map(|()| false),
            _ => Err(self.fault("true or false")),
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Parsed<()> {
        match self.bytes.get(self.at..).and_then(|rest| rest.strip_prefix(word)) {
            Some(rest) if !rest.first().is_some_and(u8::is_ascii_alphanumeric) => {
                self.at += word.len();
                Ok(())
            }
            _ => Err(self.fault("a JSON value")),
        }
    }

    /// Takes a string.
    #[inline]
    pub(super) fn text(&mut self, expected: &'static str) -> Parsed<Text<'a>> {
        self.take(b'"', expected)?;
        let offset = self.at;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            self.at += plain_len(rest);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let raw = self.bytes.get(offset..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Text { raw, escaped, offset });
                }
                // The escaped character may be a quote; what it is, is looked at when resolved.
                Some(b'\\') if self.at + 1 < self.bytes.len() => {
                    escaped = true;
                    self.at += 2;
                }
                Some(b'\\') => {
                    self.at += 1;
                    return Err(self.fault("the rest of the string"));
                }
                Some(_) => return Err(self.fault("no bare control character in a string")),
                None => return Err(self.fault("the rest of the string")),
            }
        }
    }

    /// Takes a number as text.
    #[inline]
    pub(super) fn number(&mut self, expected: &'static str) -> Parsed<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let token = number_len(rest).and_then(|length| rest.get(..length));
        let Some(token) = token else { return Err(self.fault(expected)) };
        self.at += token.len();
        Ok(token)
    }

    /// Reads over any value.
    pub(super) fn skip(&mut self, depth: usize) -> Parsed<()> {
        let Some(next) = self.peek() else { return Err(self.fault("a JSON value")) };
        if depth > SKIPPED_NESTING_MAX {
            return Err(self.fault("at most 64 levels in a value that is not known"));
        }
        match next {
            b'"' => self.text("a string").map(drop),
            b'{' => self.skip_members(b'}', depth),
            b'[' => self.skip_members(b']', depth),
            b't' | b'f' => self.boolean().map(drop),
            b'n' => self.null().map(drop),
            _ => self.number("a JSON value").map(drop),
        }
    }

    fn skip_members(&mut self, close: u8, depth: usize) -> Parsed<()> {
        self.at += 1;
        let mut first = true;
        while self.more(&mut first, close)? {
            if close == b'}' {
                self.text("a key")?;
                self.take(b':', "a colon")?;
            }
            self.skip(depth + 1)?;
        }
        Ok(())
    }
}

/// How many bytes come before the first quote, backslash or control character. Eight at a time:
/// most of a request is the inside of strings.
#[inline]
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut length = 0;
    let mut rest = bytes;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c)) | control;
        if found != 0 {
            // A borrow can mark bytes above the first hit only, so the lowest mark is true.
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
        rest = tail;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    length + rest.iter().position(special).unwrap_or(rest.len())
}

/// How long the number is that `bytes` start with. Zeros in front are let pass.
#[inline]
pub(super) fn number_len(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        (count > 0).then_some(from + count)
    };
    let mut end = digits(usize::from(bytes.first() == Some(&b'-')))?;
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        end = digits(end + 1 + usize::from(signed))?;
    }
    Some(end)
}

/// The value of a number's text if it is whole (`1.5e1` is), and at most some 10^38.
#[inline]
pub(super) fn whole(token: &[u8]) -> Option<i128> {
    let (negative, digits) = match token {
        [b'-', digits @ ..] => (true, digits),
        _ => (false, token),
    };
    let magnitude = if digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit) {
        let add = |sum: u64, digit: &u8| sum * 10 + u64::from(digit - b'0');
        i128::from(digits.iter().fold(0, add))
    } else {
        whole_decimal(digits)?
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// [`whole`] for what has a point, an exponent or many digits.
fn whole_decimal(text: &[u8]) -> Option<i128> {
    let split = text.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at(split);
    let mut shift = 0i64;
    for digit in exponent.iter().filter(|byte| byte.is_ascii_digit()) {
        shift = shift.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    if exponent.get(1) == Some(&b'-') {
        shift = -shift;
    }
    let mut value = 0i128;
    // Zeros that have not been needed yet: those at the end never are.
    let mut zeros = 0u32;
    let mut fraction = false;
    for byte in mantissa {
        match byte {
            b'.' => {
                fraction = true;
                continue;
            }
            b'0' if value == 0 => {}
            b'0' => zeros = zeros.checked_add(1)?,
            digit => {
                value = value.checked_mul(10i128.checked_pow(zeros.checked_add(1)?)?)?;
                value = value.checked_add(i128::from(digit.checked_sub(b'0')?))?;
                zeros = 0;
            }
        }
        shift = shift.saturating_sub(i64::from(fraction));
    }
    if value == 0 {
        return Some(0);
    }
    let power = u32::try_from(shift.saturating_add(i64::from(zeros))).ok()?;
    value.checked_mul(10i128.checked_pow(power)?)
}
