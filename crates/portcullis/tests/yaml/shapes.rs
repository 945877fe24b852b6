//! Texts that are YAML, or nearly: trees, written in as many ways as there are. Most of them can be read, so
//! that it shows what was read.

use super::generate::Random;

const WORDS: &[&str] = &[
    "a", "b", "c", "name", "y", "n", "Yes", "NO", "on", "Off", "true", "FALSE", "tRUE", "~", "null", "NULL",
    "Null", "nULL", "none", ".inf", "-.INF", "+.Inf", ".nan", ".NaN", "=", "<<", "2001-01-01",
    "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43", "12:30", "190:20:30", "-1:30", "1:2", "a b", "a:b",
    "a::b", "a#b", "a,b", "a]b", "x'y", "x\"y", "-a", "--a", ":a", "?a", "a?", "a-", "é", "日本 語", "😀", "a\\b",
    "a\tb", "a%b", "a@b", "a!b", "a&b", "a*b", "a|b", "$a", "(a)", "/a/b", "~a", "<a>",
    "http://x.y:80/z?q=1#f", "1.2.3", "1-2", "0o17", "0o8", "v1", "1a", "a1", "\u{a0}a", "a\u{3000}b",
    "{{ x }}", "infinity", "NaN", "0x1p3", "1e", "e1", "._", "_", "-_1", "+", "-", ".", "..", "a---", "---a",
    "\u{fffd}",
];
const HARD: &[&str] = &[
    "@a", "`a", "%a", "- a", "? a", ": a", "a: b", "a :", "a #", "!", "&", "*", "|", ">", "[", "]", "{", "}",
    ",", "\t", "\u{feff}a", "a\u{7}", "a\u{7f}", "a\u{80}", "a\u{9f}", "\u{fffe}", "\u{ffff}", "a\u{1}",
    "a\u{10ffff}", "'", "\"", "#", "#a", "...", "---",
];
const TAGS: &[&str] = &[
    "!!str", "!!int", "!!float", "!!bool", "!!null", "!!binary", "!!timestamp", "!!merge", "!!map", "!!seq",
    "!!set", "!!omap", "!!python/none", "!local", "!", "!<tag:yaml.org,2002:str>", "!<tag:yaml.org,2002:int>",
    "!<!x>", "!e!x", "!a%41", "!!st%72", "!<tag:yaml.org,2002:float>", "!!x,y", "!x]",
];
const ESCAPES: &[&str] = &[
    "\\n", "\\t", "\\\"", "\\\\", "\\0", "\\a", "\\b", "\\e", "\\f", "\\v", "\\r", "\\x41", "\\xe9", "\\u00e9", "\\u2028",
    "\\U0001F600", "\\N", "\\_", "\\L", "\\P", "\\ ", "\\'", "\\\t", "\\x7f", "\\ufeff", "\\u0000", "\\ufffe",
];
/// Longer than the pieces that a reader may look at.
const LONG: &str = "0123456789012345678901234567890123456789012345678901234567890123456789é012345678901234567890123456789";
const BAD_ESCAPES: &[&str] = &["\\ud83d", "\\ud83d\\ude00", "\\U00110000", "\\/", "\\q", "\\u12", "\\x", "\\U1234567"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    List,
    Mapping,
}

struct Writer<'r> {
    random: &'r mut Random,
    out: String,
    /// What ends most lines.
    line_end: &'static str,
    /// Of so many things one is odd.
    oddity: usize,
    anchors: Vec<(String, Kind)>,
}

/// One document.
pub fn document(random: &mut Random) -> String {
    let mut writer = Writer::new(random);
    writer.document();
    let text = writer.out;
    mutated(random, text)
}

