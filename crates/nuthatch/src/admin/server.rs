//! The connections of the admin port: HTTP/1 by hyper, all on one thread.
//!
//! Everything is bounded: how many connections there are, how long and how large a header may be, that there is no body, how
//! long written bytes may be unacknowledged, and how long a connection may live.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::setpriority_process;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::history;
use super::pages::Pages;
use crate::logger::{ALERT, Repeats, WARN, log, log_limited};
use crate::net::error_text;

/// Maximum connections at a time: some browsers with six each, and whatever scrapes. Further ones wait in the kernel.
pub(super) const CONNECTIONS: usize = 64;

/// How long a header may take, and how long a connection may be idle. It is less than what health checks usually wait, as
/// all connections may be taken by idle ones.
const HEADER_TIME: Duration = Duration::from_secs(5);

/// Maximum bytes of a header, and of its lines: browsers send about one KiB in twenty lines.
const HEADER_BYTES: usize = 8 << 10;
const HEADER_LINES: usize = 64;

/// How long what was sent may be unacknowledged: the reader is gone or does not read.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// How long a connection may live. After that it answers what it is at, for [`LAST_ANSWER`], and is closed; a browser makes
/// another one.
const LIFETIME: Duration = Duration::from_secs(60);
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// How long accepting pauses when descriptors are short.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How much less this thread is worth to the scheduler than the workers, from 0 to 19.
const NICENESS: i32 = 10;

/// Has the admin pages served no more once it is told so: nobody is accepted, and connections are closed after the
/// answer that is under way. They are served on if it is dropped.
#[derive(Debug)]
pub(crate) struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Stops it.
    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Returns once it is to stop.
async fn stopped(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|is_stopped| *is_stopped).await.is_err() {
        std::future::pending().await
    }
}

/// Serves `pages` on `listener` on a thread of its own, until it is stopped or the process ends.
///
/// # Errors
///
/// When the runtime or the thread cannot be created.
pub(super) fn start(listener: net::TcpListener, pages: Pages) -> io::Result<Stopper> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(1)
        .build()?;
    let pages = Arc::new(pages);
    let (stopper, stop) = watch::channel(false);
    thread::Builder::new()
        .name("admin".into())
        .spawn(move || run(&runtime, listener, pages, stop))?;
    Ok(Stopper(stopper))
}

fn run(
    runtime: &Runtime,
    listener: net::TcpListener,
    pages: Arc<Pages>,
    stop: watch::Receiver<bool>,
) {
    // On Linux this is about the calling thread only. Without it the pages are served all the same.
    let _ = setpriority_process(None, NICENESS);
    let ended = runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        tokio::spawn(take_samples(Arc::clone(&pages)));
        let serving = pin!(serve(listener, pages, &stop));
        has_ended_before(serving, stopped(stop.clone())).await;
        // The listener is closed; those who are connected get their last answers.
        sleep(LAST_ANSWER).await;
        io::Result::Ok(())
    });
    if let Err(error) = ended {
        log!(
            ALERT,
            "the admin pages are not served: {}",
            error_text(&error)
        );
    }
}

async fn serve(listener: TcpListener, pages: Arc<Pages>, stop: &watch::Receiver<bool>) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(permit) = Arc::clone(&free).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, Arc::clone(&pages), permit, stop.clone()));
            }
            Err(error) => {
                let text = error_text(&error);
                log_limited!(
                    WARN,
                    Repeats::of_lasting("accept", "admin"),
                    "accept for the admin pages failed: {text}"
                );
                sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Takes samples for as long as the process runs.
async fn take_samples(pages: Arc<Pages>) {
    let mut ticks = interval(history::EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        pages.take_sample(Instant::now());
    }
}

/// Waits until `future` or `end` has ended; returns whether it was the first.
async fn has_ended_before<F: Future>(
    mut future: Pin<&mut F>,
    end: impl Future<Output = ()>,
) -> bool {
    let mut end = pin!(end);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending => end.as_mut().poll(context).map(|()| false),
    })
    .await
}

/// Serves one connection to its end. What ends it is its peer's affair.
async fn converse(
    stream: TcpStream,
    pages: Arc<Pages>,
    permit: OwnedSemaphorePermit,
    stop: watch::Receiver<bool>,
) {
    let Ok(local) = tune(&stream) else {
        return;
    };
    let service = service_fn(|request| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(pages.answer(&request, local).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_header_size(HEADER_BYTES)
        .max_headers(HEADER_LINES)
        .max_buf_size(2 * HEADER_BYTES)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let end = async { drop(timeout(LIFETIME, stopped(stop)).await) };
    if !has_ended_before(connection.as_mut(), end).await {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_ANSWER, connection).await;
    }
    drop(permit);
}

/// Prepares a connection; returns the address that it was made to.
fn tune(stream: &TcpStream) -> io::Result<SocketAddr> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    stream.local_addr()
}
