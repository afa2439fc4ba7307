//! What is found, and what only looks like it.

use super::*;

/// All that is found in a text.
fn all(what: Builtin, text: &str) -> Vec<&str> {
    let mut from = 0;
    let mut found = Vec::new();
    while let Some(range) = what.find(text, from) {
        assert!(range.start >= from && range.end > range.start, "{text}: {range:?} from {from}");
        from = range.end;
        found.push(text.get(range).unwrap());
    }
    found
}

#[test]
fn cards_are_found_by_their_check_digit() {
    let cards = |text| all(Builtin::Card, text);
    assert_eq!(cards("pay with 4111 1111 1111 1111."), ["4111 1111 1111 1111"]);
    assert_eq!(cards("5555555555554444,378282246310005"), ["5555555555554444", "378282246310005"]);
    assert_eq!(cards("card=6011-1111-1111-1117&x=1"), ["6011-1111-1111-1117"]);
    assert_eq!(cards("3530111333300000 und 30569309025904ü"), ["3530111333300000"]);
    // A wrong check digit, another network, too long, within a word, a time.
    assert!(cards("4111111111111112 9111111111111111 41111111111111111111").is_empty());
    assert!(cards("id4111111111111111 4111111111111111x 1700000000000000000").is_empty());
    assert!(cards("").is_empty() && cards("4111").is_empty());
}

#[test]
fn addresses_of_mail_are_found() {
    let mails = |text| all(Builtin::Email, text);
    assert_eq!(
        mails("ada@example.com, bob.b+x@mail.example.co.uk."),
        ["ada@example.com", "bob.b+x@mail.example.co.uk"]
    );
    assert_eq!(mails("?mail=ada@example.com&x"), ["ada@example.com"]);
    assert_eq!(mails("für ada@example.com"), ["ada@example.com"]);
    assert!(mails("@example.com ada@ ada@localhost a@b.1 user@10.0.0.1 @").is_empty());
}

#[test]
fn tokens_are_found_in_many_forms() {
    let tokens = |text| all(Builtin::Token, text);
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";
    let text = format!("got {jwt}!");
    assert_eq!(tokens(&text), [jwt]);
    assert_eq!(tokens("Authorization: Bearer abc.def-123"), ["abc.def-123"]);
    assert_eq!(tokens("basic dXNlcjpwYXNzd29yZA=="), ["dXNlcjpwYXNzd29yZA=="]);
    assert_eq!(tokens("key AKIAIOSFODNN7EXAMPLE"), ["AKIAIOSFODNN7EXAMPLE"]);
    assert_eq!(tokens("/pay?api_key=4711&page=2&db_password=a%20b"), ["4711", "a%20b"]);
    assert_eq!(tokens(r#"{"password": "geheim, ö", "n": 1}"#), ["geheim, ö"]);
    assert_eq!(tokens("PASSWORD='x y' token=z"), ["x y", "z"]);
    assert!(tokens("a bearer of news; basic rules; sk-short eyJ.a.b").is_empty());
    assert!(tokens("?tokens=5&design=1&monotoken=1&password=&secret").is_empty());
}

#[test]
fn addresses_of_ipv4_are_found() {
    let ips = |text| all(Builtin::Ipv4, text);
    assert_eq!(ips("10.0.0.1:80 from 192.168.255.3."), ["10.0.0.1", "192.168.255.3"]);
    assert_eq!(ips("(127.0.0.1)"), ["127.0.0.1"]);
    assert!(ips("1.2.3 1.2.3.4.5 256.1.1.1 v1.2.3.4 1.2.3.4x 1.2.3.1000").is_empty());
}

/// What takes much longer when it is longer would be a way to stop the gateway.
#[test]
fn long_texts_that_nearly_are_something_take_linear_time() {
    for what in [Builtin::Card, Builtin::Email, Builtin::Token, Builtin::Ipv4] {
        for piece in [
            "eyJ-",
            "a-",
            "a@",
            "1.",
            "4111 ",
            "eyJaaaaaaaaa.",
            "sk-a ",
            "password",
            "token-",
            "a@b.",
        ] {
            assert!(all(what, &piece.repeat(20_000)).len() <= 20_000);
        }
    }
}