/// Documents as clients take them: each an object of a kind that is in no cluster.
pub fn manifests(random: &mut Random) -> String {
    const BETWEEN: &[&str] = &[
        "---\n", "---\n", "---\n", "---\n", "---\r\n", "--- \n", "---\t# c\n", "--- # a: b\n", "---# c\n", "---#\n", "---\n---\n",
        "---\n# c\n---\n", "\n---\n\n", "...\n---\n", "# c\n---\n", "---\u{a0}\n", "---\u{85}\n", "---\r# c\n", "\u{2028}---\n",
        "---\u{2028}# c\n", "\r---\n", "---\n\n---\n", "--- # {{ x }}\n",
    ];
    const ODD: &[&str] = &[
        "---\n\u{feff}", "--- a\n", "---a: b\n", "----\n", "--- {}\n", " ---\n", "...\n", "\u{feff}---\n", "--- !x\n", "--- &a\n", "--- |\n",
        "---\n%YAML 1.1\n---\n", "---\n%TAG !e! x\n---\n", "---\u{2028}---\n", "---\n...\n---\n", "---\n...\n", "...---\n", "",
    ];
    let between = |random: &mut Random| if random.one_in(12) { random.of(ODD) } else { random.of(BETWEEN) };
    let mut out = String::new();
    if random.one_in(3) {
        out.push_str(between(random));
    }
    for _ in 0..=random.below(3) {
        if random.one_in(6) {
            json_object(random, &mut out);
        } else {
            let mut writer = Writer::new(random);
            writer.manifest();
            let text = writer.out;
            out.push_str(&mutated(random, text));
        }
        out.push_str(between(random));
    }
    out
}

/// Sometimes a piece is lost, doubled or put in.
fn mutated(random: &mut Random, mut text: String) -> String {
    if !random.one_in(5) {
        return text;
    }
    let mut place = |text: &str| text.floor_char_boundary(random.below(text.len() + 1));
    let (at, other) = (place(&text), place(&text));
    let (from, to) = (at.min(other), at.max(other));
    match random.below(6) {
        0 => text.insert_str(at, random.of(HARD)),
        1 => text.insert_str(
            at,
            random.of(&[
                " ", "\t", "\n", "\r", "\u{85}", "\u{2028}", "\u{feff}", "#", " #", ":", ",", "  \n", "- ",
            ]),
        ),
        2 if at < text.len() => {
            text.remove(at);
        }
        3 => text.truncate(at),
        4 => {
            let piece =
                text.get(from..to.min(text.floor_char_boundary(from + 6))).unwrap_or_default().to_owned();
            text.insert_str(to, &piece);
        }
        _ => text.replace_range(from..to.min(text.floor_char_boundary(from + 6)), ""),
    }
    text
}

/// A JSON object, now and then one that JSON does not have.
fn json_object(random: &mut Random, out: &mut String) {
    let odd = random.one_in(4);
    out.push_str(if odd { random.of(&["", " ", "\n", "\t", "\u{85}", "\u{feff}"]) } else { "" });
    out.push_str("{\"apiVersion\": \"x.y/v1\", \"kind\": \"K\", \"metadata\": {\"name\": \"j\"}");
    for _ in 0..random.below(4) {
        out.push_str(random.of(&[", ", ",", ",\n", " ,\t", ",\r\n", if odd { ", # c\n" } else { "," }]));
        out.push_str(random.of(&["\"a\"", "\"a\"", "\"b\"", "\"\\u0061\"", "\"A\"", "\"1\"", "\"<<\"", "\"\"", if odd { "a" } else { "\"c\"" }]));
        out.push_str(random.of(&[":", ": ", " : ", ":\n"]));
        json_value(random, out, 0, odd);
    }
    out.push_str(if odd { random.of(&["}", "\n}", ",}", "", "}}"]) } else { "}" });
    let behind: &[&str] = if odd { &["", " ", " # c\n", ";\n", "\u{2028}", "\u{a0}\n"] } else { &["\n", "\n", "", "\r\n", "\n\n"] };
    out.push_str(random.of(behind));
}

