//! What stands in a user agent, in any case: many texts are looked for at once, found by their first letter.

use crate::lists::Reason;

/// A word that ends so is that of a bot: `Googlebot/2.1`, `bingbot`, `(compatible; AcmeBot)`.
const BOT: &[u8] = b"bot";
/// Telephones of a maker whose name ends so.
const NO_BOTS: &[&[u8]] = &[b"cubot"];

/// Texts, with what each stands for; `None` for those that are no noise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agents {
    /// In small letters, by their first.
    texts: Vec<(Vec<u8>, Option<Reason>)>,
    /// Where those of each first letter begin.
    starts: Vec<u16>,
    /// Whether words that end with `bot` are looked for.
    bots: bool,
}

impl Agents {
    pub(crate) fn new<'a>(
        list: impl Iterator<Item = (&'a str, Option<Reason>)>,
        bots: bool,
    ) -> Self {
        let lower = |text: &str| text.to_ascii_lowercase().into_bytes();
        let mut texts: Vec<_> =
            list.map(|(text, of)| (lower(text), of)).filter(|(text, _)| !text.is_empty()).collect();
        texts.sort();
        let before = |byte: u16| texts.partition_point(|(text, _)| first(text) < byte);
        let starts = (0..=256).map(|byte| u16::try_from(before(byte)).unwrap_or(u16::MAX));
        let starts = starts.collect();
        Self { texts, starts, bots }
    }

    /// Why a user agent is noise; one that has a text which is no noise is none.
    pub(crate) fn find(&self, agent: &str) -> Option<Reason> {
        let agent = agent.as_bytes().to_ascii_lowercase();
        let mut found: Option<Reason> = None;
        for (at, byte) in agent.iter().enumerate() {
            let rest = agent.get(at..).unwrap_or_default();
            for (text, of) in self.with(*byte) {
                if rest.starts_with(text) {
                    let reason = (*of)?;
                    found = Some(found.map_or(reason, |there| there.min(reason)));
                }
            }
            if found.is_none() && self.bots && rest.starts_with(BOT) && is_bot(&agent, at) {
                found = Some(Reason::Bot);
            }
        }
        found
    }

    fn with(&self, byte: u8) -> &[(Vec<u8>, Option<Reason>)] {
        let start = |byte: usize| self.starts.get(byte).map_or(0, |at| usize::from(*at));
        let byte = usize::from(byte);
        self.texts.get(start(byte)..start(byte + 1)).unwrap_or_default()
    }
}

fn first(text: &[u8]) -> u16 {
    text.first().copied().map_or(0, u16::from)
}

/// Whether the `bot` that begins at `at` ends a word, which is none that only sounds so.
fn is_bot(agent: &[u8], at: usize) -> bool {
    let end = at + BOT.len();
    let before = agent.get(..at).unwrap_or_default();
    let letters = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let word = agent.get(at - letters..end).unwrap_or_default();
    !agent.get(end).is_some_and(u8::is_ascii_alphanumeric) && !NO_BOTS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::AGENTS;

    fn agents() -> Agents {
        let list =
            AGENTS.iter().flat_map(|(reason, list)| list.iter().map(|text| (*text, Some(*reason))));
        Agents::new(list.chain([("AppleBot", None)]), true)
    }

    #[test]
    fn they_are_found_in_any_case() {
        for (agent, wanted) in [
            ("kube-probe/1.31", Some(Reason::Health)),
            ("ELB-HealthChecker/2.0", Some(Reason::Health)),
            ("GoogleHC/1.0", Some(Reason::Health)),
            ("Better Uptime Bot Mozilla/5.0", Some(Reason::Health)),
            (
                "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
                Some(Reason::Health),
            ),
            ("Prometheus/2.53.0", Some(Reason::Scrape)),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                Some(Reason::Bot),
            ),
            ("Mozilla/5.0 (compatible; bingbot", Some(Reason::Bot)),
            ("Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", Some(Reason::Bot)),
            ("facebookexternalhit/1.1", Some(Reason::Bot)),
            ("Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (Applebot/0.1)", None),
            ("Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36", None),
            ("Mozilla/5.0 (Linux; Android 9; CUBOT) AppleWebKit/537.36", None),
            ("Robotics-Client/1.0", None),
            ("curl/8.5.0", None),
            ("größe", None),
            ("", None),
        ] {
            assert_eq!(agents().find(agent), wanted, "{agent}");
        }
    }

    #[test]
    fn every_text_of_the_list_is_found_and_in_small_letters() {
        for (reason, text) in
            AGENTS.iter().flat_map(|(of, list)| list.iter().map(move |text| (of, text)))
        {
            assert_eq!(*text, text.to_ascii_lowercase());
            assert_eq!(agents().find(&format!("x {text}1")), Some(*reason), "{text}");
        }
    }
}
