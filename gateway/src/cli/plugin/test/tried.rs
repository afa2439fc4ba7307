//! What a plugin is tried with, by its world: batches, requests, or what a network answers; and what came of it.

use std::path::Path;

use plugins::World;
use plugins::trial::{Ask, Given, Held, Request, Subject, Way, Word, joined};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Args;
use crate::cli::plugin::Stop;
use crate::cli::plugin::desk::{self, Batch};

/// A batch, or all requests, or all answers; and what came of it.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    /// What it is called.
    pub(super) batch: String,
    #[serde(flatten)]
    pub(super) ran: Value,
    pub(super) again: Vec<(Way, Held)>,
    /// What came of it, as text.
    #[serde(skip)]
    pub(super) text: String,
    /// Calls that failed.
    #[serde(skip)]
    pub(super) failures: Vec<String>,
    #[serde(skip)]
    pub(super) spans: usize,
    #[serde(skip)]
    pub(super) fuel: u64,
}

impl Tried {
    fn of<T: Serialize + std::fmt::Display>(name: &str, came: &T) -> Self {
        Self {
            batch: name.to_owned(),
            // Plain structs of text and numbers, which always can be written.
            ran: serde_json::to_value(came).unwrap_or_default(),
            again: Vec::new(),
            text: came.to_string(),
            failures: Vec::new(),
            spans: 0,
            fuel: 0,
        }
    }
}

/// Tries a plugin with what its world is called with.
pub(super) fn tried(args: &Args, subject: &Subject) -> Result<Vec<Tried>, Stop> {
    let world = subject.plugin().world();
    let (batches, requests, answers) = (&args.batches, &args.requests, &args.answers);
    let wants = |what: &str| {
        Stop::refused(format!("a plugin of the world {} is tested with {what}", world.name()))
    };
    match (world, &**batches, requests, answers) {
        (World::Authenticator, [], Some(requests), None) => asked(args, subject, requests),
        (World::Authenticator, ..) => Err(wants("--requests FILE, and nothing else")),
        (World::TableRefresher, [], None, Some(answers)) => refreshed(args, subject, answers),
        (World::TableRefresher, ..) => Err(wants("--answers FILE, and nothing else")),
        (_, [_, ..], None, None) => gathered(world, desk::batches(batches)?)?
            .iter()
            .map(|of| ran(args, subject, of))
            .collect(),
        _ => Err(wants("--batches FILE, and nothing else")),
    }
}

/// What is run: each batch by itself; of a tail sampler the traces of all of them.
fn gathered(world: World, batches: Vec<Batch>) -> Result<Vec<Batch>, Stop> {
    if world != World::TailSampler || batches.len() < 2 {
        return Ok(batches);
    }
    let requests: Vec<&Request> = batches.iter().map(|batch| &batch.request).collect();
    let all = joined(&requests);
    let request = all.map_err(|what| Stop::refused(format!("--batches: {what}")))?;
    let names: Vec<&str> = batches.iter().map(|batch| batch.name.as_str()).collect();
    Ok(vec![Batch { name: names.join(" + "), request }])
}

fn ran(args: &Args, subject: &Subject, Batch { name, request }: &Batch) -> Result<Tried, Stop> {
    // An instance that has seen nothing: what fuel is used does not go by the batches before.
    let configured = subject.configured()?;
    let ran = subject.run(&configured, request)?;
    let again = again(args, |way| subject.again(way, (&configured, &ran), request))?;
    let failed = ran.failures.iter();
    let failures =
        failed.map(|of| format!("a call failed: {}: {}", of.failure, of.message)).collect();
    let (spans, fuel) = (ran.spans.len(), ran.fuel);
    Ok(Tried { again, failures, spans, fuel, ..Tried::of(name, &ran) })
}

fn asked(args: &Args, subject: &Subject, file: &Path) -> Result<Vec<Tried>, Stop> {
    let (name, asks) = listed::<Ask>(file)?;
    let configured = subject.configured()?;
    let asked = subject.ask(&configured, &asks)?;
    let again = again(args, |way| subject.ask_again(way, (&configured, &asked), &asks))?;
    let is_failed = |(_, word): &&(String, Word)| matches!(word, Word::Failed { .. });
    let failed = asked.requests.iter().filter(is_failed);
    let failures = failed.map(|(of, word)| format!("{of}: {word}")).collect();
    Ok(vec![Tried { again, failures, ..Tried::of(&name, &asked) }])
}

fn refreshed(args: &Args, subject: &Subject, file: &Path) -> Result<Vec<Tried>, Stop> {
    let (name, given) = listed::<Given>(file)?;
    let configured = subject.configured()?;
    let made = subject.refresh(&configured, &given)?;
    let again = again(args, |way| subject.refresh_again(way, (&configured, &made), &given))?;
    let failures = made.faults.clone();
    Ok(vec![Tried { again, failures, ..Tried::of(&name, &made) }])
}

/// A list in a file, and what the file is called.
fn listed<T: DeserializeOwned>(file: &Path) -> Result<(String, Vec<T>), Stop> {
    let list = serde_json::from_value(desk::value(file)?);
    let list = list.map_err(|fault| Stop::refused(format!("{}: {fault}", file.display())))?;
    Ok((file.file_name().unwrap_or_default().to_string_lossy().into_owned(), list))
}

fn again(
    args: &Args,
    try_again: impl Fn(Way) -> Result<Held, plugins::Error>,
) -> Result<Vec<(Way, Held)>, Stop> {
    let is_wanted = |way: &Way| !args.skip.iter().any(|skip| skip.way() == *way);
    let ways = Way::ALL.into_iter().filter(is_wanted);
    ways.map(|way| Ok((way, try_again(way)?))).collect()
}