fn json_value(random: &mut Random, out: &mut String, depth: usize, odd: bool) {
    const VALUES: &[&str] = &[
        "1", "-0", "1.0", "1e3", "0.1", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "9007199254740993",
        "123456789012345678901234567890", "true", "false", "null", "\"1\"", "-1.5e-7",
    ];
    const ODD: &[&str] = &["01", "+1", ".5", "1.", "0x10", "1_000", "1E400", "True", "nul", "~", "yes", "NaN", "abc", "'a'"];
    const TEXTS: &[&str] = &["a", "b c", "\\n", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "\\/", "\u{2028}", "é", "\u{85}", "\u{7f}", "\\u0000"];
    const ODD_TEXTS: &[&str] = &["\\x41", "\\'", "\t", "\n", "\u{1}"];
    let odd_here = odd && random.one_in(3);
    match random.below(if depth > 3 { 3 } else { 5 }) {
        0 | 1 => out.push_str(random.of(if odd_here { ODD } else { VALUES })),
        2 => {
            out.push('"');
            for _ in 0..random.below(4) {
                out.push_str(random.of(if odd_here { ODD_TEXTS } else { TEXTS }));
            }
            out.push('"');
        }
        kind => {
            out.push(if kind == 3 { '[' } else { '{' });
            let items = random.below(4);
            for item in 0..items {
                if kind == 4 {
                    out.push_str(random.of(&["\"a\":", "\"b\": ", "\"a\" :", "\"c\":\n"]));
                }
                json_value(random, out, depth + 1, odd);
                if item + 1 < items || odd && random.one_in(8) {
                    out.push_str(random.of(&[",", ", ", ",\n"]));
                }
            }
            out.push(if kind == 3 { ']' } else { '}' });
        }
    }
}

impl<'r> Writer<'r> {
    fn new(random: &'r mut Random) -> Self {
        const ENDS: [&str; 5] = ["\r\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"];
        let odd = random.one_in(5).then(|| random.below(ENDS.len()));
        let line_end = odd.and_then(|odd| ENDS.get(odd)).copied().unwrap_or("\n");
        let oddity = [10, 60, 400].get(random.below(3)).copied().unwrap_or(10);
        Self { random, out: String::new(), line_end, oddity, anchors: Vec::new() }
    }

    fn put(&mut self, list: &[&str]) {
        self.out.push_str(self.random.of(list));
    }

    /// One of the first list, now and then of the second.
    fn mostly(&mut self, list: &[&str], odd: &[&str]) {
        let list = if self.odd() { odd } else { list };
        self.put(list);
    }

    fn odd(&mut self) -> bool {
        self.random.one_in(self.oddity)
    }

    fn spaces(&mut self, count: usize) {
        self.out.extend(std::iter::repeat_n(' ', count));
    }

    fn line_break(&mut self) {
        if self.odd() {
            self.put(&["\n", "\r\n", "\r", "\u{85}", "\u{2028}", "\u{2029}", "\r\r\n", "\n\r"]);
        } else {
            self.out.push_str(self.line_end);
        }
    }

    /// What may stand after the text of a line, and its end.
    fn end_line(&mut self) {
        if self.random.one_in(8) {
            self.mostly(&[" ", "  ", "  ", " # c", " # é", " #", "  # a: b", " # \""], &["#c", " #\u{85}x", "\t", " \t", "\t# c"]);
        }
        self.line_break();
        while self.random.one_in(8) {
            self.mostly(&["", "", " ", "   ", "# c", "  # c: d", "#", "# '", "      # - x"], &["\t", "\t# c", " \t"]);
            self.line_break();
        }
    }

    fn document(&mut self) {
        if self.random.one_in(30) {
            self.put(&[
                "\u{feff}", "%YAML 1.1\n---\n", "%YAML 1.2\n---\n", "%TAG !e! tag:yaml.org,2002:\n---\n",
                "%TAG ! tag:yaml.org,2002:\n--- ", "%TAG !! x:\n---\n", "%FOO\n---\n", "--- ", "---\n",
                "# c\n", "\n\n", "%YAML 1.1 # c\u{85}---\u{85}",
            ]);
        }
        match self.random.below(6) {
            0 => self.list(0, 0, false),
            1 => {
                self.value(0, 0, false);
                self.end_line();
            }
            _ => {
                self.entries(0, 0, false);
            }
        }
        if self.random.one_in(20) {
            self.put(&[
                "...", "...\n", "... # c\n", "...\n---\n", "...\na: 1\n", "---\nb: 1\n", "# c", "]\n", "a",
                "\u{85}...\u{85}",
            ]);
        }
    }

