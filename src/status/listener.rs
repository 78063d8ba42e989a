//! Takes connections and answers on them, and has patience with each for so long only.
//!
//! A client that sends its request byte by byte, one that takes its answer byte by byte, and one that does nothing at all
//! each keep a connection, and nothing else is needed to keep everybody away. So all three are cut off, and one address
//! gets only so many connections.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    time::{Instant, Sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service as _;
use tracing::warn;

use super::access::Peer;

/// A process may open 1,024 files where nobody says more, and has to call AWS beside answering.
const MOST_CONNECTIONS: usize = 768;

/// So many of them for one address, which may be a load balancer's.
const MOST_OF_ONE_ADDRESS: usize = 512;

/// A load balancer keeps a connection for 60 s, and takes it for an error if we close it before.
const IDLE: Duration = Duration::from_secs(75);

/// From the first byte of a request to the first byte of its answer.
const ASKING: Duration = Duration::from_secs(30);

/// How long a client may take none of an answer that is there for it.
const STALLED: Duration = Duration::from_secs(20);

/// What is kept of an answer that its client does not take.
const MOST_UNSENT_BYTES: usize = 64 * 1_024;

/// After a connection could not be taken, nothing is tried for so long.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until it is to stop, then lets requests in flight end.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let (open, connections) = (TaskTracker::new(), Arc::new(Connections::default()));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(place) = connections.place_for(peer) {
                    let _ = stream.set_nodelay(true);
                    open.spawn(answer(Patient::new(stream), router.clone(), place, stop.clone()));
                }
            }
            Err(error) => {
                warn!(error = %error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// Answers on one connection until it ends. Errors are those of the client's side, and of no interest to anybody.
async fn answer<S>(stream: Patient<S>, router: Router, place: Place, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = Peer(place.address);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let mut settings = http1::Builder::new();
    settings.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MOST_UNSENT_BYTES);
    let mut connection = std::pin::pin!(settings.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Who is connected, and how often.
#[derive(Debug, Default)]
struct Connections(Mutex<HashMap<IpAddr, usize>>);

/// One place, until it is dropped.
#[derive(Debug)]
struct Place {
    of: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    fn place_for(self: &Arc<Self>, peer: SocketAddr) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.values().sum::<usize>() >= MOST_CONNECTIONS {
            return None;
        }
        let of_this = counts.entry(peer.ip()).or_default();
        if *of_this >= MOST_OF_ONE_ADDRESS {
            return None;
        }
        *of_this += 1;
        Some(Place { of: Arc::clone(self), address: peer.ip() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// What a connection is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was sent to us since we last sent something.
    Idle,
    /// A request is coming, or is being answered.
    Asking,
}

/// A connection that ends where its client takes too long.
struct Patient<S> {
    inner: S,
    phase: Phase,
    /// When there is no more patience for what is to come.
    patience: Pin<Box<Sleep>>,
    /// When there is no more patience for what is to be taken; `None` while it is taken.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(inner: S) -> Self {
        // Who connects has something to say.
        let patience = Box::pin(tokio::time::sleep(ASKING));
        Self { inner, phase: Phase::Asking, patience, stalled: None }
    }

    fn turn(&mut self, phase: Phase, patience: Duration) {
        self.phase = phase;
        self.patience.as_mut().reset(Instant::now() + patience);
    }

    /// Something was taken by the client, or nothing could be.
    fn sent(&mut self, cx: &mut Context<'_>, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &sent {
            Poll::Ready(_) => {
                self.stalled = None;
                self.turn(Phase::Idle, IDLE);
                sent
            }
            Poll::Pending => {
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
                ready!(stalled.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buffer) {
            Poll::Ready(read) => {
                if self.phase == Phase::Idle && buffer.filled().len() > before {
                    self.turn(Phase::Asking, ASKING);
                }
                Poll::Ready(read)
            }
            Poll::Pending => {
                ready!(self.patience.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.inner).poll_write(cx, buffer);
        self.sent(cx, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.inner).poll_write_vectored(cx, buffers);
        self.sent(cx, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{body::Body, response::Response, routing::get};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const QUESTION: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    /// A client's end of a connection that is answered, and how much fits between both.
    fn connected(bytes: usize) -> DuplexStream {
        let (client, server) = duplex(bytes);
        let endless = || {
            let piece = || Some((Ok::<_, Infallible>(vec![b'x'; 10_000]), ()));
            Response::new(Body::from_stream(futures_util::stream::unfold(
                (),
                move |()| async move { piece() },
            )))
        };
        let router =
            Router::new().route("/", get(async || "hello")).route("/endless", get(async move || endless()));
        let place = Arc::new(Connections::default()).place_for(([10, 0, 0, 1], 1).into()).expect("room");
        tokio::spawn(answer(Patient::new(server), router, place, CancellationToken::new()));
        client
    }

    /// How long it took until the connection was closed.
    async fn until_closed(client: &mut DuplexStream) -> Duration {
        let began = Instant::now();
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_request_byte_by_byte_is_cut_off() {
        let mut client = connected(1_000);
        let began = Instant::now();
        for byte in QUESTION.iter().cycle() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if *byte == b'\r' || client.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        until_closed(&mut client).await;
        assert!(began.elapsed() <= ASKING + Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_cut_off_at_first_sooner_than_after_an_answer() {
        let mut client = connected(1_000);
        assert_eq!(until_closed(&mut client).await, ASKING);
        let mut client = connected(1_000);
        client.write_all(QUESTION).await.expect("open");
        assert!(until_closed(&mut client).await >= IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_used_stays() {
        let mut client = connected(1_000);
        let mut answer = [0; 1_000];
        for _ in 0..10 {
            client.write_all(QUESTION).await.expect("open");
            let length = client.read(&mut answer).await.expect("answered");
            assert!(answer[..length].ends_with(b"hello"));
            tokio::time::sleep(IDLE.mul_f32(0.9)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_an_answer_is_cut_off() {
        let mut client = connected(1_000);
        client.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("open");
        let mut some = [0; 100];
        client.read_exact(&mut some).await.expect("answered");
        tokio::time::sleep(STALLED + Duration::from_secs(1)).await;
        assert_eq!(until_closed(&mut client).await, Duration::ZERO, "it was closed before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_lets_an_idle_connection_end_at_once() {
        let (mut client, server) = duplex(1_000);
        let place = Arc::new(Connections::default()).place_for(([10, 0, 0, 1], 1).into()).expect("room");
        let stop = CancellationToken::new();
        tokio::spawn(answer(Patient::new(server), Router::new(), place, stop.clone()));
        client.write_all(QUESTION).await.expect("open");
        let mut some = [0; 10];
        client.read_exact(&mut some).await.expect("answered");
        stop.cancel();
        assert_eq!(until_closed(&mut client).await, Duration::ZERO);
    }

    #[test]
    fn one_address_gets_only_so_many_connections_and_gives_them_back() {
        let connections = Arc::new(Connections::default());
        let of = |last: u8| connections.place_for(([10, 0, 0, last], 1).into());
        let mut one: Vec<Place> = (0..MOST_OF_ONE_ADDRESS).filter_map(|_| of(1)).collect();
        assert!(of(1).is_none());
        let others: Vec<Place> = (0..MOST_CONNECTIONS).filter_map(|_| of(2)).collect();
        assert_eq!(one.len() + others.len(), MOST_CONNECTIONS);
        one.pop();
        assert!(of(1).is_some());
        drop((one, others));
        assert!(connections.0.lock().expect("sound").is_empty());
    }
}
