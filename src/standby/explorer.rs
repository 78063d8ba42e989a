//! Every state that two members and one table can reach: any call may take effect at any time or never, before or
//! after its caller has given it up; any answer may be late or lost; time may pass without a member being run, as if
//! its process were stopped; one of the clocks is slow; a process may be killed or end, and somebody may delete the item.
//!
//! Times are counted in units of which a lease has four, and only as far as they matter, so that there is an end of it.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use super::*;

/// Clocks stand here after each step: only distances count.
const NOW: u64 = 1_000;

/// A slow clock leaves out one unit of so many.
const SLOW: u8 = 4;

/// More than these are too many for a test.
const MOST_STATES: usize = 4_000_000;

/// Steps after which a member acts, if nothing goes wrong: some for each unit of two lease lengths.
const LONGEST_CALM: usize = 100;

/// The lease in units.
const LEASE: u64 = 4;

const fn units(count: u64) -> Duration {
    Duration::from_millis(count)
}

const TIMING: Timing = Timing {
    lease: units(LEASE),
    call: units(1),
    drift: units(1),
    heartbeat: units(1),
    poll: units(1),
    retry: units(1),
};

/// How long a changing call takes at most, whatever the members believe.
const CALL: u64 = 1;

/// What is explored, and what is done wrong on purpose.
#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    /// Whose clock is slow.
    slow: Option<usize>,
    /// How many writes may be on their way after their callers have given them up.
    ghosts: usize,
    kills: u8,
    ends: u8,
    deletions: u8,
    timing: Option<Timing>,
    flaw: Option<Flaw>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    /// The table writes whatever it has.
    TableWithoutConditions,
    /// What a write gives is counted from its answer.
    CountedFromTheAnswer,
    /// What was seen is counted from when it was asked for.
    SeenFromTheRequest,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    runners: [Runner; 2],
    item: Option<Claim>,
    ghosts: BTreeSet<ClaimWrite>,
    phase: u8,
    kills: u8,
    ends: u8,
    deletions: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Runner {
    member: Member,
    clock: u64,
    request: Option<Request>,
    /// Before this reading of its clock it might have begun a call.
    might: Option<u64>,
    ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Request {
    Read,
    Write(ClaimWrite),
    Answered(Reply),
}

/// [`Answer`], without words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Reply {
    Read(Option<Claim>),
    Written,
    Refused,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Tick,
    Wake(usize),
    /// The table takes the request.
    Apply(usize),
    Answer(usize),
    /// The caller gives up. What it asked for may take effect later.
    GiveUp(usize),
    /// A write that was given up takes effect now, or is refused.
    Land(ClaimWrite),
    /// A write that was given up is lost.
    Vanish(ClaimWrite),
    Rest(usize),
    Kill(usize),
    End(usize),
    Delete,
}

fn member(name: &str, rules: &Rules) -> Member {
    Member::new(name.into(), rules.timing.unwrap_or(TIMING), Moment::from_millis(NOW))
}

impl World {
    fn new(rules: &Rules) -> Self {
        let runner = |name| Runner {
            member: member(name, rules),
            clock: NOW,
            request: None,
            might: None,
            ended: false,
        };
        Self {
            runners: [runner("a"), runner("b")],
            item: None,
            ghosts: BTreeSet::new(),
            phase: 0,
            kills: rules.kills,
            ends: rules.ends,
            deletions: rules.deletions,
        }
    }

    fn enabled(&self) -> Vec<Action> {
        let mut actions = vec![Action::Tick];
        for (place, runner) in self.runners.iter().enumerate() {
            match &runner.request {
                Some(Request::Answered(_)) => actions.extend([Action::Answer(place), Action::GiveUp(place)]),
                Some(Request::Read | Request::Write(_)) => {
                    actions.extend([Action::Apply(place), Action::GiveUp(place)]);
                }
                None => {}
            }
            let moment = runner.now();
            if !runner.ended && runner.member.next_wakeup().is_some_and(|due| due <= moment) {
                actions.push(Action::Wake(place));
            }
            if !runner.member.rested {
                actions.push(Action::Rest(place));
            }
            if self.kills > 0 && !runner.ended {
                actions.push(Action::Kill(place));
            }
            if self.ends > 0 && runner.member.rested && !runner.ended {
                actions.push(Action::End(place));
            }
        }
        for ghost in &self.ghosts {
            actions.extend([Action::Land(ghost.clone()), Action::Vanish(ghost.clone())]);
        }
        if self.deletions > 0 && self.item.is_some() {
            actions.push(Action::Delete);
        }
        actions
    }

