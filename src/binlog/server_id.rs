//! Which server id a binlog client takes. Ids must differ among all replicas and clients of a server: the
//! server ends the older of two streams with the same one.

use sha2::{Digest, Sha256};

/// A server id in the upper half of the range, where people do not number servers, the same for the same
/// seed (the task's UID) and attempt. After [`BinlogError::ServerIdTaken`](super::BinlogError) the next
/// attempt gives another.
pub fn derive_server_id(seed: &str, attempt: u32) -> u32 {
    let digest = Sha256::new().chain_update(seed).chain_update(attempt.to_le_bytes()).finalize();
    let first = digest.first_chunk::<4>().copied().unwrap_or_default();
    (u32::from_le_bytes(first) | 0x8000_0000).min(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_high_stable_and_differ_by_attempt() {
        let ids: std::collections::BTreeSet<u32> = (0..1000).map(|n| derive_server_id("task", n)).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| *id >= 0x8000_0000));
        assert_eq!(derive_server_id("task", 0), derive_server_id("task", 0));
    }
}