    fn manifest(&mut self) {
        let indent = if self.random.one_in(8) { self.random.below(3) } else { 0 };
        for line in ["apiVersion: x.y/v1", "kind: K", "metadata: {name: m}"] {
            self.spaces(indent);
            self.out.push_str(line);
            self.end_line();
        }
        self.entries(indent, 0, false);
    }

    /// A mapping as a block; its first key may stand in a line that has begun.
    fn entries(&mut self, indent: usize, depth: usize, begun: bool) {
        for number in 0..=self.random.below(if depth == 0 { 5 } else { 3 }) {
            if number > 0 || !begun {
                let off = if self.odd() { self.random.below(3) } else { 0 };
                self.spaces(indent + off);
            }
            if self.random.one_in(12) {
                self.merge(indent, depth);
            } else if self.random.one_in(25) {
                self.mostly(&["? ", "?   "], &["?\t"]);
                self.value(indent, depth + 2, true);
                self.end_line();
                self.spaces(indent);
                self.out.push(':');
                self.after_key(indent, depth);
            } else {
                self.key();
                self.put(&[":", ":", ":", ":", ":", ":", ":", ":", " :"]);
                self.after_key(indent, depth);
            }
        }
    }

    fn key(&mut self) {
        if self.random.one_in(20) {
            self.properties(Kind::Scalar);
        }
        match self.random.below(24) {
            0..=10 => self.put(&["a", "b", "c", "d", "e", "f", "g", "a b", "x-y", "x.y/z", "é"]),
            11..=13 => self.put(WORDS),
            14 => self.number(),
            15..=16 => self.put(&[
                "\"a\"", "'b'", "\"c d\"", "\"<<\"", "'<<'", "\"1\"", "'true'", "\"\\u0061\"", "\"a\\x62\"",
                "''", "\"a: b\"", "'#'",
            ]),
            17 => {
                let (letter, length) =
                    (self.random.of(&["k", "é", "日", "k "]), 1015 + self.random.below(14));
                let key: String = letter.chars().cycle().take(length).collect();
                self.out.push_str(key.trim_end());
            }
            18 => self.alias(Kind::Scalar, " "),
            19 if self.odd() => self.put(HARD),
            20 if self.odd() => self.out.push_str("{{ .x }}"),
            _ => self.put(&["spec", "data", "items", "key", "0", "1"]),
        }
    }

    fn merge(&mut self, indent: usize, depth: usize) {
        self.put(&[
            "<<", "<<", "<<", "<<", "!!merge <<", "!!merge \"<<\"", "! <<", "\"<<\"", "'<<'", "!!str <<",
            "!x <<", "&m <<", "<< ",
        ]);
        self.out.push(':');
        match self.random.below(7) {
            0..=2 => {
                self.out.push(' ');
                self.alias(Kind::Mapping, "");
            }
            3 => {
                self.out.push_str(" [");
                for _ in 0..=self.random.below(3) {
                    self.alias(Kind::Mapping, "");
                    self.put(&[", ", " , ", ",\n ", ", "]);
                }
                self.mostly(&["]", "{a: 1}]", "{<<: {b: 2}}]"], &["[]]", "1]", "{1: 2}]"]);
            }
            4 => {
                self.out.push(' ');
                self.mostly(
                    &["{a: 1, b: 2}", "{}", "[]", "{a: {b: c}}", "[{a: 1}, {a: 2, b: 3}]", "{a: 1, \"a\": 2}"],
                    &["{1: a}", "~", "", "x", "[x]", "{true: 1, \"true\": 2}"],
                );
            }
            5 => {
                self.line_break();
                self.spaces(indent + 2);
                self.entries(indent + 2, depth + 3, true);
                return;
            }
            _ => {
                self.out.push(' ');
                self.flow(depth, true);
            }
        }
        self.end_line();
    }

