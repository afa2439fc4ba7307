//! The jobs that wait, fair among accounts: whoever has used the least time of the threads is next.
//!
//! Each account has a lane. A lane's time begins where that of the others stands when it gets a job after a
//! pause, so that nobody saves up; what its jobs have used is added when they end, and guessed while they run. Where
//! the queue is full, the newest job of the longest lane makes room for one of a shorter lane.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::{Error, Go, Job, Lane};
use crate::limits::AccountId;

/// The last jobs that tell which accounts there are.
const RECENT_MAX: usize = 64;

/// Lanes without jobs that are remembered for what they have used.
const IDLE_MAX: usize = 1_024;

/// What the jobs of one account are like.
#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    running: usize,
    running_max: usize,
    /// Time that was used, in nanoseconds, on the scale of all lanes.
    used: u64,
    /// What a job takes, by those before.
    guess: u64,
}

impl State {
    fn is_ready(&self) -> bool {
        !self.jobs.is_empty() && self.running < self.running_max
    }
}

/// The jobs that wait.
pub(super) struct Queue {
    lanes: HashMap<AccountId, State>,
    /// Lanes with a job that may run, by the time that they have used.
    ready: BTreeSet<(u64, AccountId)>,
    recent: VecDeque<AccountId>,
    len: usize,
    most: usize,
    threads: usize,
    /// Whether one thread is left to others while there are some.
    spares: bool,
    /// The time of the lane that was served last.
    now: u64,
    pub(super) open: bool,
}

/// A job that runs, for [`Queue::end`].
#[derive(Debug)]
pub(super) struct Running {
    account: AccountId,
    guess: u64,
}

