//! The most frequent of very many, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::FixedState;

/// Counts by key; only the most frequent are kept once there are too many. A count is at least what it says:
/// what came before a key was dropped is not in it.
#[derive(Clone, Debug)]
pub(super) struct Top<K, V> {
    capacity: usize,
    counts: HashMap<K, V, FixedState>,
}

impl<K: Hash + Eq + Clone + Ord, V: Weight> Top<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, counts: HashMap::default() }
    }

    /// The count of a key, to be raised; `new` makes its first value.
    pub(super) fn entry(&mut self, key: &K, new: impl FnOnce() -> V) -> &mut V {
        if self.counts.len() >= self.capacity * 2 && !self.counts.contains_key(key) {
            self.prune();
        }
        self.counts.entry(key.clone()).or_insert_with(new)
    }

    fn prune(&mut self) {
        let mut weights: Vec<u64> = self.counts.values().map(Weight::weight).collect();
        let capacity = self.capacity;
        let (_, floor, _) = weights.select_nth_unstable_by(capacity, |a, b| b.cmp(a));
        let floor = *floor;
        self.counts.retain(|_, value| value.weight() > floor);
    }

    pub(super) fn add(&mut self, other: Self) {
        for (key, value) in other.counts {
            match self.counts.get_mut(&key) {
                Some(sum) => sum.join(value),
                None => drop(self.entry(&key, || value)),
            }
        }
    }

    /// The heaviest, in order.
    pub(super) fn heaviest(&self, count: usize) -> Vec<(&K, &V)> {
        let mut all: Vec<_> = self.counts.iter().collect();
        all.sort_by(|(k, v), (l, w)| w.weight().cmp(&v.weight()).then_with(|| k.cmp(l)));
        all.truncate(count);
        all
    }
}

/// What counts are compared by.
pub(super) trait Weight {
    fn weight(&self) -> u64;
    fn join(&mut self, other: Self);
}

/// The few largest of many.
#[derive(Clone, Debug)]
pub(super) struct Largest<T> {
    count: usize,
    /// Heaviest first.
    pub(super) all: Vec<(u64, T)>,
}

impl<T> Largest<T> {
    pub(super) fn new(count: usize) -> Self {
        Self { count, all: Vec::new() }
    }

    pub(super) fn offer(&mut self, weight: u64, value: impl FnOnce() -> T) {
        let full = self.all.len() >= self.count;
        if weight == 0 || (full && self.all.last().is_none_or(|(least, _)| *least >= weight)) {
            return;
        }
        let at = self.all.partition_point(|(other, _)| *other >= weight);
        self.all.insert(at, (weight, value()));
        self.all.truncate(self.count);
    }

    pub(super) fn add(&mut self, other: Self) {
        for (weight, value) in other.all {
            self.offer(weight, || value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weight for u64 {
        fn weight(&self) -> u64 {
            *self
        }
        fn join(&mut self, other: Self) {
            *self += other;
        }
    }

    #[test]
    fn the_frequent_stay() {
        let mut top = Top::<u32, u64>::new(10);
        for round in 0..1000_u32 {
            for hot in 0..5 {
                *top.entry(&hot, || 0) += 1;
            }
            *top.entry(&(1000 + round), || 0) += 1;
        }
        let heaviest: Vec<_> = top.heaviest(5).into_iter().map(|(k, v)| (*k, *v)).collect();
        assert_eq!(heaviest, [(0, 1000), (1, 1000), (2, 1000), (3, 1000), (4, 1000)]);
        let mut sum = Top::new(10);
        sum.add(top.clone());
        sum.add(top);
        assert_eq!(sum.heaviest(1), [(&0, &2000)]);
        let mut largest = Largest::new(2);
        for n in [3, 9, 1, 7] {
            largest.offer(n, || n);
        }
        assert_eq!(largest.all, [(9, 9), (7, 7)]);
    }
}
