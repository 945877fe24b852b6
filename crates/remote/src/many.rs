//! Many requests, some of them at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::RemoteError;

/// How many are on their way at once.
const AT_ONCE: usize = 8;

/// Does something for each of a list, in its order, some at once, until one fails. Of several that fail the error of the
/// first is the result: all before one that fails are on their way, and so it is always the same.
pub(crate) fn for_each<T: Sync>(
    list: &[T],
    work: impl Fn(usize, &T) -> Result<(), RemoteError> + Sync,
) -> Result<(), RemoteError> {
    let next = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let failed: Mutex<Option<(usize, RemoteError)>> = Mutex::new(None);
    let run = || {
        while !is_over.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(one) = list.get(number) else { return };
            if let Err(error) = work(number, one) {
                is_over.store(true, Ordering::Relaxed);
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(first, _)| number < *first) {
                    *failed = Some((number, error));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(list.len()) {
            scope.spawn(run);
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::RemoteErrorKind;

    #[test]
    fn all_is_done_and_the_first_error_is_the_result() {
        let list: Vec<usize> = (0..100).collect();
        let count = AtomicUsize::new(0);
        for_each(&list, |number, one| {
            assert_eq!(number, *one);
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 100);
        for_each(&[], |_, _: &usize| Ok(())).unwrap();
        for _ in 0..20 {
            let error = for_each(&list, |number, _| {
                // The later ones fail sooner.
                if number >= 10 {
                    thread::sleep(Duration::from_millis(20_u64.saturating_sub(number as u64)));
                    return Err(RemoteError::new(RemoteErrorKind::Limit, number.to_string()));
                }
                Ok(())
            });
            assert_eq!(error.unwrap_err().message(), "10");
        }
    }
}
