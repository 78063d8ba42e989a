//! Breadth-first search over every state that a world can reach.
//!
//! A state that was seen is kept as a fingerprint of 128 bits, where it was reached from, and how: a few dozen bytes.
//! Whole states are kept for the layer that is explored and for the one that it leads to, and for these alone.

use std::sync::Arc;

use lockkeeper::plan::{Promise, Violation};

use crate::seen::Seen;
use crate::world::{Action, Pools, Script, World, fingerprint};

/// What was found.
pub(crate) struct Found {
    pub(crate) broken: Option<Broken>,
    search: Search,
}

/// A promise that was broken, and the shortest way there.
pub(crate) struct Broken {
    pub(crate) violation: Violation,
    pub(crate) trace: Vec<Action>,
}

/// How much is taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sameness {
    /// States that differ only in what is told to people.
    Wide,
    /// States that differ in nothing.
    Narrow,
}

struct Search {
    sameness: Sameness,
    pools: Pools,
    seen: Seen,
    /// By place: where each state was reached from first, and how.
    from: Vec<(u32, Action)>,
    /// Where the steps lead that the world takes where nothing goes wrong: those of a state lie together.
    calm: Vec<u32>,
    /// By place: where its calm steps begin.
    calm_of: Vec<u32>,
    rests: Vec<u32>,
}

impl Found {
    pub(crate) fn states(&self) -> usize {
        self.search.seen.len()
    }

    /// The worlds at rest, each as it was reached first.
    pub(crate) fn ends(&self, script: &Script) -> impl Iterator<Item = World> {
        self.search.rests.iter().map(|place| {
            let mut world = World::new(Arc::new(script.clone()));
            for action in self.search.trace(*place) {
                world.step(action);
            }
            world
        })
    }
}

/// Explores until a promise is broken, or everything has been seen.
pub(crate) fn explore(script: &Script, sameness: Sameness, most_states: usize) -> Found {
    let mut search = Search::new(sameness);
    let mut layer = vec![World::new(Arc::new(script.clone()))];
    search.seen.insert(search.identity(&layer[0]));
    let mut place = 0;
    while !layer.is_empty() {
        let mut next = Vec::new();
        for world in layer {
            if let Some(broken) = search.expand(place, &world, &mut next) {
                return search.found(Some(broken));
            }
            if search.seen.len() > most_states {
                let violation = Violation::new(Promise::P9, format!("more than {most_states} states"));
                let trace = search.trace(place);
                return search.found(Some(Broken { violation, trace }));
            }
            place += 1;
        }
        search.pools.shrink();
        layer = next;
    }
    let stuck = search.stuck();
    search.found(stuck)
}

impl Search {
    fn new(sameness: Sameness) -> Self {
        Self {
            sameness,
            pools: Pools::default(),
            seen: Seen::new(),
            from: vec![(0, Action::Wait)],
            calm: Vec::new(),
            calm_of: Vec::new(),
            rests: Vec::new(),
        }
    }

    fn found(self, broken: Option<Broken>) -> Found {
        Found { broken, search: self }
    }

    /// Takes every step that the world at this place can take.
    fn expand(&mut self, place: u32, world: &World, next: &mut Vec<World>) -> Option<Broken> {
        self.calm_of.push(u32::try_from(self.calm.len()).expect("fewer than four billion steps"));
        if world.is_at_rest() {
            self.rests.push(place);
        }
        for action in world.enabled() {
            let mut after = world.clone();
            let step = after.step(action);
            if action == Action::Wait && !step.moved && step.broken.is_empty() {
                continue;
            }
            if let Some(violation) = step.broken.into_iter().next() {
                let trace = self.trace(place).into_iter().chain([action]).collect();
                return Some(Broken { violation, trace });
            }
            self.reach(place, action, after, next);
        }
        None
    }

    fn identity(&self, world: &World) -> u128 {
        match self.sameness {
            Sameness::Wide => fingerprint(world),
            Sameness::Narrow => fingerprint(&format!("{world:?}")),
        }
    }

    fn reach(&mut self, place: u32, action: Action, mut after: World, next: &mut Vec<World>) {
        let (to, is_new) = self.seen.insert(self.identity(&after));
        if action.is_calm() {
            self.calm.push(to);
        }
        if is_new {
            self.from.push((place, action));
            self.pools.share(&mut after);
            next.push(after);
        }
    }

    fn trace(&self, mut place: u32) -> Vec<Action> {
        let mut trace = Vec::new();
        while place > 0 {
            let (before, action) = self.from[place as usize];
            trace.push(action);
            place = before;
        }
        trace.reverse();
        trace
    }

    fn calm_from(&self, place: usize) -> &[u32] {
        let begin = self.calm_of[place] as usize;
        let end = self.calm_of.get(place + 1).map_or(self.calm.len(), |it| *it as usize);
        &self.calm[begin..end]
    }

    /// P9: the first state from which the world cannot come to rest, though nothing goes wrong any more.
    fn stuck(&self) -> Option<Broken> {
        let mut can_rest = vec![false; self.from.len()];
        for place in &self.rests {
            can_rest[*place as usize] = true;
        }
        // Nearly every step leads to a state that was found later: going backwards, few rounds are enough.
        let mut changed = true;
        while changed {
            changed = false;
            for place in (0..self.from.len()).rev() {
                if !can_rest[place] && self.calm_from(place).iter().any(|to| can_rest[*to as usize]) {
                    can_rest[place] = true;
                    changed = true;
                }
            }
        }
        let stuck = can_rest.iter().position(|can| !can)?;
        let trace = self.trace(u32::try_from(stuck).expect("a place"));
        let violation = Violation::new(Promise::P9, "it cannot come to rest");
        Some(Broken { violation, trace })
    }
}

impl Broken {
    /// The whole story, for people.
    pub(crate) fn told(&self, script: &Script) -> String {
        let Violation { promise, what } = &self.violation;
        format!("{promise:?}: {what}\n{}", told(script, &self.trace))
    }
}

fn told(script: &Script, trace: &[Action]) -> String {
    let mut world = World::new(Arc::new(script.clone()));
    let messages = script.messages.iter().enumerate();
    let mut lines: Vec<String> = messages.map(|(place, it)| format!("  message {place}: {it:?}")).collect();
    for (number, action) in trace.iter().enumerate() {
        let step = world.step(*action);
        lines.push(format!("{:>3}. {action} at {} ms", number + 1, world.clock));
        lines.extend(step.told.iter().map(|line| format!("        {line}")));
    }
    lines.extend(calm_end(world));
    lines.join("\n")
}

/// What would follow if nothing went wrong any more, where that does not end at rest.
fn calm_end(mut world: World) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..20 {
        let next = world.enabled().into_iter().filter(|action| action.is_calm()).find_map(|action| {
            let mut after = world.clone();
            let step = after.step(action);
            (action != Action::Wait || step.moved).then_some((action, after))
        });
        let Some((action, after)) = next else { break };
        lines.push(format!("     then {action} at {} ms", after.clock));
        world = after;
    }
    if world.is_at_rest() { Vec::new() } else { lines }
}
