//! What a cloud says, in words that tell what to do.

use std::error::Error as _;
use std::io;

use object_store::Error as Fault;
use object_store::path::Path;
use store::Error;

/// Pages of HTML that some proxy answers with are of no use past this.
const SAID_CHARS_MAX: usize = 1_000;

/// An error, with what to do about it where that is known. `what` is a verb: `create`, `read`.
pub(super) fn failed(what: &str, path: &Path, fault: &Fault) -> Error {
    let advice = advice(what, fault);
    Error::io(format!("{what} {path}{advice}"), told(fault))
}

/// The same fault for who reads files.
pub(super) fn told(fault: &Fault) -> io::Error {
    let kind = match fault {
        Fault::NotFound { .. } => io::ErrorKind::NotFound,
        Fault::PermissionDenied { .. } | Fault::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, said(fault))
}

/// What a fault says in one line, down to its first cause: that a connection was refused stands at
/// the bottom.
fn said(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(fault) = cause {
        let why = fault.to_string();
        if !text.contains(&why) {
            text.push_str(": ");
            text.push_str(&why);
        }
        cause = fault.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_CHARS_MAX).collect()
}

/// What is looked for in what was said, the likeliest cause first, and what to do about it.
const ADVICE: &[(&[&str], &str)] = &[
    (
        // The addresses that machines of a cloud ask who they are.
        &["169.254.169.254", "169.254.170.2", "metadata.google.internal"],
        "no credentials: neither bucket.* nor the environment nor a file that it names has any, and \
         this machine has no identity that may be asked for; set bucket.access_key_id and \
         bucket.secret_access_key (S3), bucket.account and bucket.account_key (Azure), or \
         bucket.service_account_file (Google)",
    ),
    (
        &["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"],
        "there is no such bucket: make it, or set bucket.url",
    ),
    (
        &[
            "RequestTimeTooSkewed",
            "Request date header too old",
            "RequestExpired",
            "Token used too early",
        ],
        "the clock of this machine is off: set it, best by NTP",
    ),
    (
        &[
            "AuthorizationHeaderMalformed",
            "PermanentRedirect",
            "IllegalLocationConstraint",
            "incorrectly configured region",
        ],
        "the bucket is in another region: set bucket.region, and bucket.endpoint if there is one",
    ),
    (&["ExpiredToken", "token has expired"], "the session of the key has ended: get a new one"),
    (
        &[
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidToken",
            "AuthenticationFailed",
            "failed to authenticate the request",
            "invalid_grant",
        ],
        "the key or its secret is wrong: compare bucket.access_key_id and bucket.secret_access_key \
         (S3), bucket.account and bucket.account_key (Azure), or what the environment has instead, with \
         what the cloud says",
    ),
    (
        &["A header you provided implies functionality that is not implemented"],
        "the store knows no condition that a name be free (If-None-Match: *): it cannot be used",
    ),
    (
        &["dns error", "failed to lookup address"],
        "there is no such host: set bucket.endpoint or bucket.region",
    ),
    (
        &["Connection refused", "No route to host", "Network is unreachable"],
        "nobody answers there: set bucket.endpoint, or let this machine reach it",
    ),
    (
        &["invalid peer certificate"],
        "the certificate of the endpoint is not one that this machine trusts",
    ),
];

/// What to do about a fault, in brackets; nothing where that is not known.
fn advice(what: &str, fault: &Fault) -> String {
    let said = said(fault);
    let known = ADVICE.iter().find(|(words, _)| words.iter().any(|word| said.contains(word)));
    if let Some((_, advice)) = known {
        return format!(" ({advice})");
    }
    // Of lists the client does not say what kind of fault it is, and some answers have no text.
    if matches!(fault, Fault::PermissionDenied { .. }) || said.contains("403 Forbidden") {
        return format!(
            " (the key may not {what}: it needs to list the bucket, and to read, write and delete \
             objects below the prefix)"
        );
    }
    match fault {
        Fault::Unauthenticated { .. } => " (the key is missing or wrong)".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &'static str) -> Fault {
        Fault::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn people_are_told_what_to_do() {
        for (text, word) in [
            ("PUT http://169.254.169.254/latest/api/token", "bucket.access_key_id"),
            ("<Code>NoSuchBucket</Code>", "bucket.url"),
            ("<Code>RequestTimeTooSkewed</Code>", "clock"),
            ("<Code>AuthorizationHeaderMalformed</Code>", "bucket.region"),
            ("<Code>SignatureDoesNotMatch</Code>", "wrong"),
            ("<Code>AuthenticationFailed</Code>", "bucket.account_key"),
            ("dns error: no record found", "bucket.endpoint"),
        ] {
            let advice = advice("create", &fault(text));
            assert!(advice.contains(word), "{text}: {advice}");
        }
        assert_eq!(advice("create", &fault("something else")), "");
    }

    #[test]
    fn what_a_key_may_not_do_is_named_by_what_was_tried() {
        let source = "403 Forbidden".into();
        let denied = Fault::PermissionDenied { path: "x".to_owned(), source };
        assert!(advice("remove", &denied).contains("may not remove"));
        assert_eq!(told(&denied).kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn what_is_said_goes_down_to_the_first_cause_and_has_an_end() {
        let refused = io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused));
        let text = said(&Fault::Generic { store: "S3", source: Box::new(refused) });
        assert!(text.contains("connection refused"), "{text}");
        let long = Fault::Generic { store: "S3", source: "<p>".repeat(5_000).into() };
        assert_eq!(said(&long).chars().count(), SAID_CHARS_MAX);
    }
}
