//! One audit done by several programs: each judges its shard of the objects and writes a part; the parts together are the audit.
//!
//! ```text
//! every shard: all of the input ── first pass ──> Inventory ── second pass, its objects only ──> Part (a file)
//! merge:       parts ── each whole, all of one audit, none missing ──> in the order of one audit ──> Collected ──> sinks
//! ```
//!
//! What all shards see alike, such as a document that cannot be read, all of them write down; it counts once.

pub mod identity;
mod part;
mod read;

use std::fmt;
use std::str::FromStr;

use portcullis_report::ObjectName;

pub use part::{End, FORMAT, Header, Part, VERSION, hex};
pub use read::Whole;

/// Which of an audit's objects are judged: those of shard `index`, from 0, of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl Shard {
    /// Most shards of an audit: all their parts are open when they are put together.
    pub const MOST: u32 = 512;

    /// One of some, if there is such a one.
    pub const fn new(index: u32, of: u32) -> Option<Self> {
        if index < of && of <= Self::MOST { Some(Self { index, of }) } else { None }
    }

    /// Which one, from 0.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Of how many.
    pub const fn of(self) -> u32 {
        self.of
    }

    /// Whether an object is of this shard. That follows from its group, kind, namespace and name: not from its version, nor from its place
    /// among others, so that an object is judged by one shard however it is listed. Cost: a look at each byte of the name.
    pub fn judges(self, name: &ObjectName) -> bool {
        // FNV-1a, whose bits are then mixed as MurmurHash3 does at its end. Parts of all versions rest on it.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for part in [&name.group, &name.kind, &name.namespace, &name.name] {
            for byte in part.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^= hash >> 33;
        (u128::from(hash) * u128::from(self.of)) >> 64 == u128::from(self.index)
    }
}

/// `3/8`.
impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits)
        };
        let shard = text.split_once('/').and_then(|(index, of)| Self::new(number(index)?, number(of)?));
        shard.ok_or_else(|| {
            format!(
                "expected `I/N`, such as `0/8` to `7/8`, with at most {} shards; found `{text}`",
                Self::MOST
            )
        })
    }
}

/// `shard 3 of 8`, in which 0 is the first.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics when it fails")]

    use super::*;

    fn name(group: &str, kind: &str, namespace: &str, name: &str) -> ObjectName {
        ObjectName {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    #[test]
    fn each_object_is_of_one_shard_and_shards_are_about_equal() {
        for of in [1, 2, 3, 8, 100, Shard::MOST] {
            let mut sizes = vec![0_u32; of as usize];
            for number in 0..of * 1000 {
                let name =
                    name("apps", "Deployment", &format!("ns-{}", number % 7), &format!("web-{number}"));
                let owners: Vec<u32> =
                    (0..of).filter(|index| Shard::new(*index, of).unwrap().judges(&name)).collect();
                assert_eq!(owners.len(), 1);
                sizes[owners[0] as usize] += 1;
                if of > 8 && number > 2000 {
                    break;
                }
            }
            if of <= 8 {
                assert!(sizes.iter().all(|size| (900..1100).contains(size)), "{of}: {sizes:?}");
            }
        }
    }

    /// Parts of two versions of the program could not be of one audit if this changed; and who wrote down which shard has an object
    /// would be wrong.
    #[test]
    fn the_shard_of_an_object_never_changes() {
        let of =
            |name: &ObjectName| (0..8).find(|index| Shard::new(*index, 8).unwrap().judges(name)).unwrap();
        let found = [
            of(&name("", "Pod", "default", "web")),
            of(&name("", "Pod", "shop", "web")),
            of(&name("apps", "Deployment", "default", "web")),
            of(&name("", "Namespace", "", "default")),
            of(&name("", "Po", "ddefault", "web")),
        ];
        assert_eq!(found, [7, 0, 5, 6, 7]);
        let other = ObjectName { version: "v2".into(), ..name("", "Pod", "shop", "web") };
        assert_eq!(of(&other), found[1]);
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for good in ["0/1", "7/8", "511/512"] {
            assert!(good.parse::<Shard>().is_ok(), "{good}");
        }
        for bad in
            ["", "1", "/", "8/8", "0/0", "-1/2", "+1/2", "0/513", "1/2/3", " 0/1", "0x1/2", "99999999999/2"]
        {
            assert!(bad.parse::<Shard>().unwrap_err().contains("expected `I/N`"), "{bad}");
        }
    }
}
