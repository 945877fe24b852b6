//! Fingerprints are made of what a finding is about, not of where it stands, so that moving lines makes no
//! new alert.

use std::collections::BTreeMap;

/// Version 1 of how fingerprints are made; a change of it needs a new number.
pub(crate) const VERSION: &str = "portcullis/v1";

/// Makes fingerprints. The order distinguishes equal findings.
#[derive(Default)]
pub(crate) struct Fingerprints(BTreeMap<u64, u32>);

impl Fingerprints {
    /// Sixteen hexadecimal digits, and how many equal findings came before, from 1.
    pub(crate) fn of(&mut self, parts: &[&str]) -> String {
        let mut hash = Fnv::default();
        for part in parts {
            hash.write(part.as_bytes());
            // No text has this byte, so that no two lists of parts are the same bytes.
            hash.write(&[0xff]);
        }
        let times = self.0.entry(hash.0).or_insert(0);
        *times += 1;
        format!("{:016x}:{times}", hash.0)
    }
}

/// FNV-1a: fixed for all time, unlike the hash of the standard library.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_do_not_change_between_versions() {
        let mut fingerprints = Fingerprints::default();
        // The published value of FNV-1a for "a".
        let mut hash = Fnv::default();
        hash.write(b"a");
        assert_eq!(hash.0, 0xaf63_dc4c_8601_ec8c);
        let first = fingerprints.of(&["pod.yaml", "K", "c"]);
        let again = fingerprints.of(&["pod.yaml", "K", "c"]);
        assert_ne!(first, again, "the same finding twice in a file is two alerts");
        assert_ne!(fingerprints.of(&["ab", "c"]), fingerprints.of(&["a", "bc"]));
    }
}
