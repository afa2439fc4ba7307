//! What a client is told beside its answer: where the body has no room for it, a header says it.

use std::fmt::Write;

use http::HeaderName;

/// What parses and will hardly do what was meant, a line for each; percent-encoded.
pub(super) const HINT_HEADER: HeaderName = HeaderName::from_static("x-traceweir-hint");

/// Why an answer may miss something: a part of the store that is damaged or cannot be read, or a
/// budget that was used up; percent-encoded.
pub(super) const PARTIAL_HEADER: HeaderName = HeaderName::from_static("x-traceweir-partial");

/// The most bytes of a header of ours: clients limit their header lists.
const BYTES_MAX: usize = 2048;

/// The hints for a query, a line for each; empty where there are none.
pub(super) fn of(query: &str) -> String {
    let lines: Vec<String> = traceql::hints(query).iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Text as a header may hold it: what is not printable ASCII, and `%`, as `%XX`.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
        if out.len() >= BYTES_MAX {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_fit_into_a_header() {
        assert_eq!(of("{ status = error }"), "");
        let hint = of("{ .status = error && .b = \"é\n%\" }");
        assert!(hint.contains("did you mean: { status = error"), "{hint}");
        let header = escaped(&hint);
        assert!(header.contains("%C3%A9") && header.is_ascii(), "{header}");
        assert!(http::HeaderValue::from_str(&header).is_ok());
        assert!(escaped(&"é".repeat(10_000)).len() < BYTES_MAX + 3);
    }
}
