//! Long random stories in larger worlds, by the same rules as the exploration of small ones.
//!
//! `LOCKKEEPER_RUNS` says how many stories are told, and `LOCKKEEPER_SEED` with which number they begin. A failure names
//! its seed: with that and one run it happens again. Run with `--nocapture` to see the seeds, and how much was told.

#![expect(clippy::print_stdout, reason = "the seeds are what a run shows")]

#[allow(dead_code, unreachable_pub, unused_imports, reason = "two tests share it, and each uses its part")]
#[path = "../world/mod.rs"]
mod world;

use std::sync::Arc;

use lockkeeper::domain::OnNewer;
use world::{Action, BEGIN, Budget, Fate, Script, Wish, World};

/// SplitMix64: one number gives a whole story.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).expect("below fits")
    }
}

fn wish(dice: &mut Dice, number: usize) -> Wish {
    let number = u32::try_from(number).expect("few");
    match dice.roll(6) {
        0 | 1 => Wish::Restart,
        2 => Wish::Follow,
        3 => Wish::Image("main", number),
        4 => Wish::Image("side", number),
        _ => Wish::Definition(number),
    }
}

/// A world of up to six services and of messages that ask for all kinds of things, some of them twice.
fn script(dice: &mut Dice, messages: usize) -> Script {
    let services = 1 + dice.roll(6);
    let mut script = Script::new(services);
    for number in 2..messages + 2 {
        let first = dice.roll(services);
        let mut wishes = vec![(first, wish(dice, number))];
        if dice.roll(4) == 0 && services > 1 {
            wishes.push(((first + 1) % services, wish(dice, number)));
        }
        // Definitions are registered before they are asked for, so that their time is known from the beginning.
        let is_static = wishes.iter().any(|(_, wish)| matches!(wish, Wish::Definition(_)));
        let seconds = 2 + dice.roll(96) as u64;
        script = if is_static || dice.roll(2) == 0 {
            script.sent(seconds, &wishes)
        } else {
            script.sent_later(&wishes)
        };
        if dice.roll(5) == 0 {
            script = script.twice();
        }
    }
    // Every pause is followed by a resume, or what waits behind it waits for ever.
    for place in 0..services {
        if dice.roll(4) == 0 {
            let paused = 2 + dice.roll(90) as u64;
            script = script.sent(paused, &[(place, Wish::Pause)]);
            script = script.sent(paused + 1 + dice.roll(5) as u64, &[(place, Wish::Resume)]);
        }
    }
    // Whoever goes back resumes the target, too.
    for place in 0..services {
        if dice.roll(5) == 0 {
            let revision = u32::try_from(messages + 2 + place).expect("few");
            script = script.sent(2 + dice.roll(90) as u64, &[(place, Wish::Definition(revision))]);
            script = script.sent_later(&[(place, Wish::Rollback(revision, 1))]);
            script = script.sent_later(&[(place, Wish::Resume)]);
        }
    }
    for number in 0..messages {
        if dice.roll(8) == 0 {
            let (place, wish) = script.messages[number].wishes[0];
            if !wish.decides() {
                script = script.sent_later(&[(place, Wish::Cancel(number))]);
            }
        }
    }
    let settings = [OnNewer::Queue, OnNewer::Interrupt, OnNewer::WhenFailing];
    let mut few = || u16::try_from(dice.roll(4)).expect("few");
    let budget = Budget {
        crashes: few(),
        lost_leases: few(),
        lost_answers: few(),
        throttles: few(),
        refusals: few(),
        failures: few(),
        // Of three in one story, what is whose decision is open too often.
        strangers: few().min(2),
        again: few(),
        shortages: few(),
        outages: few(),
        replays: few(),
    };
    script = script
        .endless()
        .budget(budget)
        .on_newer(settings[dice.roll(3)])
        .quiet([0, 2_000, 10_000][dice.roll(3)]);
    if dice.roll(2) == 0 {
        script = script.rollback();
    }
    if dice.roll(2) == 0 {
        script = script.renewing([15_000, 50_000][dice.roll(2)]);
    }
    if dice.roll(2) == 0 {
        let mut limit = || u32::try_from(dice.roll(3)).expect("few");
        script = script.waves(limit(), limit());
    }
    script
}

/// How long a story was.
#[derive(Default)]
struct Told {
    steps: usize,
    /// By the clock of its world.
    millis: u64,
}

/// Tells one story to its end, and says what was wrong with it.
fn tell(seed: u64, messages: usize) -> Result<Told, String> {
    let mut dice = Dice(seed);
    let script = script(&mut dice, messages);
    let mut world = World::new(Arc::new(script));
    let mut trace: Vec<String> = Vec::new();
    for number in 0..messages * 400 {
        let actions = world.enabled();
        if world.is_at_rest() && actions.is_empty() {
            return Ok(Told { steps: number, millis: world.clock - BEGIN });
        }
        let faults = dice.roll(10) == 0;
        let wanted: Vec<Action> = actions.iter().copied().filter(|it| it.is_calm() != faults).collect();
        let among = if wanted.is_empty() { &actions } else { &wanted };
        let Some(action) = among.get(dice.roll(among.len().max(1))).copied() else { break };
        let step = world.step(action);
        trace.push(format!("{number}. {action} at {} ms: {}", world.clock, step.told.join("; ")));
        if let Some(violation) = step.broken.first() {
            let last = trace.len().saturating_sub(60);
            let asked = if messages < 10 { format!("{:#?}\n", world.script) } else { String::new() };
            let what = format!("{:?}: {}", violation.promise, violation.what);
            return Err(format!("{what}\n{asked}{}", trace[last..].join("\n")));
        }
    }
    let left = world.letters.iter().filter(|letter| letter.fate != Fate::Deleted).count();
    let last = trace.len().saturating_sub(60);
    Err(format!("P9: it does not come to rest, and {left} messages are left\n{}", trace[last..].join("\n")))
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn tell_many(messages: usize, runs: u64) {
    let (first, mut all) = (number("LOCKKEEPER_SEED", 1), Told::default());
    let seeds = first..first + number("LOCKKEEPER_RUNS", runs);
    for seed in seeds.clone() {
        match tell(seed, messages) {
            Ok(Told { steps, millis }) => (all.steps, all.millis) = (all.steps + steps, all.millis + millis),
            Err(why) => panic!("LOCKKEEPER_SEED={seed} LOCKKEEPER_RUNS=1 with {messages} messages: {why}"),
        }
    }
    let Told { steps, millis } = all;
    let hours = millis / 3_600_000;
    println!("seeds {seeds:?} with {messages} messages: {steps} steps in {hours} h of the world");
}

#[test]
fn short_stories_keep_every_promise() {
    tell_many(6, 20_000);
}

#[test]
fn long_stories_keep_every_promise() {
    tell_many(200, 300);
}
