//! A Merkle tree over an append-only list, hashed as RFC 6962 says: leaves and nodes in domains of their own, so that
//! neither passes for the other.

use ring::digest::{Context, SHA256};

/// A hash of a leaf or of a tree.
pub type Hash = [u8; 32];

fn hashed(domain: u8, parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[domain]);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(slot, byte)| *slot = *byte);
    hash
}

/// The hash of a leaf's data.
pub fn leaf(data: &[&[u8]]) -> Hash {
    hashed(0, data)
}

fn node(left: &Hash, right: &Hash) -> Hash {
    hashed(1, &[left, right])
}

/// A tree that grows: of whole subtrees only the roots are kept, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// A tree of this size with these roots of whole subtrees; none where their number is not that of the size.
    pub fn of(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        let expected = usize::try_from(size.count_ones()).ok()?;
        (peaks.len() == expected).then_some(Self { size, peaks })
    }

    /// The roots of the whole subtrees, the largest first: all that is needed to go on.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends a leaf, by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // As many whole subtrees close as the size has ones at its end.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The hash of the whole tree.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => hashed_nothing(),
            Some(last) => peaks.fold(*last, |right, left| node(left, &right)),
        }
    }
}

/// The hash of a tree without leaves: that of nothing, in no domain.
fn hashed_nothing() -> Hash {
    let mut hash = [0; 32];
    let digest = Context::new(&SHA256).finish();
    hash.iter_mut().zip(digest.as_ref()).for_each(|(slot, byte)| *slot = *byte);
    hash
}

/// The hashes by which a leaf is shown to be in a tree, gathered while the leaves of that tree go by.
#[derive(Debug)]
pub struct Path {
    /// The subtrees beside the way from the leaf to the root, nearest first: where each begins and ends.
    beside: Vec<(u64, u64, Tree)>,
    next: u64,
}

impl Path {
    /// The way of the leaf at an index in a tree of this size; none for a leaf that is not there.
    pub fn new(index: u64, size: u64) -> Option<Self> {
        if index >= size {
            return None;
        }
        let (mut from, mut to, mut beside) = (0, size, Vec::new());
        while to - from > 1 {
            let middle = from + split(to - from);
            if index < middle {
                beside.push((middle, to, Tree::default()));
                to = middle;
            } else {
                beside.push((from, middle, Tree::default()));
                from = middle;
            }
        }
        beside.reverse();
        Some(Self { beside, next: 0 })
    }

    /// Takes the next leaf, by its hash.
    pub fn push(&mut self, leaf: Hash) {
        for (from, to, tree) in &mut self.beside {
            if (*from..*to).contains(&self.next) {
                tree.push(leaf);
            }
        }
        self.next += 1;
    }

    /// The hashes, nearest first, once all leaves have gone by.
    pub fn end(self) -> Vec<Hash> {
        self.beside.iter().map(|(_, _, tree)| tree.root()).collect()
    }
}

/// The root that a leaf at an index and its path make, in a tree of this size; none for a path of a wrong length. The size
/// must be known from elsewhere: trees of several sizes can have one path.
pub fn root_by_path(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    match path.split_last() {
        None if size == 1 => Some(leaf),
        None => None,
        Some(_) if size == 1 => None,
        Some((other, nearer)) => {
            let half = split(size);
            if index < half {
                Some(node(&root_by_path(leaf, index, half, nearer)?, other))
            } else {
                Some(node(other, &root_by_path(leaf, index - half, size - half, nearer)?))
            }
        }
    }
}

/// The largest power of two below a size of at least two.
fn split(size: u64) -> u64 {
    1 << size.saturating_sub(1).max(1).ilog2()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    /// The leaves and roots by which implementations of RFC 6962 are compared.
    const KNOWN: [(&[u8], &str); 8] = [
        (b"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (b"\x00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (b"\x10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (b"\x20\x21", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        (b"\x30\x31", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (b"\x40\x41\x42\x43", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        (
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        ),
        (
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ];

    #[test]
    fn roots_are_those_that_are_known() {
        let mut tree = Tree::default();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(iam::seal::hex(&tree.root()), empty);
        for (data, root) in KNOWN {
            tree.push(leaf(&[data]));
            assert_eq!(iam::seal::hex(&tree.root()), root, "of {} leaves", tree.size());
        }
    }

    #[test]
    fn a_size_without_sense_is_no_panic() {
        for size in [1 << 63, u64::MAX] {
            assert_eq!(root_by_path(leaf(&[b"a"]), 7, size, &[]), None);
            assert_eq!(root_by_path(leaf(&[b"a"]), size - 1, size, &[[0; 32]; 3]), None);
            assert!(Path::new(size - 1, size).is_some());
        }
    }

    #[test]
    fn a_path_leads_to_the_root_of_its_tree_and_of_no_other() {
        for whole in 1..40_u64 {
            let leaves: Vec<Hash> = (0..whole).map(|n| leaf(&[&n.to_be_bytes()])).collect();
            let mut tree = Tree::default();
            leaves.iter().for_each(|leaf| tree.push(*leaf));
            let root = tree.root();
            for (at, leaf) in (0_u64..).zip(&leaves) {
                let mut path = Path::new(at, whole).unwrap();
                leaves.iter().for_each(|leaf| path.push(*leaf));
                let path = path.end();
                assert_eq!(root_by_path(*leaf, at, whole, &path), Some(root));
                for wrong in 0..whole {
                    let other = root_by_path(*leaf, wrong, whole, &path);
                    assert!(wrong == at || other != Some(root), "{at} passes for {wrong}");
                }
                assert_ne!(root_by_path(super::leaf(&[b"other"]), at, whole, &path), Some(root));
                assert_eq!(root_by_path(*leaf, whole, whole, &path), None);
            }
            assert!(Path::new(whole, whole).is_none());
            // A tree goes on from its peaks as if it had seen all its leaves.
            let mut other = Tree::of(whole, tree.peaks().to_vec()).unwrap();
            assert_eq!(Tree::of(whole, vec![root; 65]), None);
            for tree in [&mut tree, &mut other] {
                tree.push(super::leaf(&[b"more"]));
            }
            assert_eq!(other, tree);
        }
    }
}