    /// What happens if nothing goes wrong any more.
    fn calm(&self) -> Action {
        let rank = |action: &Action| match action {
            Action::Vanish(_) => 0,
            Action::Rest(_) => 1,
            Action::Apply(_) => 2,
            Action::Answer(_) => 3,
            Action::Wake(_) => 4,
            Action::Tick => 5,
            Action::GiveUp(_) | Action::Land(_) | Action::Kill(_) | Action::End(_) | Action::Delete => 9,
        };
        self.enabled().into_iter().min_by_key(rank).expect("time can pass")
    }

    fn step(&mut self, action: &Action, rules: &Rules) {
        match action {
            Action::Tick => self.tick(rules),
            Action::Wake(place) => self.tell(*place, Input::Wakeup),
            Action::Apply(place) => self.apply(*place, rules),
            Action::Answer(place) => self.answer(*place, rules),
            Action::GiveUp(place) => {
                if let Some(Request::Write(write)) = self.runners[*place].request.take()
                    && self.ghosts.len() < rules.ghosts
                {
                    self.ghosts.insert(write);
                }
                self.tell(*place, Input::Answered(Answer::Failed(String::new())));
            }
            Action::Land(write) => {
                self.ghosts.remove(write);
                self.write(write, rules);
            }
            Action::Vanish(write) => drop(self.ghosts.remove(write)),
            Action::Rest(place) => self.tell(*place, Input::Rested),
            Action::Kill(place) => self.kill(*place, rules),
            Action::End(place) => {
                self.ends -= 1;
                // Before it gives the lease back it lets its calls end.
                self.runners[*place].might = None;
                self.tell(*place, Input::Release);
            }
            Action::Delete => {
                self.deletions -= 1;
                self.item = None;
            }
        }
        self.note();
        self.simplify(rules);
    }

    fn tick(&mut self, rules: &Rules) {
        self.phase = (self.phase + 1) % if rules.slow.is_some() { SLOW } else { 1 };
        for (place, runner) in self.runners.iter_mut().enumerate() {
            if rules.slow != Some(place) || self.phase != 0 {
                runner.clock += 1;
            }
        }
    }

    fn tell(&mut self, place: usize, input: Input) {
        let runner = &mut self.runners[place];
        for output in runner.member.handle(runner.now(), input) {
            match output {
                Output::Read => runner.request = Some(Request::Read),
                Output::Write(write) => runner.request = Some(Request::Write(write)),
                Output::Tell(_) => {}
                Output::Done => runner.ended = true,
            }
        }
    }

    fn apply(&mut self, place: usize, rules: &Rules) {
        let reply = match self.runners[place].request.take() {
            Some(Request::Read) => Reply::Read(self.item.clone()),
            Some(Request::Write(write)) if self.write(&write, rules) => Reply::Written,
            Some(Request::Write(_)) => Reply::Refused,
            Some(Request::Answered(reply)) => reply,
            None => return,
        };
        self.runners[place].request = Some(Request::Answered(reply));
    }

    fn write(&mut self, write: &ClaimWrite, rules: &Rules) -> bool {
        let takes =
            write.expects.holds(self.item.as_ref()) || rules.flaw == Some(Flaw::TableWithoutConditions);
        if takes {
            self.item = Some(write.puts.clone());
        }
        takes
    }

    fn answer(&mut self, place: usize, rules: &Rules) {
        let runner = &mut self.runners[place];
        let Some(Request::Answered(reply)) = runner.request.take() else { return };
        let now = runner.now();
        let asked = runner.member.calling.as_ref().map_or(now, |calling| calling.asked);
        if let (Some(Flaw::CountedFromTheAnswer), Some(calling)) = (rules.flaw, &mut runner.member.calling) {
            calling.asked = now;
        }
        self.tell(
            place,
            Input::Answered(match reply {
                Reply::Read(item) => Answer::Read(item),
                Reply::Written => Answer::Written,
                Reply::Refused => Answer::Refused,
            }),
        );
        if let (Some(Flaw::SeenFromTheRequest), Stand::Standby { seen: Some(seen) }) =
            (rules.flaw, &mut self.runners[place].member.stand)
            && seen.since == now
        {
            seen.since = asked;
        }
    }

    /// Another process takes its place. A call that it had begun may still be under way.
    fn kill(&mut self, place: usize, rules: &Rules) {
        self.kills -= 1;
        if let Some(Request::Write(write)) = self.runners[place].request.take()
            && self.ghosts.len() < rules.ghosts
        {
            self.ghosts.insert(write);
        }
        let name = format!("{}{}", ["a", "b"][place], self.kills);
        self.runners[place].member = member(&name, rules);
    }

