//! What a segment of a path is: a word, or one of the many that could stand there.

/// From how many digits on the end of a word is an id: `covid-19` is a word.
const SUFFIX_DIGITS_MIN: usize = 3;
/// From how many characters on letters and digits together are no word.
const RANDOM_MIN: usize = 16;
/// From how many digits on hexadecimal digits are no word; `decade` is one.
const HEX_MIN: usize = 8;

/// Appends a segment, or what it stands for.
pub(crate) fn append(out: &mut String, segment: &str) {
    if let Some(kind) = kind(segment) {
        *out += kind;
        return;
    }
    let Some(at) = segment.rfind(['-', '_', '.']) else {
        *out += segment;
        return;
    };
    let (start, end) = segment.split_at(at);
    let suffix = end.get(1..).unwrap_or_default();
    let is_extension = end.starts_with('.') && suffix.len() <= 5 && is_letters(suffix);
    if is_extension && let Some(kind) = kind(start) {
        // 4711.json
        *out += kind;
        *out += end;
    } else if suffix.len() >= SUFFIX_DIGITS_MIN && is_digits(suffix) {
        // order-4711
        *out += start;
        *out += end.get(..1).unwrap_or_default();
        *out += "{id}";
    } else {
        *out += segment;
    }
}

/// What a whole segment is; `None` for a word.
fn kind(segment: &str) -> Option<&'static str> {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    if segment.is_empty() || !segment.is_ascii() {
        return None;
    }
    if digits == segment.len() {
        return Some("{id}");
    }
    if is_uuid(segment) {
        return Some("{uuid}");
    }
    if is_of("dddd-dd-dd", segment) {
        return Some("{date}");
    }
    let is_hex = segment.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && segment.len() >= HEX_MIN && (digits > 0 || segment.len() >= RANDOM_MIN) {
        return Some("{hex}");
    }
    if segment
        .split_once('@')
        .is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'))
    {
        return Some("{email}");
    }
    is_random(segment, digits).then_some("{id}")
}

/// Ids of letters and digits: ULID, base64, keys of stores.
fn is_random(segment: &str, digits: usize) -> bool {
    if segment.len() < RANDOM_MIN || digits == 0 {
        return false;
    }
    let has = |is: fn(&u8) -> bool| segment.bytes().any(|byte| is(&byte));
    let is_one_word = segment.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let is_token =
        segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=+%".contains(&byte));
    is_one_word || (is_token && is_mixed)
}

fn is_uuid(segment: &str) -> bool {
    is_of("hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", segment)
}

/// Whether a text is made so: `d` is a digit, `h` a hexadecimal one, all else itself.
fn is_of(shape: &str, text: &str) -> bool {
    let fits = |(shape, byte): (u8, u8)| match shape {
        b'd' => byte.is_ascii_digit(),
        b'h' => byte.is_ascii_hexdigit(),
        other => byte == other,
    };
    shape.len() == text.len() && shape.bytes().zip(text.bytes()).all(fits)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_letters(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(segment: &str) -> String {
        let mut out = String::new();
        append(&mut out, segment);
        out
    }

    #[test]
    fn ids_are_found() {
        for (segment, wanted) in [
            ("4711", "{id}"),
            ("0", "{id}"),
            ("550e8400-e29b-41d4-a716-446655440000", "{uuid}"),
            ("2026-11-30", "{date}"),
            ("deadbeef00", "{hex}"),
            ("4bf92f3577b34da6a3ce929d0e0e4736", "{hex}"),
            ("abcdefabcdefabcdef", "{hex}"),
            ("ada@example.com", "{email}"),
            ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "{id}"),
            ("dQw4w9WgXcQ_aBc-12", "{id}"),
            ("4711.json", "{id}.json"),
            ("order-4711", "order-{id}"),
            ("invoice_2026_001", "invoice_2026_{id}"),
        ] {
            assert_eq!(template(segment), wanted, "{segment}");
        }
    }

    #[test]
    fn words_stay() {
        for segment in [
            "",
            "users",
            "v1",
            "v2.1",
            "decade",
            "facade",
            "covid-19",
            "index.html",
            "oauth2",
            "größe4711",
            "{id}",
            ":id",
            "*",
            "my-article-of-2024-about-things",
            "internationalization",
            "@me",
            "a.b.c",
        ] {
            assert_eq!(template(segment), segment);
        }
    }
}