    /// What follows a colon or a dash, up to the end of the last line.
    fn after_key(&mut self, indent: usize, depth: usize) {
        if depth < 5 {
            match self.random.below(9) {
                0 => {
                    if self.random.one_in(6) {
                        self.out.push(' ');
                        self.properties(Kind::Mapping);
                    }
                    self.end_line();
                    let inner = indent + 1 + self.random.below(4);
                    return self.entries(inner, depth + 1, false);
                }
                1 => {
                    if self.random.one_in(8) {
                        self.out.push(' ');
                        self.properties(Kind::List);
                    }
                    self.end_line();
                    let inner = indent + self.random.below(4);
                    return self.list(inner, depth + 1, false);
                }
                2 => {
                    self.out.push(' ');
                    return self.block(indent);
                }
                _ => {}
            }
        }
        if !self.random.one_in(12) {
            self.put(&[" ", " ", " ", " ", " ", "  ", "\t", " \t"]);
            self.value(indent, depth, false);
        }
        self.end_line();
    }

    /// A list as a block.
    fn list(&mut self, indent: usize, depth: usize, begun: bool) {
        for number in 0..=self.random.below(4) {
            if number > 0 || !begun {
                let off = if self.odd() { self.random.below(3) } else { 0 };
                self.spaces(indent + off);
            }
            self.out.push('-');
            match self.random.below(8) {
                0 | 1 if depth < 5 => {
                    let gap = if self.random.one_in(4) { 1 + self.random.below(4) } else { 1 };
                    self.spaces(gap);
                    if self.random.one_in(15) {
                        self.properties(Kind::Mapping);
                    }
                    self.entries(indent + 1 + gap, depth + 1, true);
                }
                2 if depth < 5 => {
                    self.out.push(' ');
                    self.list(indent + 2, depth + 1, true);
                }
                _ => self.after_key(indent, depth),
            }
        }
    }

    /// A value that begins in this line: in brackets, quotes, or neither.
    fn value(&mut self, indent: usize, depth: usize, is_key: bool) {
        if self.random.one_in(10) {
            let kind = Kind::Scalar;
            self.properties(kind);
        }
        match self.random.below(16) {
            0 | 1 if depth < 5 => self.flow(depth, false),
            2 => self.alias(Kind::Scalar, ""),
            3 | 4 => self.number(),
            5 | 6 => self.put(WORDS),
            7 | 8 => self.quoted(indent, '"'),
            9 | 10 => self.quoted(indent, '\''),
            11 | 12 if !is_key => self.lines(indent),
            13 if self.odd() => self.put(HARD),
            _ => self.put(&["a", "b", "1", "true", "x y"]),
        }
    }

    fn properties(&mut self, kind: Kind) {
        if self.random.one_in(2) {
            let names = ["a", "a", "a", "b", "b", "x-1"];
            let name = self.random.of(&names).to_owned();
            self.out.push('&');
            self.out.push_str(&name);
            self.mostly(&[" ", " ", " ", "\t", "  "], &[""]);
            self.anchors.push((name, kind));
        }
        if self.random.one_in(2) {
            self.mostly(&["!!str", "!local", "!", "!<tag:yaml.org,2002:str>", "!<!x>", "!!st%72", "!a%41", "!!x"], TAGS);
            self.mostly(&[" ", " ", " ", "\t", "  "], &[""]);
        }
    }

    fn alias(&mut self, kind: Kind, behind: &str) {
        let known: Vec<&str> =
            self.anchors.iter().filter(|(_, known)| *known == kind).map(|(name, _)| name.as_str()).collect();
        if known.is_empty() && !self.random.one_in(self.oddity * 2) {
            return self.out.push_str(if kind == Kind::Mapping { "{x: 1, y: 2}" } else { "w" });
        }
        let name = if known.is_empty() { "a" } else { self.random.of(&known) };
        self.out.push('*');
        self.out.push_str(name);
        self.out.push_str(behind);
    }