impl Queue {
    pub(super) fn new(most: usize, threads: usize, spares: bool) -> Self {
        Self {
            lanes: HashMap::new(),
            ready: BTreeSet::new(),
            recent: VecDeque::new(),
            len: 0,
            most,
            threads,
            spares,
            now: 0,
            open: true,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds a job; also gives back one that had to make room.
    ///
    /// # Errors
    /// `Closed`; `Full` where no lane is longer; `Crowded` where the lane is as long as it may be.
    pub(super) fn push(&mut self, lane: Lane, job: Job) -> Result<Option<Job>, Error> {
        if !self.open {
            return Err(Error::Closed);
        }
        let own = self.lanes.get(&lane.account).map_or(0, |state| state.jobs.len());
        if own >= lane.queued_max {
            return Err(Error::Crowded);
        }
        let room = if self.len >= self.most { Some(self.make_room(own)?) } else { None };
        self.note(lane.account);
        let (spared, now) = (self.spared(lane.account), self.now);
        let state = self.lanes.entry(lane.account).or_default();
        let was_ready = state.is_ready().then_some((state.used, lane.account));
        state.running_max = lane.running_max.min(self.threads - spared).max(1);
        if state.jobs.is_empty() && state.running == 0 {
            state.used = state.used.max(now);
        }
        state.jobs.push_back(job);
        self.len += 1;
        self.settle(lane.account, was_ready);
        Ok(room)
    }

    /// The next job.
    pub(super) fn pop(&mut self) -> Option<(Job, Running)> {
        let (used, account) = self.ready.pop_first()?;
        let state = self.lanes.get_mut(&account)?;
        let job = state.jobs.pop_front()?;
        self.now = self.now.max(used);
        state.running += 1;
        state.used = state.used.saturating_add(state.guess);
        let running = Running { account, guess: state.guess };
        self.len -= 1;
        self.settle(account, None);
        Some((job, running))
    }

    /// A job has ended that took so long; tells whether another one may run for it.
    pub(super) fn end(&mut self, running: &Running, nanos: u64) -> bool {
        let account = running.account;
        let Some(state) = self.lanes.get_mut(&account) else { return false };
        let was_ready = state.is_ready().then_some((state.used, account));
        state.running = state.running.saturating_sub(1);
        state.used = state.used.saturating_add(nanos).saturating_sub(running.guess);
        state.guess = state.guess.saturating_mul(7).saturating_add(nanos) / 8;
        let is_idle = state.running == 0 && state.jobs.is_empty();
        if is_idle && (state.used <= self.now || self.lanes.len() > IDLE_MAX) {
            self.lanes.remove(&account);
        }
        self.settle(account, was_ready)
    }

    /// Puts a lane where it belongs among those that are ready.
    fn settle(&mut self, account: AccountId, was_ready: Option<(u64, AccountId)>) -> bool {
        if let Some(was) = was_ready {
            self.ready.remove(&was);
        }
        match self.lanes.get(&account) {
            Some(state) if state.is_ready() => self.ready.insert((state.used, account)),
            _ => false,
        }
    }

    /// Takes the newest job of the longest lane, if it is longer than one of so many jobs would become.
    fn make_room(&mut self, own: usize) -> Result<Job, Error> {
        let longest =
            self.lanes.iter().max_by_key(|(account, state)| (state.jobs.len(), **account));
        let longest = longest.filter(|(_, state)| state.jobs.len() > own + 1);
        let account = longest.map(|(account, _)| *account).ok_or(Error::Full)?;
        let state = self.lanes.get_mut(&account).ok_or(Error::Full)?;
        let was_ready = state.is_ready().then_some((state.used, account));
        let job = state.jobs.pop_back().ok_or(Error::Full)?;
        self.len -= 1;
        self.settle(account, was_ready);
        Ok(job)
    }

    fn note(&mut self, account: AccountId) {
        if !self.spares || account == AccountId::default() {
            return;
        }
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(account);
    }

    /// Threads that an account leaves to others.
    fn spared(&self, account: AccountId) -> usize {
        let others = self.recent.iter().any(|other| *other != account);
        usize::from(self.spares && others && self.threads > 1)
    }
}

/// Refuses a job that had to make room.
pub(super) fn refuse(job: Job) {
    job(Go::Away);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOG: AccountId = AccountId(1);
    const SMALL: AccountId = AccountId(2);

    fn job() -> Job {
        Box::new(|_| {})
    }

    /// Runs what is next for so long; whose it was.
    fn turn(queue: &mut Queue, nanos: impl Fn(AccountId) -> u64) -> Option<AccountId> {
        let (_, running) = queue.pop()?;
        queue.end(&running, nanos(running.account));
        Some(running.account)
    }

    fn share(turns: &[AccountId], account: AccountId) -> usize {
        turns.iter().filter(|other| **other == account).count()
    }

    #[test]
    fn time_is_shared_however_many_jobs_wait_and_however_long_they_are() {
        let mut queue = Queue::new(1_000, 1, false);
        for _ in 0..500 {
            assert!(queue.push(Lane::of(HOG), job()).is_ok());
        }
        for _ in 0..100 {
            assert!(queue.push(Lane::of(SMALL), job()).is_ok());
        }
        // Jobs of the one take four times as long.
        let cost = |account| if account == HOG { 4_000 } else { 1_000 };
        let turns: Vec<_> = std::iter::from_fn(|| turn(&mut queue, cost)).take(100).collect();
        assert!((78..=82).contains(&share(&turns, SMALL)), "{}", share(&turns, SMALL));
    }

    #[test]
    fn nobody_saves_up_while_it_is_silent_and_nobody_forgets_what_it_has_used() {
        let mut queue = Queue::new(1_000, 1, false);
        let cost = |_| 1_000;
        for _ in 0..300 {
            assert!(queue.push(Lane::of(HOG), job()).is_ok());
        }
        for _ in 0..200 {
            turn(&mut queue, cost);
        }
        for _ in 0..50 {
            assert!(queue.push(Lane::of(SMALL), job()).is_ok());
        }
        let turns: Vec<_> = std::iter::from_fn(|| turn(&mut queue, cost)).take(40).collect();
        assert!((19..=21).contains(&share(&turns, SMALL)), "{turns:?}");
        // One that comes with a single long job each time has to wait for its turn all the same.
        let mut queue = Queue::new(1_000, 1, false);
        let (mut long, cost) = (0, |account| if account == HOG { 100_000 } else { 1_000 });
        for _ in 0..400 {
            assert!(queue.push(Lane::of(SMALL), job()).is_ok());
        }
        for _ in 0..200 {
            if queue.lanes.get(&HOG).is_none_or(|state| state.jobs.is_empty()) {
                assert!(queue.push(Lane::of(HOG), job()).is_ok());
            }
            long += usize::from(turn(&mut queue, cost) == Some(HOG));
        }
        assert!((1..=4).contains(&long), "{long}");
    }

    #[test]
    fn a_full_queue_makes_room_for_whoever_has_less() {
        let mut queue = Queue::new(4, 1, false);
        for _ in 0..4 {
            assert!(matches!(queue.push(Lane::of(HOG), job()), Ok(None)));
        }
        assert_eq!(queue.push(Lane::of(HOG), job()).err(), Some(Error::Full));
        for _ in 0..2 {
            assert!(matches!(queue.push(Lane::of(SMALL), job()), Ok(Some(_))));
        }
        assert_eq!(queue.push(Lane::of(SMALL), job()).err(), Some(Error::Full));
        assert_eq!(queue.len(), 4);
        let lane = Lane { queued_max: 2, ..Lane::of(SMALL) };
        assert_eq!(queue.push(lane, job()).err(), Some(Error::Crowded));
    }

    #[test]
    fn a_lane_runs_as_many_at_a_time_as_it_may() {
        let mut queue = Queue::new(100, 4, false);
        let lane = Lane { running_max: 2, ..Lane::of(HOG) };
        for _ in 0..4 {
            assert!(queue.push(lane, job()).is_ok());
        }
        let (_, first) = queue.pop().unwrap();
        let (_, second) = queue.pop().unwrap();
        assert!(queue.pop().is_none());
        assert!(queue.push(Lane::of(SMALL), job()).is_ok());
        assert_eq!(queue.pop().unwrap().1.account, SMALL);
        assert!(queue.end(&first, 5));
        let (_, third) = queue.pop().unwrap();
        assert!(queue.pop().is_none());
        assert!(queue.end(&second, 5));
        queue.end(&third, 5);
        assert!(queue.pop().is_some() && queue.pop().is_none());
    }

    #[test]
    fn one_thread_is_left_to_others_while_there_are_some() {
        let mut queue = Queue::new(1_000, 2, true);
        let fill = |queue: &mut Queue, account| {
            for _ in 0..3 {
                assert!(queue.push(Lane::of(account), job()).is_ok());
            }
        };
        fill(&mut queue, HOG);
        // Alone it has both.
        let (_, one) = queue.pop().unwrap();
        let (_, two) = queue.pop().unwrap();
        fill(&mut queue, SMALL);
        queue.end(&one, 9);
        queue.end(&two, 9);
        fill(&mut queue, HOG);
        let running: Vec<_> =
            std::iter::from_fn(|| queue.pop()).map(|(_, of)| of.account).collect();
        assert_eq!((share(&running, HOG), share(&running, SMALL)), (1, 1), "{running:?}");
    }
}
