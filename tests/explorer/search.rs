//! Breadth-first search over every state that a world can reach.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use lockkeeper::plan::{Promise, Violation};

use crate::world::{Action, Script, World};

/// What was found.
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) broken: Option<Broken>,
}

/// A promise that was broken, and the shortest way there.
pub(crate) struct Broken {
    pub(crate) violation: Violation,
    pub(crate) trace: Vec<Action>,
}

struct Graph {
    /// By place: where each state was reached from first, and how.
    from: Vec<Option<(u32, Action)>>,
    /// Ends and beginnings of every step that the world takes where nothing goes wrong.
    calm: Vec<(u32, u32)>,
    rests: Vec<u32>,
}

/// Explores until a promise is broken, or everything has been seen.
pub(crate) fn explore(script: &Script, most_states: usize) -> Found {
    let first = World::new(Arc::new(script.clone()));
    let mut seen: HashMap<u64, u32> = HashMap::from([(fingerprint(&first), 0)]);
    let mut graph = Graph { from: vec![None], calm: Vec::new(), rests: Vec::new() };
    let mut next: VecDeque<(u32, World)> = VecDeque::from([(0, first)]);
    while let Some((place, world)) = next.pop_front() {
        if world.is_at_rest() {
            graph.rests.push(place);
            continue;
        }
        for action in world.enabled() {
            let mut after = world.clone();
            let step = after.step(action);
            if action == Action::Wait && !step.moved && step.broken.is_empty() {
                continue;
            }
            if let Some(violation) = step.broken.into_iter().next() {
                let trace = graph.trace(place).into_iter().chain([action]).collect();
                return Found { states: seen.len(), broken: Some(Broken { violation, trace }) };
            }
            let fresh = u32::try_from(seen.len()).expect("fewer than four billion states");
            let to = *seen.entry(fingerprint(&after)).or_insert(fresh);
            if action.is_calm() {
                graph.calm.push((to, place));
            }
            if to == fresh {
                graph.from.push(Some((place, action)));
                next.push_back((to, after));
                if seen.len() > most_states {
                    let violation = Violation::new(Promise::P9, format!("more than {most_states} states"));
                    return Found {
                        states: seen.len(),
                        broken: Some(Broken { violation, trace: graph.trace(to) }),
                    };
                }
            }
        }
    }
    Found { states: seen.len(), broken: graph.stuck() }
}

impl Graph {
    fn trace(&self, mut place: u32) -> Vec<Action> {
        let mut trace = Vec::new();
        while let Some((before, action)) = self.from[place as usize] {
            trace.push(action);
            place = before;
        }
        trace.reverse();
        trace
    }

    /// P9: the first state from which the world cannot come to rest, though nothing goes wrong any more.
    fn stuck(mut self) -> Option<Broken> {
        self.calm.sort_unstable();
        let mut can_rest = vec![false; self.from.len()];
        let mut next = self.rests.clone();
        while let Some(place) = next.pop() {
            if std::mem::replace(&mut can_rest[place as usize], true) {
                continue;
            }
            let first = self.calm.partition_point(|(to, _)| *to < place);
            next.extend(self.calm[first..].iter().take_while(|(to, _)| *to == place).map(|(_, from)| *from));
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

fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}