    fn number(&mut self) {
        self.put(&["", "", "", "", "-", "+", "--", "-+"]);
        self.put(&["", "", "", "", "0", "0x", "0X", "0o", "0b", "0B", "00", "0_", "1_", "_"]);
        for _ in 0..=self.random.below(3) {
            self.put(&[
                "0", "1", "7", "8", "10", "12", "99", "_", "1_0", "f", "A", "123456789", "9223372036854775807",
                "18446744073709551615",
            ]);
        }
        if self.random.one_in(3) {
            self.put(&[".", ".0", ".5", ".25", ".1_0", "._", ".000001", ".999999999999999999"]);
        }
        if self.random.one_in(4) {
            self.put(&["e", "E", "e+", "E-"]);
            self.put(&["1", "3", "0", "21", "15", "16", "308", "400", "_1", "1_0", ""]);
        }
        if self.random.one_in(10) {
            self.put(&[":30", ":5:6", "%", "Gi", "m", "_"]);
        }
    }

    /// A text of several lines without quotes.
    fn lines(&mut self, indent: usize) {
        self.put(&["a", "b c", "1", "true", "x:y", "é"]);
        for _ in 0..=self.random.below(3) {
            self.put(&["", "", "", " ", "\t", "  "]);
            self.line_break();
            while self.random.one_in(4) {
                self.mostly(&["", "", " ", "  ", "      "], &["\t"]);
                self.line_break();
            }
            let deeper = self.random.below(4);
            let least = usize::from(!self.odd());
            self.spaces(indent + least + deeper);
            if self.odd() {
                self.put(&["\t", "# c", "- ", "a: "]);
            }
            self.put(&[
                "d", "e f", "2", "~", "-x", "- y", "x#y", "z,", "g]", "'h'", "\"i\"", "j\tk", "&l", "*m",
                "!n", "|", "%o", "@p", "?q", ":r",
            ]);
        }
    }

    fn quoted(&mut self, indent: usize, quote: char) {
        self.out.push(quote);
        for _ in 0..self.random.below(5) {
            match self.random.below(6) {
                0 if quote == '"' => self.mostly(ESCAPES, BAD_ESCAPES),
                0 => self.out.push_str("''"),
                1 => self.put(&[" ", "  ", "\t", " \t "]),
                2 if self.random.one_in(2) => {
                    self.put(&["", "", " ", "\t"]);
                    if quote == '"' && self.random.one_in(3) {
                        self.out.push('\\');
                    }
                    for _ in 0..=self.random.below(3) {
                        self.line_break();
                        let deeper = if self.random.one_in(8) { 0 } else { 1 + self.random.below(3) };
                        let count = if self.random.one_in(6) { deeper } else { indent + deeper };
                        self.spaces(count);
                        self.mostly(&["", "", "\t", " \t"], &["---", "...", "--- "]);
                    }
                }
                3 => self.put(&[
                    "# a", ": b", "{", "]", ", ", "- ", "? ", "a: b", " # ", "---", "...", "%", "\\/", "`",
                ]),
                4 => self.mostly(&["é", "日本", "😀", "\u{a0}", "\u{2028}", "\u{85}"], &["\u{feff}", "\u{80}", "\u{7f}"]),
                _ => self.put(&["a", "b c", "1", "~", "<<"]),
            }
        }
        if !self.odd() {
            self.out.push(quote);
        }
    }

