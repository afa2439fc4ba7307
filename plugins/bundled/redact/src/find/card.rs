//! Numbers of payment cards: 13 to 19 digits that begin as a network's do and have the right check digit (Luhn, ISO/IEC
//! 7812-1); groups may be apart by single spaces or hyphens.

use std::ops::Range;

use super::{at, before, count, is_word};

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;

/// How numbers of networks begin (as numbers of four digits), and how long they are.
const NETWORKS: &[(Range<u32>, &[usize])] = &[
    (4000..5000, &[13, 16, 19]),             // Visa
    (5100..5600, &[16]),                     // Mastercard
    (2221..2721, &[16]),                     // Mastercard
    (3400..3500, &[15]),                     // American Express
    (3700..3800, &[15]),                     // American Express
    (6011..6012, &[16, 17, 18, 19]),         // Discover
    (6440..6600, &[16, 17, 18, 19]),         // Discover
    (6200..6300, &[16, 17, 18, 19]),         // UnionPay
    (3528..3590, &[16, 17, 18, 19]),         // JCB
    (3000..3060, &[14, 15, 16, 17, 18, 19]), // Diners
    (3600..3700, &[14, 15, 16, 17, 18, 19]), // Diners
    (3800..4000, &[16, 17, 18, 19]),         // Diners
];

/// The first number of a card from `from` on.
pub(crate) fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if from == 0 && count(bytes, |byte| byte.is_ascii_digit()) < DIGITS_MIN {
        return None;
    }
    let mut i = from;
    while i + DIGITS_MIN <= bytes.len() {
        if !at(bytes, i).is_ascii_digit() {
            i += 1;
            continue;
        }
        let (end, count) = digits(bytes, i);
        let is_alone = !is_word(before(bytes, i)) && !is_word(at(bytes, end));
        if is_alone && is_card(bytes, i, count) {
            return Some(i..end);
        }
        i = end;
    }
    None
}

/// Where digits that begin at `start` end, and how many they are.
fn digits(bytes: &[u8], start: usize) -> (usize, usize) {
    let mut end = start;
    let mut count = 0;
    loop {
        match at(bytes, end) {
            b'0'..=b'9' => {
                count += 1;
                end += 1;
            }
            b' ' | b'-' if at(bytes, end + 1).is_ascii_digit() && count <= DIGITS_MAX => end += 1,
            _ => return (end, count),
        }
    }
}

fn is_card(bytes: &[u8], start: usize, count: usize) -> bool {
    if !(DIGITS_MIN..=DIGITS_MAX).contains(&count) {
        return false;
    }
    let rest = bytes.get(start..).unwrap_or_default().iter();
    let digits = || rest.clone().filter(|byte| byte.is_ascii_digit()).take(count);
    let start = digits().take(4).fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    let is_of = |(starts, lengths): &(Range<u32>, &[usize])| {
        starts.contains(&start) && lengths.contains(&count)
    };
    if !NETWORKS.iter().any(is_of) {
        return false;
    }
    let sum: u32 = digits()
        .map(|digit| u32::from(digit - b'0'))
        .enumerate()
        // From the right, each second digit counts twice, by its cross sum.
        .map(|(i, digit)| match (count - i) % 2 {
            0 => digit * 2 - if digit > 4 { 9 } else { 0 },
            _ => digit,
        })
        .sum();
    sum.is_multiple_of(10)
}