    fn note(&mut self) {
        for runner in &mut self.runners {
            if runner.member.may_act(runner.now()) {
                // Until the clock moves on.
                runner.might = Some(runner.clock + 1);
            }
        }
    }

    /// Whether one may begin a call while the other may, or while a call of the other can still be under way.
    fn is_broken(&self) -> bool {
        let [one, other] = &self.runners;
        [(one, other), (other, one)].into_iter().any(|(acts, was)| {
            acts.member.may_act(acts.now()) && was.might.is_some_and(|at| was.clock < at + CALL)
        })
    }

    /// Rebases times, forgets what can no longer matter, and counts counters anew: of each owner first those that were
    /// founded, or came before, and in each half by their first appearance.
    fn simplify(&mut self, rules: &Rules) {
        for runner in &mut self.runners {
            runner.simplify(rules.flaw);
        }
        let founded: Vec<(MemberId, u64)> =
            self.runners.iter().map(|it| (it.member.me.clone(), it.member.founded)).collect();
        let is_early = |claim: &Claim| {
            founded.iter().any(|(owner, at)| claim.owner.as_ref() == Some(owner) && claim.counter <= *at)
        };
        let mut found: Vec<(bool, Claim)> = Vec::new();
        self.each_claim(|claim| {
            if claim.owner.is_none() {
                // Taken for the same: more is then possible than in truth.
                claim.counter = 0;
            } else if !found.iter().any(|(_, it)| it == claim) {
                found.push((!is_early(claim), claim.clone()));
            }
        });
        found.sort_by_key(|(is_late, _)| *is_late);
        let place_of = |claim: &Claim| {
            let place = found.iter().position(|(_, it)| it == claim).expect("it was found before");
            found[..=place].iter().filter(|(_, it)| it.owner == claim.owner).count() as u64
        };
        self.each_claim(|claim| {
            if claim.owner.is_some() {
                claim.counter = place_of(claim);
            }
        });
        for Runner { member, .. } in &mut self.runners {
            let of_it = |it: &&(bool, Claim)| it.1.owner.as_ref() == Some(&member.me);
            member.founded = found.iter().filter(of_it).filter(|(is_late, _)| !is_late).count() as u64;
            member.counter = (found.iter().filter(of_it).count() as u64).max(member.counter.min(1));
        }
    }

    fn each_claim(&mut self, mut act: impl FnMut(&mut Claim)) {
        let in_write = |mut write: ClaimWrite, act: &mut dyn FnMut(&mut Claim)| {
            act(&mut write.puts);
            if let Expects::Exactly(claim) = &mut write.expects {
                act(claim);
            }
            write
        };
        self.item.iter_mut().for_each(&mut act);
        self.ghosts =
            std::mem::take(&mut self.ghosts).into_iter().map(|write| in_write(write, &mut act)).collect();
        for runner in &mut self.runners {
            if let Stand::Standby { seen: Some(Seen { item: Some(claim), .. }) } = &mut runner.member.stand {
                act(claim);
            }
            match &mut runner.request {
                Some(Request::Answered(Reply::Read(Some(claim)))) => act(claim),
                Some(Request::Write(write)) => *write = in_write(write.clone(), &mut act),
                _ => {}
            }
        }
    }
}

impl Runner {
    fn now(&self) -> Moment {
        Moment::from_millis(self.clock)
    }

    fn simplify(&mut self, flaw: Option<Flaw>) {
        let (clock, member) = (self.clock, &mut self.member);
        let rebase = |at: &mut Moment, oldest: u64| {
            *at = Moment::from_millis(at.as_millis().max(clock - oldest) + NOW - clock);
        };
        if let Some(Calling { kind, asked }) = &mut member.calling {
            let matters = matches!(kind, Kind::Take | Kind::Renew) || flaw == Some(Flaw::SeenFromTheRequest);
            // What it gives has run out by then.
            rebase(asked, if matters { LEASE } else { 0 });
            // The answer decides when the next call is due.
            member.next = Moment::from_millis(clock);
        }
        match &mut member.stand {
            Stand::Active { until } => rebase(until, 0),
            Stand::Standby { seen: Some(seen) } => {
                rebase(&mut seen.since, LEASE);
            }
            Stand::Standby { seen: None } | Stand::Leaving | Stand::Left => {}
        }
        rebase(&mut member.next, 0);
        (member.heard, member.trouble, member.told) = (None, None, None);
        self.might = self.might.filter(|at| clock < at + CALL).map(|at| at + NOW - clock);
        self.clock = NOW;
    }
}

