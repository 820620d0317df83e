//! Trees over literal texts: a walk down a name passes everything whose literal the name begins with.

use super::asked::{after, word};

/// Some trees in the same arrays.
#[derive(Debug, Default)]
pub(super) struct Trees {
    nodes: Vec<Node>,
    /// The labels from their ninth bytes on.
    labels: Vec<u8>,
    /// The first bytes of the labels of a node's ninth child and those after it, eight in a word.
    edges: Vec<u64>,
}

/// A place in a tree. Its label is what stands between its parent's text and its own.
///
/// The first eight bytes of the label, and the first bytes of the labels of up to eight children, stand here as
/// numbers, so that most steps of a walk need nothing else.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    label: u64,
    /// The first bytes of the first eight children's labels; zeros where there are fewer.
    edges: u64,
    label_length: u32,
    /// Where the rest of a label that is longer than eight bytes begins.
    label_rest: u32,
    /// Where the edges of the ninth child and those after it begin.
    edges_rest: u32,
    /// The items to be looked at here.
    items: (u32, u32),
    /// The children, side by side, sorted by their first bytes.
    children: (u32, u32),
}

/// Some texts of a sorted list that are to become a node, and how much of them is above it.
struct Task {
    node: usize,
    texts: core::ops::Range<usize>,
    depth: usize,
}

impl Trees {
    /// Adds a tree over sorted texts, of which there is at least one, and returns its root.
    ///
    /// The items are numbered as the texts are, from `base`.
    pub(super) fn add(&mut self, texts: &[&[u8]], base: usize) -> u32 {
        let root = self.nodes.len();
        self.nodes.push(Node::default());
        let mut tasks = vec![Task { node: root, texts: 0..texts.len(), depth: 0 }];
        while let Some(task) = tasks.pop() {
            self.node(task, texts, base, &mut tasks);
        }
        number(root)
    }

    fn node(&mut self, task: Task, all: &[&[u8]], base: usize, tasks: &mut Vec<Task>) {
        let texts = all.get(task.texts.clone()).unwrap_or_default();
        let (Some(first), Some(last)) = (texts.first(), texts.last()) else { return };
        // In a sorted list what the first and the last share, all share.
        let common = first.iter().zip(*last).take_while(|(a, b)| a == b).count();
        let label = first.get(task.depth..common).unwrap_or_default();
        let (head, rest) = label.split_at_checked(8).unwrap_or((label, &[]));
        let label_rest = number(self.labels.len());
        self.labels.extend_from_slice(rest);
        let own = texts.iter().take_while(|text| text.len() == common).count();
        let children_at = self.nodes.len();
        let mut edges = Vec::new();
        let mut from = own;
        while let Some(edge) = texts.get(from).and_then(|text| text.get(common)) {
            let rest = texts.get(from..).unwrap_or_default();
            let count = rest.iter().take_while(|text| text.get(common) == Some(edge)).count();
            let start = task.texts.start + from;
            tasks.push(Task { node: self.nodes.len(), texts: start..start + count, depth: common });
            self.nodes.push(Node::default());
            edges.push(*edge);
            from += count;
        }
        let edges_rest = number(self.edges.len());
        self.edges.extend(edges.chunks(8).skip(1).map(word));
        let children = (number(children_at), number(self.nodes.len()));
        let start = base + task.texts.start;
        if let Some(node) = self.nodes.get_mut(task.node) {
            *node = Node {
                label: word(head),
                edges: word(&edges),
                label_length: number(label.len()),
                label_rest,
                edges_rest,
                items: (number(start), number(start + own)),
                children,
            };
        }
    }

    /// Walks down a name, and shows the items of every node on the way, until `seen` says enough.
    #[inline]
    pub(super) fn walk(
        &self,
        root: u32,
        name: &[u8],
        seen: &mut impl FnMut(core::ops::Range<usize>) -> bool,
    ) {
        let mut number = root as usize;
        let mut rest = name;
        loop {
            let Some(node) = self.nodes.get(number) else { return };
            let Some(left) = self.behind_label(node, rest) else { return };
            if node.items.0 < node.items.1 && seen(node.items.0 as usize..node.items.1 as usize) {
                return;
            }
            let Some(next) = left.first() else { return };
            let Some(child) = self.child(node, *next) else { return };
            number = child;
            rest = left;
        }
    }

