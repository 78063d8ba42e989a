use std::sync::Mutex;

use tokio::task::JoinSet;

use super::*;
use crate::aws::Unobserved;

const CLASS: ApiClass = ApiClass::ServiceModify;

fn budget() -> Budget {
    Budget::new(BudgetShare::HALF, Arc::new(Unobserved), CancellationToken::new())
}

/// Takes all that there is at once.
fn drain(budget: &Budget) -> usize {
    let mut waiter = Waiter::join(budget, CLASS, Turn::Soon);
    let now = budget.now();
    let mut taken = 0;
    while budget.with(CLASS, |line| line.serve(waiter.number, now)) == line::Answer::Served {
        taken += 1;
        waiter = Waiter::join(budget, CLASS, Turn::Soon);
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn tokens_are_had_at_once_up_to_the_burst_and_at_the_rate_then() {
    let (budget, began) = (budget(), Instant::now());
    for _ in 0..25 {
        budget.token(CLASS, Urgency::Soon).await.expect("open");
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    for _ in 0..5 {
        budget.token(CLASS, Urgency::Soon).await.expect("open");
    }
    let took = began.elapsed();
    assert!((2_000..2_020).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_first_is_served_first() {
    let budget = budget();
    drain(&budget);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for number in 0..40 {
        let (budget, order) = (budget.clone(), Arc::clone(&order));
        tasks.spawn(async move {
            budget.token(CLASS, Urgency::Soon).await.expect("open");
            order.lock().expect("sound").push(number);
        });
        tokio::task::yield_now().await;
    }
    tasks.join_all().await;
    assert_eq!(*order.lock().expect("sound"), (0..40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_can_wait_goes_behind_what_cannot_and_still_gets_every_fourth_token() {
    let budget = budget();
    drain(&budget);
    let order = Arc::new(Mutex::new(String::new()));
    let mut tasks = JoinSet::new();
    for (urgency, letter) in [(Urgency::Later, 'l'), (Urgency::Soon, 's')] {
        for _ in 0..6 {
            let (budget, order) = (budget.clone(), Arc::clone(&order));
            tasks.spawn(async move {
                budget.token(CLASS, urgency).await.expect("open");
                order.lock().expect("sound").push(letter);
            });
            tokio::task::yield_now().await;
        }
    }
    tasks.join_all().await;
    assert_eq!(*order.lock().expect("sound"), "ssslssslllll");
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_costs_nobody_a_token_or_their_turn() {
    let budget = budget();
    drain(&budget);
    let began = Instant::now();
    let mut gone = Box::pin(budget.token(CLASS, Urgency::Soon));
    assert!(timeout(Duration::from_millis(100), &mut gone).await.is_err());
    let waits = tokio::spawn({
        let budget = budget.clone();
        async move { budget.token(CLASS, Urgency::Soon).await }
    });
    tokio::task::yield_now().await;
    drop(gone);
    waits.await.expect("it ends").expect("open");
    assert!((400..410).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_place_is_redeemed_at_once_before_all_who_wait() {
    let budget = budget();
    let place = budget.place(CLASS).await.expect("open");
    drain(&budget);
    let waits = tokio::spawn({
        let budget = budget.clone();
        async move { budget.token(CLASS, Urgency::Soon).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    place.redeem().await.expect("open");
    assert_eq!(began.elapsed(), Duration::ZERO);
    waits.await.expect("it ends").expect("open");
    assert!(began.elapsed() >= Duration::from_millis(400));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_let_go_serves_the_next_at_once() {
    let budget = budget();
    let mut places = Vec::new();
    for _ in 0..25 {
        places.push(budget.place(CLASS).await.expect("open"));
    }
    let next = tokio::spawn({
        let budget = budget.clone();
        async move { budget.place(CLASS).await.is_ok() }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    places.pop();
    assert!(next.await.expect("it ends"));
    assert!(began.elapsed() < Duration::from_millis(5));
}

#[tokio::test(start_paused = true)]
async fn after_throttling_even_a_place_waits_for_the_bucket_to_fill_again() {
    let budget = budget();
    let place = budget.place(CLASS).await.expect("open");
    budget.throttled(CLASS);
    let began = Instant::now();
    place.redeem().await.expect("open");
    assert!((780..=810).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn closing_ends_all_waiting_at_once() {
    let closing = CancellationToken::new();
    let budget = Budget::new(BudgetShare::HALF, Arc::new(Unobserved), closing.clone());
    drain(&budget);
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let budget = budget.clone();
        tasks.spawn(async move { budget.token(CLASS, Urgency::Soon).await });
    }
    tokio::task::yield_now().await;
    let began = Instant::now();
    closing.cancel();
    assert!(tasks.join_all().await.iter().all(|it| *it == Err(Closed)));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(budget.token(CLASS, Urgency::Soon).await, Err(Closed), "nobody begins to wait either");
    assert!(!budget.has_plenty(ApiClass::TaskRead));
}

#[tokio::test(start_paused = true)]
async fn classes_and_regions_do_not_share_a_bucket() {
    let (here, there) = (budget(), budget());
    drain(&here);
    assert_eq!((drain(&there), here.has_plenty(ApiClass::DefinitionModify)), (25, true));
    assert!(!here.has_plenty(CLASS));
}

#[derive(Debug, Default)]
struct Waits(Mutex<Vec<(&'static str, Duration)>>);

impl Observer for Waits {
    fn called(&self, _: &'static str, _: &'static str, _: &'static str, _: Duration) {}

    fn waited(&self, class: &'static str, waited: Duration) {
        self.0.lock().expect("sound").push((class, waited));
    }
}

#[tokio::test(start_paused = true)]
async fn each_token_is_told_of_with_its_wait() {
    let waits = Arc::new(Waits::default());
    let budget = Budget::new(BudgetShare::HALF, Arc::clone(&waits) as _, CancellationToken::new());
    for _ in 0..26 {
        budget.token(CLASS, Urgency::Soon).await.expect("open");
    }
    let told = waits.0.lock().expect("sound");
    let at_once = told.iter().filter(|it| **it == ("service_modify", Duration::ZERO)).count();
    assert_eq!((told.len(), at_once), (26, 25));
    assert!(told[25].1 >= Duration::from_millis(400));
}

#[test]
fn every_operation_has_the_class_of_awss_table() {
    for (operation, class) in [
        ("UpdateService", "service_modify"),
        ("StopServiceDeployment", "service_modify"),
        ("DescribeServices", "service_read"),
        ("ListServiceDeployments", "service_deployment"),
        ("DescribeServiceRevisions", "service_revision"),
        ("RegisterTaskDefinition", "definition_modify"),
        ("DescribeTaskDefinition", "definition_read"),
        ("DescribeTasks", "task_read"),
        ("TagResource", "tag_modify"),
    ] {
        assert_eq!(ApiClass::of(operation).as_str(), class, "{operation}");
    }
}
