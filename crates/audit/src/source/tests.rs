//! Where pieces end, whatever the pieces are that the bytes come in.

use std::io::{self, BufRead, Read, Write as _};

use proptest::prelude::*;

use super::*;

/// Gives its bytes in portions, however small.
struct Portions<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl Read for Portions<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.size.min(self.bytes.len()).min(buffer.len());
        buffer[..length].copy_from_slice(&self.bytes[..length]);
        self.bytes = &self.bytes[length..];
        Ok(length)
    }
}

impl BufRead for Portions<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.bytes[..self.size.min(self.bytes.len())])
    }
    fn consume(&mut self, amount: usize) {
        self.bytes = &self.bytes[amount..];
    }
}

fn split(text: &[u8], size: usize, most: usize) -> Vec<Piece> {
    split_named("dump", text, size, most)
}

fn split_named(name: &str, bytes: &[u8], size: usize, most: usize) -> Vec<Piece> {
    let mut splitter = Splitter::with_small(Portions { bytes, size }, name, most, 0);
    std::iter::from_fn(|| splitter.next_piece().expect("memory does not fail")).collect()
}

/// The pieces as `line:column text`, the same for every size of portions.
#[track_caller]
fn pieces(text: &str) -> Vec<String> {
    pieces_of("dump", text)
}

#[track_caller]
fn pieces_of(name: &str, text: &str) -> Vec<String> {
    let shown = |piece: Piece| match piece {
        Piece::Text(Text { bytes, start: Start { line, column }, role, .. }) => {
            let role = match role {
                Role::Item(_, Some(identity)) => format!(" <{} {}>", identity.0, identity.1),
                Role::Frame(_, Frame { behind, .. }) => format!(" frame->{}:{}", behind.line, behind.column),
                Role::Source | Role::Document(_) | Role::Item(_, None) => String::new(),
            };
            let shown = String::from_utf8(bytes).expect("text");
            format!("{line}:{column}{role} {}", shown.trim_end())
        }
        Piece::Bad(Bad { start: Start { line, column }, kind }) => format!("{line}:{column} {kind:?}"),
    };
    let whole: Vec<_> = split_named(name, text.as_bytes(), usize::MAX, 1000).into_iter().map(shown).collect();
    for size in [1, 2, 3, 7] {
        let portions: Vec<_> =
            split_named(name, text.as_bytes(), size, 1000).into_iter().map(shown).collect();
        assert_eq!(whole, portions, "in portions of {size}");
    }
    whole
}

