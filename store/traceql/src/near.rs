//! Names that differ little.

/// The name that differs least, if that is little.
pub(crate) fn nearest(
    word: &str,
    names: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    let far = |name: &&str| distance(&lower, &name.to_ascii_lowercase());
    let nearest = names.min_by_key(far)?;
    (far(&nearest) <= word.len().min(6) / 3).then_some(nearest)
}

/// How many characters have to be put in, removed or replaced to make one of the other. At most
/// that of 40 characters are looked at.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(40).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, from) in a.chars().take(40).enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        let mut next = vec![left];
        for (to, above) in b.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *above;
            left = replaced.min(*above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