/// How many states there are, and the shortest way to a broken one.
fn explore(rules: Rules) -> (usize, Option<Vec<Action>>) {
    let first = World::new(&rules);
    let mut from: Vec<Option<(usize, Action)>> = vec![None];
    // Only looked up: its order does not matter.
    let mut seen: HashMap<u64, usize> = HashMap::from([(fingerprint(&first), 0)]);
    let mut calm: Vec<usize> = Vec::new();
    let mut somebody_acts = Vec::new();
    let mut next = VecDeque::from([first]);
    while let Some(world) = next.pop_front() {
        let place = calm.len();
        let calmest = world.calm();
        somebody_acts.push(world.runners.iter().any(|it| it.member.may_act(it.now())));
        for action in world.enabled() {
            let mut after = world.clone();
            after.step(&action, &rules);
            let to = *seen.entry(fingerprint(&after)).or_insert(from.len());
            if action == calmest {
                calm.push(to);
            }
            if to == from.len() {
                from.push(Some((place, action)));
                if after.is_broken() {
                    return (to, Some(trace(&from, to)));
                }
                next.push_back(after);
            }
        }
        assert!(from.len() < MOST_STATES, "too many states: {rules:?}");
    }
    if let Some(place) = nobody_acts_again(&calm, &somebody_acts) {
        panic!("nobody ever acts again, though nothing goes wrong: {:#?}", trace(&from, place));
    }
    (from.len(), None)
}

/// A state from which nobody ever acts again, if nothing goes wrong any more.
fn nobody_acts_again(calm: &[usize], somebody_acts: &[bool]) -> Option<usize> {
    let mut good = somebody_acts.to_vec();
    (0..calm.len()).find(|start| {
        let (mut place, mut passed) = (*start, Vec::new());
        while !good[place] && passed.len() < LONGEST_CALM {
            passed.push(place);
            place = calm[place];
        }
        let found = good[place];
        for place in passed {
            good[place] = found;
        }
        !found
    })
}

fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

fn trace(from: &[Option<(usize, Action)>], mut place: usize) -> Vec<Action> {
    let mut trace = Vec::new();
    while let Some((before, action)) = &from[place] {
        trace.push(action.clone());
        place = *before;
    }
    trace.reverse();
    trace
}

fn holds(rules: Rules) {
    let (states, broken) = explore(rules);
    eprintln!("{states} states: {rules:?}");
    assert!(broken.is_none(), "{rules:?}\n{broken:#?}");
    assert!(states > 1_000, "{states} states: nothing was explored");
}

fn is_caught(rules: Rules) {
    let (_, broken) = explore(rules);
    assert!(broken.is_some(), "nothing shows that this is wrong: {rules:?}");
}

#[test]
fn never_may_two_members_act_whoevers_clock_is_slow() {
    holds(Rules { slow: Some(0), ..Rules::default() });
}

#[test]
fn never_may_two_members_act_when_writes_arrive_late() {
    holds(Rules { ghosts: 1, ..Rules::default() });
}

#[test]
fn never_may_two_members_act_when_processes_are_killed_or_end() {
    holds(Rules { kills: 1, ..Rules::default() });
    holds(Rules { ends: 1, ..Rules::default() });
}

#[test]
fn never_may_two_members_act_when_the_item_is_deleted() {
    holds(Rules { deletions: 1, ..Rules::default() });
}

/// Minutes: all of it together with clocks that differ.
#[test]
fn never_may_two_members_act_in_large_worlds() {
    if std::env::var("LOCKKEEPER_EXPLORE").is_ok_and(|it| it == "large") {
        let slow = Some(0);
        holds(Rules { slow, ghosts: 1, ..Rules::default() });
        holds(Rules { slow, kills: 1, ..Rules::default() });
        holds(Rules { slow, ends: 1, ..Rules::default() });
        holds(Rules { slow, deletions: 1, ..Rules::default() });
    }
}

#[test]
fn a_margin_without_room_for_clocks_or_for_a_call_is_caught() {
    let with = |timing| Rules { slow: Some(0), timing: Some(timing), ..Rules::default() };
    is_caught(with(Timing { drift: units(0), ..TIMING }));
    is_caught(with(Timing { call: units(0), ..TIMING }));
}

#[test]
fn counting_from_the_wrong_end_of_a_call_is_caught() {
    for flaw in [Flaw::CountedFromTheAnswer, Flaw::SeenFromTheRequest] {
        is_caught(Rules { flaw: Some(flaw), ..Rules::default() });
    }
}

#[test]
fn a_table_that_writes_without_condition_is_caught() {
    is_caught(Rules { flaw: Some(Flaw::TableWithoutConditions), ..Rules::default() });
}
