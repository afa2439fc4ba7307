//! Moments and lengths of time as clients write them.

use model::Nanos;

/// The longest unit of Go; Prometheus has days, weeks and years beside them.
const HOUR: u64 = 3_600 * SECOND;

const SECOND: u64 = 1_000_000_000;

/// Reads a duration as Go writes it: `1h2m3.5s`, `100ms`, `0`.
pub(super) fn go_duration(text: &str) -> Option<Nanos> {
    of_units(text, |tail| strip_unit(HOUR, tail))
}

/// Reads a duration as Go or Prometheus write it: `1h30m`, `7d`.
pub(super) fn duration(text: &str) -> Option<Nanos> {
    of_units(text, |tail| strip_unit(u64::MAX, tail))
}

/// A unit of at most so many nanoseconds, and what follows it.
fn strip_unit(longest: u64, text: &str) -> Option<(u64, &str)> {
    let units = traceql::UNITS.iter().filter(|(_, unit)| *unit <= longest);
    units.into_iter().find_map(|(name, unit)| Some((*unit, text.strip_prefix(name)?)))
}

fn of_units<'a>(
    text: &'a str,
    unit_of: impl Fn(&'a str) -> Option<(u64, &'a str)>,
) -> Option<Nanos> {
    let text = text.trim();
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Nanos(0));
    }
    let mut sum = 0u64;
    while !rest.is_empty() {
        let (whole, tail) = digits(rest);
        let (fraction, tail) = match tail.strip_prefix('.') {
            Some(tail) => digits(tail),
            None => ("", tail),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit, tail) = unit_of(tail)?;
        let mut value = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
        value = value.checked_mul(unit)?.checked_add(part(fraction, unit)?)?;
        sum = sum.checked_add(value)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(Nanos(sum))
}

/// So many digits behind the point, of a unit.
fn part(fraction: &str, unit: u64) -> Option<u64> {
    let (mut scale, mut sum) = (unit, 0u64);
    for digit in fraction.bytes() {
        scale /= 10;
        sum = sum.checked_add(u64::from(digit - b'0') * scale)?;
    }
    Some(sum)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Reads seconds with or without a fraction.
fn seconds(text: &str) -> Option<Nanos> {
    let (whole, tail) = digits(text);
    let (fraction, tail) = tail.strip_prefix('.').map_or(("", tail), digits);
    if !tail.is_empty() || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let nanos = whole.checked_mul(SECOND)?.checked_add(part(fraction, SECOND)?)?;
    Some(Nanos(nanos))
}

/// The most digits of a moment in seconds; longer ones are nanoseconds.
const SECONDS_DIGITS_MAX: usize = 10;

/// Reads a moment: seconds (10 digits at most, or with a fraction), nanoseconds, or RFC 3339.
pub(super) fn moment(text: &str) -> Option<Nanos> {
    let text = text.trim();
    if text.len() > SECONDS_DIGITS_MAX && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Nanos);
    }
    seconds(text).or_else(|| rfc3339(text))
}

/// Reads a step: seconds, with or without a fraction, or a duration.
pub(super) fn step(text: &str) -> Option<Nanos> {
    seconds(text.trim()).or_else(|| duration(text))
}

/// `2026-08-07T12:30:00.25+02:00`. A plus that a client did not encode arrives as a blank.
fn rfc3339(text: &str) -> Option<Nanos> {
    let (date, time) = text.split_once(['T', 't'])?;
    let at = time.find(['Z', 'z', '+', '-', ' '])?;
    let (time, offset) = time.split_at(at);
    let [year, month, day] = numbers(date, '-')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [hours, minutes, secs] = numbers(clock, ':')?;
    let is_valid = (1970..=2262).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hours < 24
        && minutes < 60
        && secs < 61
        && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_valid {
        return None;
    }
    let of_day = hours * 3_600 + minutes * 60 + secs;
    let local = days_since_1970(year, month, day).checked_mul(86_400)?.checked_add(of_day)?;
    let utc = match offset.split_at_checked(1)? {
        ("Z" | "z", "") => local,
        ("-", offset) => local.checked_add(offset_seconds(offset)?)?,
        (_, offset) => local.checked_sub(offset_seconds(offset)?)?,
    };
    utc.checked_mul(SECOND)?.checked_add(part(fraction, SECOND)?).map(Nanos)
}

fn offset_seconds(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 3_600 + minutes * 60)
}

fn numbers<const N: usize>(text: &str, between: char) -> Option<[u64; N]> {
    let parts: Option<Vec<u64>> = text
        .split(between)
        .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?)
        .collect();
    parts?.try_into().ok()
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let years: u64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let months: u64 = (1..month).map(|month| days_of(year, month)).sum();
    years + months + day - 1
}