    /// A text as a block, with its header.
    fn block(&mut self, indent: usize) {
        if self.random.one_in(12) {
            self.properties(Kind::Scalar);
        }
        self.put(&["|", "|", ">"]);
        let mut deeper = 1 + self.random.below(4);
        let least = deeper;
        match self.random.below(5) {
            0 => {
                // What stands there is often what the text has, not always.
                let said = if self.random.one_in(4) { 1 + self.random.below(9) } else { deeper };
                self.out.push_str(&said.to_string());
                self.put(&["", "-", "+"]);
                deeper += if self.random.one_in(3) { self.random.below(3) } else { 0 };
            }
            1 => {
                self.put(&["-", "+"]);
                if self.random.one_in(3) {
                    self.out.push_str(&deeper.to_string());
                }
            }
            2 if self.odd() => self.put(&["0", "10", "x", "--", "+-", "- +", "1 1"]),
            _ => {}
        }
        self.mostly(&["", "", "", "", " ", "\t", " # c", "\t# c", "  "], &["#c", "c"]);
        self.line_break();
        for _ in 0..self.random.below(6) {
            if self.random.one_in(4) {
                let blank = self.random.below(indent + deeper + 3);
                let blank = if self.random.one_in(2) { 0 } else { blank };
                self.spaces(blank);
                self.mostly(&[""], &["\t"]);
                self.line_break();
                continue;
            }
            let more = if self.random.one_in(4) { self.random.below(4) } else { 0 };
            self.spaces(indent + deeper + more);
            self.mostly(&["", "", "", "", "# ", "- ", "? ", "--- "], &["\t"]);
            self.put(&[
                "a", "b c", "d: e", "{{ f }}", "\"g", LONG, "h # i", "j:", "[", "'", "é", "1", "\\n", "%k", "x \t",
            ]);
            self.put(&["", "", "", "", " ", "\t", "  "]);
            self.line_break();
        }
        // The end, at various margins.
        while self.random.one_in(3) {
            let blank = self.random.below(indent + least + 2);
            self.spaces(blank);
            self.mostly(&["", "", "# c"], &["\t", "\t# c"]);
            self.line_break();
        }
    }

    fn flow(&mut self, depth: usize, is_mapping: bool) {
        let is_mapping = is_mapping || self.random.one_in(2);
        self.out.push(if is_mapping { '{' } else { '[' });
        let count = self.random.below(4);
        for number in 0..count {
            self.gap();
            if self.random.one_in(15) {
                self.put(&["? ", "?", "?\t"]);
            }
            self.flow_node(depth);
            let wanted = if is_mapping { !self.random.one_in(8) } else { self.random.one_in(8) };
            if wanted {
                self.put(&[": ", ": ", ": ", ": ", ":", " : ", " :", ":\t", ": "]);
                if !self.random.one_in(10) {
                    self.flow_node(depth);
                }
            }
            self.gap();
            if number + 1 < count || self.random.one_in(8) {
                self.out.push(',');
                self.put(&[" ", " ", " ", ""]);
            }
        }
        self.gap();
        if !self.odd() {
            let close = if is_mapping == self.odd() { ']' } else { '}' };
            self.out.push(close);
        }
    }

    /// White space between what is in brackets.
    fn gap(&mut self) {
        if self.random.one_in(10) {
            self.put(&[" ", "\t", "", " # c", " #"]);
            self.line_break();
            let count = 1 + self.random.below(4);
            let count = if self.random.one_in(8) { 0 } else { count };
            self.spaces(count);
        } else if self.random.one_in(6) {
            self.put(&[" ", "\t", "  "]);
        }
    }

    fn flow_node(&mut self, depth: usize) {
        if self.random.one_in(12) {
            self.properties(Kind::Scalar);
        }
        match self.random.below(14) {
            0 | 1 if depth < 5 => self.flow(depth + 1, false),
            2 => self.number(),
            3 => self.put(WORDS),
            4 => self.quoted(1, '"'),
            5 => self.quoted(1, '\''),
            6 => self.alias(Kind::Scalar, ""),
            7 if self.odd() => self.put(HARD),
            8 if self.random.one_in(3) => self.lines(1),
            9 if self.random.one_in(3) => {
                self.put(&["<<", "a?b", "?a", "a?", "::", "-", "- a", "a b", "http://x", "{{ x }}", "x#y"]);
            }
            _ => self.put(&["a", "b", "c", "d", "1", "2"]),
        }
    }
}
