//! How far a check is, on a terminal; and many reads at once, but not too many.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
};

/// So many calls are under way at a time.
const AT_ONCE: usize = 6;

/// Tells on standard error how far it is, and leaves nothing behind.
#[derive(Debug)]
pub(in crate::cli) struct Progress {
    shown: bool,
}

impl Progress {
    /// For people only, and only where they see lines change.
    pub(in crate::cli) fn new(for_people: bool) -> Self {
        Self { shown: for_people && io::stderr().is_terminal() }
    }

    pub(in crate::cli) fn show(&self, what: &str) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K{what} …");
        }
    }

    pub(in crate::cli) fn count(&self, what: &str, done: usize, all: usize) {
        self.show(&format!("{what} {done} of {all}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Does this with each item, some at a time; the results come in the order in which they are done.
pub(in crate::cli) async fn each<T, R>(
    items: Vec<T>,
    what: &str,
    progress: &Progress,
    work: impl AsyncFn(T) -> R,
) -> Vec<R> {
    let all = items.len();
    let (queue, done) = (Mutex::new(items.into_iter()), Mutex::new(Vec::with_capacity(all)));
    let worker = async || {
        loop {
            let Some(item) = queue.lock().unwrap_or_else(PoisonError::into_inner).next() else { return };
            let result = work(item).await;
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push(result);
            progress.count(what, done.len(), all);
        }
    };
    const { assert!(AT_ONCE == 6, "as many workers as there are here") };
    tokio::join!(worker(), worker(), worker(), worker(), worker(), worker());
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_item_is_worked_on_once_and_not_too_many_at_a_time() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = async |item: usize| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            item
        };
        let done = each((0..100).collect(), "items", &Progress::new(false), work).await;
        assert_eq!(done.len(), 100);
        assert_eq!(done.into_iter().collect::<BTreeSet<_>>(), (0..100).collect());
        assert_eq!(most.into_inner(), AT_ONCE);
    }
}