    /// What follows a node's label in a name; `None` if the name goes on otherwise.
    #[inline]
    fn behind_label<'n>(&self, node: &Node, name: &'n [u8]) -> Option<&'n [u8]> {
        let length = node.label_length as usize;
        let Some(first) = name.first_chunk::<8>() else {
            // Near the end of the name: byte by byte, and no longer label can fit.
            let label = node.label.to_le_bytes();
            return after::<false>(name, label.get(..length)?);
        };
        let first = u64::from_le_bytes(*first);
        if length <= 8 {
            let mask = u64::MAX.checked_shr(64 - 8 * node.label_length).unwrap_or(0);
            return if first & mask == node.label { name.get(length..) } else { None };
        }
        if first != node.label {
            return None;
        }
        let from = node.label_rest as usize;
        after::<false>(name.get(8..)?, self.labels.get(from..from + length - 8)?)
    }

    /// The child whose label begins with a byte.
    #[inline]
    fn child(&self, node: &Node, first: u8) -> Option<usize> {
        let from = node.children.0 as usize;
        let count = node.children.1 as usize - from;
        // No label begins with the zero bytes behind the last edge but where it is beyond the count.
        let found = |place: usize| (place < count).then_some(from + place);
        if let Some(place) = byte_place(node.edges, first) {
            return found(place);
        }
        let more = self.edges.get(node.edges_rest as usize..)?;
        let words = more.iter().take(count.saturating_sub(1) / 8).enumerate();
        words
            .filter_map(|(word, edges)| Some(8 * (word + 1) + byte_place(*edges, first)?))
            .find_map(found)
    }

    /// Gives back the memory that only building needed.
    pub(super) fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.labels.shrink_to_fit();
        self.edges.shrink_to_fit();
    }
}

fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Where in a word the first byte of a value stands, from its lowest byte.
#[inline]
fn byte_place(word: u64, byte: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let differences = word ^ (ONES * u64::from(byte));
    // The lowest byte without a difference is marked; marks above it may be wrong and are not looked at.
    let marks = differences.wrapping_sub(ONES) & !differences & HIGH;
    (marks != 0).then(|| marks.trailing_zeros() as usize / 8)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests may fail loudly")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_walk_passes_exactly_the_texts_the_name_begins_with(
            texts in prop::collection::btree_set("[ab]{0,3}[a-z:\u{0}]{0,12}", 1..60),
            extra in "[a-z:]{0,9}",
            pick in any::<prop::sample::Index>(),
        ) {
            let texts: Vec<String> = texts.into_iter().collect();
            let slices: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            let mut trees = Trees::default();
            trees.add(&[b"other"], 0);
            let root = trees.add(&slices, 100);
            let name = format!("{}{extra}", texts[pick.index(texts.len())]);
            let mut seen = Vec::new();
            trees.walk(root, name.as_bytes(), &mut |items| { seen.extend(items); false });
            let expected: Vec<usize> =
                (0..texts.len()).filter(|n| name.starts_with(&texts[*n])).map(|n| n + 100).collect();
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn a_node_may_have_any_number_of_children(count in 0usize..200, asked in 0u8..255) {
            let texts: Vec<[u8; 1]> = (1..=u8::try_from(count).unwrap_or(255)).map(|b| [b]).collect();
            let mut slices: Vec<&[u8]> = vec![b""];
            slices.extend(texts.iter().map(|text| text.as_slice()));
            let mut trees = Trees::default();
            let root = trees.add(&slices, 0);
            let mut seen = Vec::new();
            trees.walk(root, &[asked, b'x'], &mut |items| { seen.extend(items); false });
            let own = usize::from(asked);
            let expected = if (1..=count).contains(&own) { vec![0, own] } else { vec![0] };
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn bytes_are_found_where_they_first_stand(bytes in any::<[u8; 8]>(), byte in any::<u8>()) {
            let expected = bytes.iter().position(|b| *b == byte);
            prop_assert_eq!(byte_place(u64::from_le_bytes(bytes), byte), expected);
        }
    }
}
