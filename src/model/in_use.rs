//! Things that are costly to have, had once for all who want the same.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Values found by what they are made of, each for as long as somebody uses it: many tasks on one server have one TLS
/// configuration and one pool of connections. A key may hold secrets: nothing here is printed.
pub struct InUse<K, V> {
    known: Mutex<Vec<(K, Weak<V>)>>,
}

impl<K: PartialEq, V> InUse<K, V> {
    /// With nothing in it.
    pub const fn new() -> Self {
        Self { known: Mutex::new(Vec::new()) }
    }

    /// The value that is in use for this key, or a new one.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get_or_make<E>(&self, key: K, make: impl FnOnce(&K) -> Result<V, E>) -> Result<Arc<V>, E> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(_, value)| value.strong_count() > 0);
        let found = known.iter().find(|(other, _)| *other == key).and_then(|(_, value)| value.upgrade());
        if let Some(value) = found {
            return Ok(value);
        }
        let value = Arc::new(make(&key)?);
        known.push((key, Arc::downgrade(&value)));
        Ok(value)
    }
}

impl<K: PartialEq, V> Default for InUse<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn one_value_for_one_key_while_it_is_used() {
        let all: InUse<u8, u8> = InUse::new();
        let get = |key, value| all.get_or_make(key, |_| Ok::<_, Infallible>(value)).unwrap();
        let first = get(1, 10);
        assert!(Arc::ptr_eq(&first, &get(1, 11)));
        assert_eq!(*get(2, 20), 20);
        drop(first);
        assert_eq!(*get(1, 12), 12);
        assert!(all.get_or_make(3, |_| Err("no")).is_err());
    }
}