#[test]
fn json_lists_come_item_by_item() {
    let text = "{\n  \"apiVersion\": \"v1\",\n  \"items\": [\n    {\"a\": \"]}\\\"\"},\n    {\"é\": [{}]}, {\"b\": 1}\n  ],\n  \"kind\": \"List\"\n}\n";
    assert_eq!(
        pieces(text),
        [
            r#"4:5 {"a": "]}\""}"#,
            r#"5:5 {"é": [{}]}"#,
            r#"5:18 {"b": 1}"#,
            "1:1 frame->6:3 {\n  \"apiVersion\": \"v1\",\n  \"items\": [{}],\n  \"kind\": \"List\"\n}"
        ]
    );
    let typed = r#"{"kind":"PodList","apiVersion":"v1","metadata":{"items":[1]},"items":[{"a":1},{"b":2}]}"#;
    let frame =
        r#"1:1 frame->1:86 {"kind":"PodList","apiVersion":"v1","metadata":{"items":[1]},"items":[{}]}"#;
    assert_eq!(pieces(typed), [r#"1:71 <v1 Pod> {"a":1}"#, r#"1:79 <v1 Pod> {"b":2}"#, frame]);
    // Its items are its own: no list.
    let other = r#"{"kind":"Menu","items":[{"a":1}]}"#;
    assert_eq!(pieces(other), [format!("1:1 {other}")]);
    let late = r#"{"items":[{"a":1}, 2],"kind":"Menu"}"#;
    assert_eq!(
        pieces(late),
        [r#"1:11 {"a":1}"#, "1:20 2", r#"1:1 frame->1:21 {"items":[{}],"kind":"Menu"}"#]
    );
}

#[test]
fn between_the_items_of_a_json_list_is_one_comma() {
    let list = |items: &str| {
        let found = pieces(&format!(r#"{{"items":[{items}]}}"#));
        found.into_iter().filter(|piece| !piece.contains("frame")).collect::<Vec<_>>()
    };
    assert_eq!(list("{} ,\n{}"), ["1:11 {}", "2:1 {}"]);
    assert_eq!(list("{} {}"), ["1:11 {}", "1:14 Between", "1:14 {}"]);
    assert_eq!(list("{},,{}"), ["1:11 {}", "1:14 Between", "1:15 {}"]);
    assert_eq!(list(",{}"), ["1:11 Between", "1:12 {}"]);
    assert_eq!(list("{},"), ["1:11 {}", "1:14 Between"]);
    assert_eq!(list("{}x,{}"), ["1:11 {}", "1:13 Between", "1:13 x", "1:15 {}"]);
    assert_eq!(list("1 2,{}"), ["1:11 1 2", "1:15 {}"]);
    assert_eq!(list(""), [""; 0]);
}

#[test]
fn items_that_come_twice_are_both_there_and_reported() {
    assert_eq!(
        pieces(r#"{"kind":"List","items":[{"a":1}],"items":[{"b":2}]}"#),
        [
            r#"1:25 {"a":1}"#,
            "1:42 Twice",
            r#"1:43 {"b":2}"#,
            r#"1:1 frame->1:32 {"kind":"List","items":[{}],"items":[{}]}"#
        ]
    );
    // In another spelling they are for the core to see.
    assert_eq!(
        pieces(r#"{"items":[{"a":1}],"\u0069tems":[{"b":2}]}"#)[1],
        r#"1:1 frame->1:18 {"items":[{}],"\u0069tems":[{"b":2}]}"#
    );
}

#[test]
fn json_lines_are_split_and_broken_ones_swallow_nothing() {
    let text = "{\"a\":1}\n{\"b\":\n{\"c\":[1,\n{\"d\":\"x\n{\"e\":5}}\nnonsense\n{\"f\":6}\n";
    assert_eq!(
        pieces(text),
        [
            "1:1 {\"a\":1}",
            "2:1 {\"b\":",
            "3:1 {\"c\":[1,",
            "4:1 {\"d\":\"x",
            "5:1 {\"e\":5}",
            "5:8 }",
            "6:1 nonsense",
            "7:1 {\"f\":6}"
        ]
    );
    // The first line may be the broken one.
    assert_eq!(pieces("{\"b\":\n{\"c\":1}\n{\"d\":2}\n"), ["1:1 {\"b\":", "2:1 {\"c\":1}", "3:1 {\"d\":2}"]);
    // Objects at the margin are fine between the items of a list.
    let found = pieces("{\"items\":[\n{\"a\":1},\n{\"b\":2}\n],\"kind\":\"List\"}");
    assert_eq!(found[..2], ["2:1 {\"a\":1}", "3:1 {\"b\":2}"]);
    // Nothing between two values is left out.
    assert_eq!(pieces("{} - {}\n"), ["1:1 {}", "1:4 - {}"]);
    for name in ["dump", "dump.JSON"] {
        assert_eq!(pieces_of(name, "{}\n--\n{}\n"), ["1:1 {}", "2:1 --\n{}"]);
        assert_eq!(pieces_of(name, "{}\n-"), ["1:1 {}", "2:1 -"]);
        assert_eq!(pieces_of(name, "{}\u{c}{}"), ["1:1 {}", "1:3 \u{c}{}"]);
    }
    assert_eq!(pieces("{}\n---{}\n"), ["1:1 {}", "2:1 Glued"]);
    assert_eq!(pieces_of("dump.json", "{}\n---{}\n"), ["1:1 {}", "2:1 ---{}"]);
    assert_eq!(pieces_of("dump.json", "{}\n---\n{}\n---"), ["1:1 {}", "3:1 {}"]);
    assert_eq!(pieces_of("dump.json", "{}\n---\na: b\n---\n{}"), ["1:1 {}", "3:1 a: b", "5:1 {}"]);
}

#[test]
fn lists_that_stop_say_so() {
    assert_eq!(
        pieces("{\"kind\":\"List\",\"items\":[{\"a\":1},{\"b\":"),
        ["1:25 {\"a\":1}", "1:33 {\"b\":", "1:1 ListBreaks"]
    );
    assert_eq!(pieces("{\"items\":[{\"a\":1}],\"b\":"), ["1:11 {\"a\":1}", "1:1 ListBreaks"]);
}

#[test]
fn yaml_streams_are_split_at_markers() {
    let text = "# nothing\n---\na: 1\nb: |\n  ---\n  x\n---   # next\nc: 2\n...\n---\n---\nd: 3";
    assert_eq!(pieces(text), ["3:1 a: 1\nb: |\n  ---\n  x", "8:1 c: 2\n...", "11:1 ---\nd: 3"]);
    assert_eq!(pieces("\u{feff}a: 1\r\n---\r\nb: 2\r\n"), ["1:1 a: 1", "3:1 b: 2"]);
    assert!(pieces("\n  \n# comment\n---\n").is_empty());
    // For YAML a comment ends there.
    assert_eq!(pieces("# comment\ra: 1"), ["1:1 # comment\ra: 1"]);
    assert_eq!(pieces("# comment\u{85}a: 1"), ["1:1 # comment\u{85}a: 1"]);
    assert_eq!(
        pieces("a: 1\n---# c\nb: 2\n---c: 3\nd: 4\n---\ne: 5"),
        ["1:1 a: 1", "3:1 b: 2", "4:1 Glued", "7:1 e: 5"]
    );
}

#[test]
fn yaml_lists_come_item_by_item() {
    let text = "apiVersion: v1\nitems:\n# the first\n- a: |\n    - not an item\n  b: 1\n\n- c: 2\n-\n  d: 3\nkind: List\nmetadata:\n  x: y\n---\ne: 1\n";
    assert_eq!(
        pieces(text),
        [
            "4:1   a: |\n    - not an item\n  b: 1",
            "8:1   c: 2",
            "9:1  \n  d: 3",
            "1:1 frame->10:1 apiVersion: v1\nitems:\n# the first\n- {}\nkind: List\nmetadata:\n  x: y",
            "15:1 e: 1"
        ]
    );
    let indented = "kind: PodList\napiVersion: v1\nitems:   # all\n  - a: 1\n    b:\n    - c\n  - d: 2\n";
    assert_eq!(
        pieces(indented),
        [
            "4:1 <v1 Pod>     a: 1\n    b:\n    - c",
            "7:1 <v1 Pod>     d: 2",
            "1:1 frame->4:1 kind: PodList\napiVersion: v1\nitems:   # all\n  - {}"
        ]
    );
    let other = "kind: Menu\nitems:\n- a\n";
    assert_eq!(pieces(other), [format!("1:1 {}", other.trim_end())]);
    assert_eq!(pieces("items:\n  a: 1\nkind: List\n"), ["1:1 items:\n  a: 1\nkind: List"]);
    assert_eq!(pieces("items:\n- a: 1\u{2028}- b: 2\n")[1], "1:1 OddLines");
}

#[test]
fn what_follows_json_behind_a_separator_is_yaml() {
    assert_eq!(
        pieces("{\"a\": 1}\n---\nb: 2\n---\n{\"c\": 3}\n"),
        ["1:1 {\"a\": 1}", "2:1 ---\nb: 2", "5:1 {\"c\": 3}"]
    );
}

#[test]
fn what_is_too_large_is_named_and_passed_over() {
    let long = "x".repeat(2000);
    let json = format!("{{\"a\":1}}\n{{\"b\":\"{long}\"}}\n{{\"c\":3}}\n");
    assert_eq!(pieces(&json), ["1:1 {\"a\":1}", "2:1 TooLarge(2008)", "3:1 {\"c\":3}"]);
    let yaml = format!("a: 1\n---\nb: {long}\n---\nc: 3\n");
    assert_eq!(pieces(&yaml), ["1:1 a: 1", "3:1 TooLarge(2004)", "5:1 c: 3"]);
    let list = format!("{{\"kind\":\"List\",\"items\":[{{\"b\":\"{long}\"}},{{\"c\":3}}]}}");
    assert_eq!(pieces(&list)[..2], ["1:25 TooLarge(2008)", "1:2034 {\"c\":3}"]);
    let around = format!("{{\"kind\":\"List\",\"items\":[{{\"c\":3}}],\"b\":\"{long}\"}}");
    assert_eq!(pieces(&around), ["1:25 {\"c\":3}", "1:1 FrameTooLarge(2035)"]);
}

fn packed_file(bytes: &[u8]) -> Source {
    let mut stream = io::Cursor::new(bytes.to_vec());
    Source::spool("packed", &mut stream, None).expect("a temporary file")
}

const WINDOW: u64 = 8 << 20;

#[test]
fn packed_sources_are_told_by_their_first_bytes() {
    let text = "a: 1\n".repeat(100_000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let zstd = zstd::encode_all(text.as_bytes(), 1).expect("memory");
    // Several members or frames are one text; a frame may be of no concern.
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    for (packed, times) in [
        (text.clone().into_bytes(), 1),
        (gzip.clone(), 1),
        ([&gzip[..], &gzip[..]].concat(), 2),
        (zstd.clone(), 1),
        ([&zstd[..], &skipped, &zstd[..]].concat(), 2),
    ] {
        let source = packed_file(&packed);
        // As often as one likes.
        for _ in 0..2 {
            let mut found = String::new();
            source.open(WINDOW).expect("opens").read_to_string(&mut found).expect("unpacks");
            assert!(found == text.repeat(times), "{} bytes instead of {}", found.len(), text.len() * times);
        }
    }
    for cut in [&gzip[..gzip.len() / 2], &zstd[..zstd.len() / 2]] {
        let mut found = Vec::new();
        assert!(packed_file(cut).open(WINDOW).expect("opens").read_to_end(&mut found).is_err());
    }
    // Behind the end there is nothing.
    for packed in [[&gzip[..], b"evil"].concat(), [&zstd[..], b"evil"].concat()] {
        let mut found = Vec::new();
        assert!(packed_file(&packed).open(WINDOW).expect("opens").read_to_end(&mut found).is_err());
    }
}

#[test]
fn windows_of_zstandard_are_refused_before_anything_is_allocated_for_them() {
    // Frames as `audit-zstd-window` makes them: a window, then blocks of one byte that is repeated.
    let frame = |exponent: u8, blocks: u32| {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3];
        for block in 0..blocks {
            let head = u32::from(block + 1 == blocks) | 1 << 1 | (128 << 10) << 3;
            frame.extend(&head.to_le_bytes()[..3]);
            frame.push(b'[');
        }
        frame
    };
    let read = |frame: &[u8]| {
        let mut found = Vec::new();
        packed_file(frame).open(WINDOW).expect("opens").read_to_end(&mut found).map(|_| found.len())
    };
    assert_eq!(read(&frame(13, 9)).expect("eight mebibytes fit"), 9 * (128 << 10));
    for exponent in 14..32 {
        let error = read(&frame(exponent, 9)).expect_err("it does not fit").to_string();
        assert!(error.contains("window of more than the 8 MiB"), "{exponent}: {error}");
    }
}

proptest! {
    /// Whatever the bytes are, every portion size gives the same pieces, and none is larger than allowed.
    #[test]
    fn portions_do_not_matter(text in "[a-z{}\\[\\]:,\"\\\\ \n#é-]{0,80}|(- |items:\n|---\n|kind: List\n|\\{\"items\":\\[|\\{\\}|\\]\\}|\n| |a: b\n){0,30}", most in 1..40usize) {
        let whole = split(text.as_bytes(), usize::MAX, most);
        for size in [1, 5] {
            prop_assert_eq!(&whole, &split(text.as_bytes(), size, most));
        }
        for piece in whole {
            if let Piece::Text(text) = piece {
                prop_assert!(text.bytes.len() <= most);
            }
        }
    }
}

/// A byte that no character begins with is none, but stands in its line all the same.
#[test]
fn portions_do_not_matter_to_what_is_no_text() {
    let bytes = b"{\"a\": [\n\xb1{\xb1";
    let whole = split(bytes, usize::MAX, 1000);
    for size in 1..8 {
        assert_eq!(whole, split(bytes, size, 1000), "in portions of {size}");
    }
}

/// Of a long line only the beginning is looked at, which is equally long in any portions.
#[test]
fn portions_do_not_matter_to_long_lines() {
    let (kind, dash) = (format!("kind: {}List", "x".repeat(400)), format!("{}- a: 1", " ".repeat(400)));
    let (blank, behind) = (format!("items:{}x", " ".repeat(400)), format!("---{}# c", " ".repeat(400)));
    for text in [
        format!("{kind}\nitems:\n- a: 1\n- b: 2\n"),
        format!("{kind} a\nitems:\n- a: 1\n- b: 2\n"),
        format!("kind: List\nitems:\n{dash}\n{dash}\n"),
        format!("kind: List\n{blank}\n- a: 1\n"),
        format!("a: 1\n{behind}\nb: 2\n"),
        format!("a: 1\n---{}\nb: 2\n", " ".repeat(70_000)),
        format!("a: 1\n---{}b: 2\n", " ".repeat(70_000)),
    ] {
        let whole = split(text.as_bytes(), usize::MAX, 100_000);
        for size in [1, 3, 64, 300] {
            assert!(whole == split(text.as_bytes(), size, 100_000), "{text:.60} in portions of {size}");
        }
    }
}

#[test]
fn nesting_takes_next_to_no_memory() {
    const LEVELS: usize = 1 << 20;
    // All that is known of levels is in the value itself, and what is collected is thrown away when it is too much.
    assert!(size_of::<json::Json>() < 1 << 10);
    for open in ["[", "{\"a\":"] {
        let pieces = split(open.repeat(LEVELS).as_bytes(), 4096, 64 << 10);
        let is_reported =
            matches!(pieces.as_slice(), [Piece::Bad(Bad { kind: BadKind::TooLarge(_), .. }), ..]);
        assert!(is_reported, "{open}");
    }
}
