//! What AWS adds to an explanation: who we are, which targets discovery finds, and what would happen at those that are
//! reached, as things are now. Nothing is changed, and whoever cannot be asked is named in a remark.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Explanation, Home, Question, Reached, Targets, beside, words};
use crate::{
    aws::{Connections, Unobserved, ecs::Ecs},
    cli::estate::{self, Learnt, Progress, each},
    domain::{Beside, Place, Request, TargetId},
    engine::EngineClock,
    plan,
    settings::Settings,
};

/// Whoever has credentials is answered by then; a host without any may be asked for them until then.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many targets are looked at.
const MOST_LOOKS: usize = 20;
/// So much of what could not be read is told.
const MOST_FAILURES: usize = 5;
/// Explains it with what AWS tells; without that, if AWS does not answer.
pub(super) async fn explain(question: Question, settings: Settings, progress: &Progress) -> Explanation {
    progress.show("whose credentials these are");
    let (connections, place) = match reach(&settings).await {
        Ok(reached) => reached,
        Err(why) => {
            let mut explanation = question.explained_offline(settings);
            explanation.home.remarks.push(format!("AWS was not asked: {why}"));
            return explanation;
        }
    };
    let mut home = Home::told(&question.event, &settings, &place);
    let ecs = estate::ecs(&connections, &place, &settings).await;
    let found = discovered(&question, &ecs, &settings, &place, progress).await;
    let more = found.failures.len().saturating_sub(MOST_FAILURES);
    home.remarks.extend(found.failures.into_iter().take(MOST_FAILURES));
    home.remarks.extend((more > 0).then(|| format!("and {more} more could not be read")));
    let rule = beside::Rule::of(&settings);
    let mut at = Targets::new(&home, settings);
    at.learn(found.targets);
    let follows = match &question.sign {
        Some(sign) if home.refusal.is_none() => {
            beside::online(sign, &question.place(&home), &at, &rule, &ecs).await
        }
        Some(_) | None => Vec::new(),
    };
    let (mut explanation, mut routing) = question.explained(home, &at);
    let now = EngineClock::start().wall();
    for request in &mut routing.requests {
        // An event that tells no time would have that at which SQS gets it.
        (request.version, request.floor) = (request.version.min(now), request.floor.min(now));
    }
    Box::pin(look(&ecs, &routing.requests, &mut explanation.targets, progress)).await;
    (explanation.online, explanation.beside) = (true, follows);
    let unseen = routing.requests.len().saturating_sub(MOST_LOOKS);
    if unseen > 0 {
        let what = format!("the first {MOST_LOOKS} targets were looked at, and {unseen} were not");
        explanation.home.remarks.push(what);
    }
    explanation
}

async fn reach(settings: &Settings) -> Result<(Connections, Place), String> {
    let connections = async {
        let connections = Connections::load(settings.aws.region.clone(), Arc::new(Unobserved)).await;
        let connections = connections.map_err(|error| format!("{error:#}"))?;
        let caller = connections.caller().await.map_err(|failure| failure.reason)?;
        let place = Place { account: caller.account, region: connections.region().clone() };
        Ok((connections, place))
    };
    let silent = |_| format!("nobody answered within {} s", PATIENCE.as_secs());
    tokio::time::timeout(PATIENCE, connections).await.map_err(silent)?
}

/// What discovery finds, as far as this event could be for it. What definitions read is not asked where a service is named.
async fn discovered(
    question: &Question,
    ecs: &Ecs,
    settings: &Settings,
    place: &Place,
    progress: &Progress,
) -> Learnt {
    let trigger = &question.event.trigger;
    let concerned = words::concerns_targets(trigger) || matches!(question.sign, Some(Beside::ImageGone(_)));
    let Some(rules) = settings.discovery.as_ref().filter(|_| concerned) else {
        return Learnt::default();
    };
    let definitions = !words::names_a_service(trigger);
    let places = settings.aws.estate.places(&place.account, &place.region);
    estate::learn(ecs, rules, &settings.defaults, &places, definitions, progress).await
}

/// Looks at the first of those that are asked for something.
async fn look(ecs: &Ecs, requests: &[Request], reached: &mut [Reached], progress: &Progress) {
    let ask = async |request: &Request| (request.target.clone(), Box::pin(now(ecs, request)).await);
    let requests: Vec<&Request> = requests.iter().take(MOST_LOOKS).collect();
    let told: BTreeMap<TargetId, String> =
        each(requests, "targets:", progress, ask).await.into_iter().collect();
    for it in reached {
        it.now = told.get(&it.id).cloned();
    }
}

/// What would become of this request now.
async fn now(ecs: &Ecs, request: &Request) -> String {
    let look = match ecs.look(&plan::look_for(request)).await {
        Ok(look) => look,
        Err(failure) => return format!("not known: {}", failure.reason),
    };
    let would = words::foreseen(plan::foresee(request, &look));
    let hold = look.holds.record().map(|hold| words::held_back(&hold));
    hold.into_iter().chain([would]).collect::<Vec<_>>().join("; ")
}
