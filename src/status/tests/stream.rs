//! What is told to those who listen.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::watch;

use super::*;
use crate::status::Snapshot;

/// One who listens, and what is shown to them.
struct Listening {
    body: axum::body::BodyDataStream,
}

/// A state whose snapshot can be replaced.
fn told() -> (watch::Sender<Arc<Snapshot>>, StatusState) {
    let sample = Sample::busy();
    let (sender, snapshot) = watch::channel(Arc::new(sample.snapshot.clone()));
    (sender, StatusState { snapshot, ..sample.state() })
}

async fn listen(state: &StatusState) -> Listening {
    let request = Request::get("/api/v1/stream").body(Body::empty()).expect("a request");
    let response = router(state.clone()).oneshot(request).await.expect("the router cannot fail");
    assert_eq!(
        (response.status(), &response.headers()[header::CONTENT_TYPE]),
        (StatusCode::OK, &"text/event-stream".parse().expect("a value"))
    );
    Listening { body: response.into_body().into_data_stream() }
}

impl Listening {
    /// The next event: its name, and its data where that is short.
    async fn next(&mut self) -> Option<String> {
        let piece = tokio::time::timeout(Duration::from_mins(1), self.body.next()).await.expect("in time")?;
        let text = String::from_utf8(piece.expect("sound").to_vec()).expect("text");
        assert!(text.ends_with("\n\n"), "{text:?}");
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        let data: Value = serde_json::from_str(&field("data: ")).unwrap_or_default();
        let what = ["name", "id"].map(|key| data[key].as_str().unwrap_or_default().to_owned());
        Some([field("event: "), field("id: "), what[0].clone(), what[1].clone()].join(" ").trim().to_owned())
    }
}

fn change(sender: &watch::Sender<Arc<Snapshot>>, change: impl FnOnce(&mut Snapshot)) {
    let mut next = (**sender.borrow()).clone();
    change(&mut next);
    sender.send_replace(Arc::new(next));
}

fn wait_more(snapshot: &mut Snapshot, place: usize) {
    let target = &mut Arc::make_mut(&mut snapshot.targets)[place];
    Arc::make_mut(target).lane.waiting += 1;
}

#[tokio::test(start_paused = true)]
async fn who_listens_is_greeted_and_hears_of_every_change_and_of_nothing_else() {
    let (sender, state) = told();
    let mut listening = listen(&state).await;
    assert_eq!(listening.next().await.expect("open"), "hello 0");
    change(&sender, |snapshot| wait_more(snapshot, 1));
    assert_eq!(
        listening.next().await.expect("open"),
        "target 1 cart 111122223333/eu-west-1/shop/chubby_cart"
    );
    change(&sender, |snapshot| snapshot.leases_held += 1);
    change(&sender, |snapshot| {
        let record = Arc::make_mut(&mut snapshot.deployments).values_mut().next().expect("one is under way");
        Arc::make_mut(record).attempts += 1;
    });
    assert_eq!(listening.next().await.expect("open"), "deployment 2  d-77fe");
    assert_eq!(listening.next().await.expect("open"), "", "a heartbeat");
}

#[tokio::test(start_paused = true)]
async fn what_ends_is_told_and_what_is_gone() {
    let (sender, state) = told();
    let mut listening = listen(&state).await;
    listening.next().await;
    change(&sender, |snapshot| {
        for id in ["d-1", "d-2"] {
            Arc::make_mut(&mut snapshot.history).push(DeploymentRecord { id: id.into(), ..succeeded() });
        }
        Arc::make_mut(&mut snapshot.targets).remove(3);
    });
    assert_eq!(listening.next().await.expect("open"), "gone 1");
    assert_eq!(listening.next().await.expect("open"), "deployment 2  d-1");
    assert_eq!(listening.next().await.expect("open"), "deployment 3  d-2");
}

#[tokio::test(start_paused = true)]
async fn who_is_too_slow_is_greeted_again() {
    let (sender, state) = told();
    let mut listening = listen(&state).await;
    listening.next().await;
    for _ in 0..1_500 {
        change(&sender, |snapshot| wait_more(snapshot, 1));
        tokio::task::yield_now().await;
    }
    let next = listening.next().await.expect("open");
    assert!(next.starts_with("hello 1"), "{next}");
    assert!(listening.next().await.expect("open").starts_with("target"));
}

#[tokio::test(start_paused = true)]
async fn all_who_listen_hear_the_same() {
    let (sender, state) = told();
    let mut all = Vec::new();
    for _ in 0..200 {
        all.push(listen(&state).await);
    }
    for listening in &mut all {
        listening.next().await;
    }
    change(&sender, |snapshot| wait_more(snapshot, 0));
    for listening in &mut all {
        assert!(listening.next().await.expect("open").starts_with("target 1 api"));
    }
}

#[tokio::test(start_paused = true)]
async fn only_so_many_listen_and_who_leaves_makes_room() {
    let (_sender, state) = told();
    let mut all = Vec::new();
    for _ in 0..512 {
        all.push(listen(&state).await);
    }
    let refused = answered(&state, Method::GET, "/api/v1/stream", &[], Body::empty()).await;
    assert_eq!(refused.problem().0, 503);
    all.pop();
    listen(&state).await;
}

#[tokio::test(start_paused = true)]
async fn who_listens_is_let_go_when_the_process_ends_and_the_last_leaves_nothing_behind() {
    let (sender, state) = told();
    let mut listening = listen(&state).await;
    listening.next().await;
    drop(listening);
    change(&sender, |snapshot| wait_more(snapshot, 1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(sender.receiver_count(), 1, "only the state's own");
    let mut again = listen(&state).await;
    assert_eq!(again.next().await.expect("open"), "hello 1");
    state.closing.cancel();
    assert_eq!(again.next().await, None);
}