/// A duration as Go prints it: `1h2m3.5s`, `100ms`, `0s`. Clients of Tempo read it.
pub(super) fn go_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let whole = nanos.unsigned_abs();
    let short = |unit: u64, name: &str| {
        let (whole, rest) = (whole / unit, whole % unit);
        let digits = unit.ilog10() as usize;
        let fraction = format!("{rest:0digits$}");
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() || digits == 0 { "" } else { "." };
        let fraction = if digits == 0 { "" } else { fraction };
        format!("{sign}{whole}{point}{fraction}{name}")
    };
    match whole {
        0 => "0s".to_owned(),
        1..1_000 => short(1, "ns"),
        1_000..1_000_000 => short(1_000, "µs"),
        1_000_000..SECOND => short(1_000_000, "ms"),
        _ => {
            let (hours, minutes) = (whole / (3_600 * SECOND), whole / (60 * SECOND) % 60);
            let rest = whole % (60 * SECOND);
            let fraction = format!("{:09}", rest % SECOND);
            let fraction = fraction.trim_end_matches('0');
            let point = if fraction.is_empty() { "" } else { "." };
            let secs = format!("{}{point}{fraction}s", rest / SECOND);
            match (hours, minutes) {
                (0, 0) => format!("{sign}{secs}"),
                (0, minutes) => format!("{sign}{minutes}m{secs}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{secs}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, nanos) in [
            ("100ms", 100_000_000),
            ("1.5s", 1_500_000_000),
            ("1h2m3.004s", 3_723_004_000_000),
            ("10us", 10_000),
            ("10µs", 10_000),
            ("10μs", 10_000),
            (".5ms", 500_000),
            ("1.ms", 1_000_000),
            ("1.0000000001s", 1_000_000_000),
            ("0", 0),
            ("+7ns", 7),
        ] {
            assert_eq!(go_duration(text), Some(Nanos(nanos)), "{text}");
        }
        for text in ["", "5", "s", ".s", "-1s", "1d", "1 s", "1e3s", "99999999999h", "1ss"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
        assert_eq!(duration("1d12h"), Some(Nanos(36 * 3_600 * SECOND)));
        assert_eq!(duration("1w"), duration("7d"));
        assert_eq!(duration("1x"), None);
    }

    #[test]
    fn moments_come_in_four_forms() {
        for (text, nanos) in [
            ("1700000000", 1_700_000_000 * SECOND),
            ("1700000000.25", 1_700_000_000_250_000_000),
            ("1700000000000000001", 1_700_000_000_000_000_001),
            ("0", 0),
            ("2023-11-14T22:13:20Z", 1_700_000_000 * SECOND),
            ("2023-11-14T23:13:20.5+01:00", 1_700_000_000_500_000_000),
            ("2023-11-14T23:13:20 01:00", 1_700_000_000 * SECOND),
            ("2023-11-14T17:43:20-04:30", 1_700_000_000 * SECOND),
            ("2024-02-29T00:00:00z", 1_709_164_800 * SECOND),
        ] {
            assert_eq!(moment(text), Some(Nanos(nanos)), "{text}");
        }
        for text in [
            "",
            "now",
            "-1",
            "1e9",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-11-14",
            "2023-11-14T22:13Z",
            "2023-11-14T22:13:20",
            "2023-11-14T22:13:20+1",
            "1970-01-01T00:00:00+01:00",
            "99999999999999999999",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn steps_are_seconds_or_durations() {
        for (text, nanos) in
            [("15", 15 * SECOND), ("0.5", SECOND / 2), ("1m", 60 * SECOND), ("7ns", 7), ("0", 0)]
        {
            assert_eq!(step(text), Some(Nanos(nanos)), "{text}");
        }
        assert_eq!(step("fast"), None);
        assert_eq!(step("-1s"), None);
    }

    #[test]
    fn durations_are_printed_as_go_does() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (100_000_000, "100ms"),
            (100_000_001, "100.000001ms"),
            (1_000_000_000, "1s"),
            (2_500_000_000, "2.5s"),
            (60_000_000_000, "1m0s"),
            (3_723_004_000_000, "1h2m3.004s"),
            (3_600_000_000_000, "1h0m0s"),
            (-1_500_000_000, "-1.5s"),
        ] {
            assert_eq!(go_text(nanos), text);
            if nanos > 0 {
                let back = go_duration(text).map(|nanos| i64::try_from(nanos.0).unwrap());
                assert_eq!(back, Some(nanos), "{text}");
            }
        }
    }
}
