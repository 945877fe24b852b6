//! Texts that look like YAML, from a seed. The tame ones are mostly valid, the others mostly not.

use std::fmt::Write as _;

/// A sequence of numbers, and whether texts are to be tame.
pub struct Random(u64, bool);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, false);
        for _ in 0..4 {
            random.next();
        }
        random
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    /// One of a list, of which the tame part comes first.
    pub fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let n = if self.1 && list.len() > 8 { list.len() * 2 / 5 } else { list.len() };
        let chosen = self.below(n);
        list.get(chosen).unwrap()
    }
}

const PLAIN: &[&str] = &[
    "a",
    "b",
    "c",
    "key",
    "n",
    "y",
    "on",
    "~",
    "null",
    "1",
    "0x1F",
    "0644",
    "1.5",
    "1e3",
    ".inf",
    "-1",
    "2001-01-01",
    "a b",
    "a:b",
    "a#b",
    "a #b",
    "-a",
    "?a",
    ":a",
    "a?",
    "a,b",
    "<<",
    "é",
    "日本",
    "a\\b",
    "1_000",
    "+.5",
    "0b11",
    "0o17",
    "12:30",
    "x'y",
    "x\"y",
    "--",
    "---a",
    "a---",
    "..",
    "a-",
    "%a",
    "@a",
    "`a",
    "{{ x }}",
    "!",
    "=",
    "a\tb",
    "18446744073709551615",
    "99999999999999999999",
    "1e400",
    "-0.0",
    "0x",
    "1.0",
    "100000000.0",
    "true",
    "False",
    "",
];
const QUOTED: &[&str] = &[
    "\"a\"",
    "'a'",
    "\"\"",
    "''",
    "\"a b\"",
    "'it''s'",
    "\"\\n\"",
    "\"\\x41\"",
    "\"\\u00e9\"",
    "\"\\U0001F600\"",
    "\"\\ud83d\"",
    "\"\\/\"",
    "\"\\q\"",
    "\"a\\\n  b\"",
    "\"a\n  b\"",
    "'a\n\n b'",
    "\"a\n---\nb\"",
    "\"1\"",
    "'<<'",
    "\"<<\"",
    "\"a\"b",
    "'a'b",
    "\"a\"#c",
    "\"a: b\"",
    "\"# a\"",
    "\"\\\t\"",
    "\"a \\\n b\"",
    "\"\u{2028}a\"",
    "'a\u{85}b'",
    "\"a",
    "'a",
    "\"\\",
    "\"\\N\\_\\L\\P\\e\\0\"",
    "\"a\n...\n\"",
];
const PROPERTIES: &[&str] = &[
    "&a ",
    "&b ",
    "!!str ",
    "!foo ",
    "&a !!str ",
    "! ",
    "!!str &b ",
    "&c ",
    "!!null ",
    "!!seq ",
    "!!map ",
    "!<tag:yaml.org,2002:str> ",
    "!!timestamp ",
    "!!str ",
    "&a ",
    "*a",
    "*b",
    "*c",
    "*a ",
    "!!int ",
    "!!float ",
    "!!bool ",
    "!!binary ",
    "!!merge ",
    "!!set ",
    "!e!x ",
    "!!",
    "&",
    "*",
    "!<a",
    "!a%41 ",
    "!a%zz ",
    "&a&b ",
    "!!str &a ",
    "&a\n",
    "!!str\n",
    "*a : ",
    "!!int,",
    "!foo,",
];
const SPACE: &[&str] = &[" ", " ", " ", "  ", "\t", "", " \t", "\t "];
const BREAK: &[&str] = &[
    "\n",
    "\n",
    "\n",
    "\n",
    "\n",
    "\n",
    "\n",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    " \n",
    "\t\n",
    " # c\n",
    "#c\n",
    " #c\u{2028}",
    "\n\n\n",
    "\r\r\n",
    "\n\t\n",
    "\n \n",
];
const ODD: &[&str] = &[
    "\u{feff}",
    "\u{0}",
    "\u{7}",
    "\u{7f}",
    "\u{80}",
    "\u{a0}",
    "\u{fffe}",
    "\u{3000}",
    "\u{2028}",
    "---",
    "...",
    "--- ",
    "--- a",
    "---# c",
    "---a: b",
    "%YAML 1.1\n",
    "%YAML 1.2\n",
    "%TAG ! tag:x,1:\n",
    "%TAG !e! tag:e,1:\n",
    "%FOO a\n",
    "?",
    ":",
    "-",
    "- ",
    "? ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "|",
    ">",
    "#",
    "&",
    "*",
    "!",
    "\t",
    "\n",
    " ",
];
const HEADER: &[&str] =
    &["|", ">", "|-", ">-", "|+", ">+", "|2", ">1", "|2-", "|-2", "|+1", "|0", "| # c", "|#c", "|x", ">10"];

fn scalar(random: &mut Random, out: &mut String) {
    if random.one_in(6) {
        out.push_str(random.of(PROPERTIES));
    }
    match random.below(10) {
        0..=5 => out.push_str(random.of(PLAIN)),
        6..=7 => out.push_str(random.of(QUOTED)),
        8 => {
            out.push_str(random.of(PLAIN));
            out.push_str(random.of(SPACE));
            out.push_str(random.of(PLAIN));
        }
        _ => out.push_str(random.of(PROPERTIES)),
    }
}

fn flow(random: &mut Random, out: &mut String, depth: usize) {
    let map = random.one_in(2);
    out.push(if map { '{' } else { '[' });
    for _ in 0..random.below(4) {
        if random.one_in(4) {
            out.push_str(random.of(SPACE));
        }
        if random.one_in(8) {
            out.push_str(random.of(&["?", "? "]));
        }
        if depth < 4 && random.one_in(5) {
            flow(random, out, depth + 1);
        } else {
            scalar(random, out);
        }
        if random.below(3) > 0 && map || random.one_in(5) {
            out.push_str(random.of(&[": ", ":", " : ", " :", ":\t"]));
            if depth < 4 && random.one_in(5) {
                flow(random, out, depth + 1);
            } else if !random.one_in(6) {
                scalar(random, out);
            }
        }
        if random.one_in(12) {
            out.push_str(random.of(BREAK));
            out.push_str(random.of(&["", " ", "  ", "\t"]));
        }
        if !random.one_in(12) {
            out.push(',');
            if !random.one_in(4) {
                out.push(' ');
            }
        }
    }
    if !random.one_in(25) {
        out.push(if map == random.one_in(30) { ']' } else { '}' });
    }
}

fn line(random: &mut Random, out: &mut String, indents: &mut Vec<usize>) {
    match random.below(if random.1 { 12 } else { 6 }) {
        0 if indents.len() < 6 => {
            let deeper = indents.last().unwrap_or(&0) + 1 + random.below(3);
            indents.push(deeper);
        }
        1 | 2 if indents.len() > 1 => {
            indents.pop();
        }
        _ => {}
    }
    let mut indent = *indents.last().unwrap_or(&0);
    if !random.1 && random.one_in(10) {
        indent = random.below(8);
    }
    out.extend(std::iter::repeat_n(' ', indent));
    if !random.1 && random.one_in(15) {
        out.push('\t');
    }
    for _ in 0..random.below(if random.1 { 2 } else { 3 }) {
        if random.one_in(if random.1 { 9 } else { 3 }) {
            out.push_str(random.of(&["- ", "- ", "- ", "-   ", "? ", "-\t", ": "]));
        }
    }
    match random.below(12) {
        8 | 9 if random.1 => {
            scalar(random, out);
            out.push(':');
        }
        0..=4 => {
            scalar(random, out);
            out.push_str(random.of(&[": ", ":", ": ", ":  ", " : ", ":\t"]));
            if !random.one_in(3) {
                scalar(random, out);
            }
        }
        5 => {
            scalar(random, out);
            out.push_str(": ");
            flow(random, out, 0);
        }
        6 => flow(random, out, 0),
        7 => {
            scalar(random, out);
            out.push_str(": ");
            out.push_str(random.of(HEADER));
            for _ in 0..random.below(4) {
                out.push_str(random.of(BREAK));
                let n = indent + random.below(5);
                out.extend(std::iter::repeat_n(' ', n));
                out.push_str(random.of(PLAIN));
            }
        }
        8 => scalar(random, out),
        9 => {
            out.push_str("# ");
            scalar(random, out);
        }
        10 => {
            out.push_str(random.of(PROPERTIES));
            scalar(random, out);
            out.push_str(": ");
            scalar(random, out);
        }
        _ if random.1 => {
            out.push_str(random.of(&[
                "k: &a {x: 1}",
                "k: &b {y: 2, x: 3}",
                "<<: {a: 1}",
                "1: x",
                "true: z",
                "1.5: w",
                "- &a x",
                "<<: [{a: 1}, {b: 2, a: 3}]",
            ]));
        }
        _ => {
            out.push_str(random.of(&[
                "<<: *a",
                "!!merge <<: *a",
                "<<: [*a, *b]",
                "<<: {a: 1}",
                "! <<: *a",
                "? a",
                ": b",
                "\"<<\": *a",
                "<<: {1: x, b: 2}",
                "1: x",
                "\"1\": y",
                "true: z",
                "1.5: w",
                "~: q",
            ]));
        }
    }
    out.push_str(random.of(BREAK));
}

/// A fragment: one document, or nearly.
pub fn fragment(random: &mut Random) -> String {
    let mut out = String::new();
    random.1 = !random.one_in(3);
    if !random.1 && random.one_in(3) {
        for _ in 0..=random.below(12) {
            match random.below(6) {
                0 => out.push_str(random.of(PLAIN)),
                1 => out.push_str(random.of(QUOTED)),
                2 => out.push_str(random.of(PROPERTIES)),
                3 => out.push_str(random.of(BREAK)),
                4 => out.push_str(random.of(SPACE)),
                _ => out.push_str(random.of(ODD)),
            }
        }
    } else {
        let mut indents = vec![0];
        for _ in 0..=random.below(7) {
            line(random, &mut out, &mut indents);
        }
    }
    random.1 = random.1 && random.one_in(2);
    if random.one_in(8) {
        for _ in 0..=random.below(2) {
            let at = out.floor_char_boundary(random.below(out.len() + 1));
            if random.one_in(2) {
                out.insert_str(at, random.of(ODD));
            } else if at < out.len() {
                out.remove(at);
            }
        }
    }
    out
}

/// A mapping, in most cases a valid one.
fn object(random: &mut Random, out: &mut String) {
    random.1 = !random.one_in(4);
    for number in 0..=random.below(4) {
        write!(out, "k{number}:").unwrap();
        match random.below(7) {
            0 => {
                out.push(' ');
                flow(random, out, 2);
            }
            1 => {
                out.push(' ');
                out.push_str(random.of(HEADER));
                for _ in 0..random.below(4) {
                    out.push_str(random.of(BREAK));
                    out.push_str(random.of(&["  ", "  ", "  ", "   ", "  \t", "    "]));
                    out.push_str(random.of(PLAIN));
                }
            }
            2 => {
                for _ in 0..=random.below(3) {
                    out.push_str(random.of(BREAK));
                    out.push_str("  - ");
                    scalar(random, out);
                }
            }
            3 => {
                for inner in 0..=random.below(3) {
                    out.push_str(random.of(BREAK));
                    write!(out, "  {}{inner}: ", random.of(&["a", "&a b", "? c", "\"d\""])).unwrap();
                    scalar(random, out);
                }
            }
            4 => {
                out.push(' ');
                scalar(random, out);
                out.push_str(random.of(BREAK));
                out.push_str("  ");
                out.push_str(random.of(PLAIN));
            }
            _ => {
                out.push(' ');
                scalar(random, out);
            }
        }
        out.push_str(random.of(BREAK));
    }
}

/// Several fragments with what may be between them, or JSON values.
pub fn stream(random: &mut Random) -> String {
    const BETWEEN: &[&str] = &[
        "---\n",
        "---\n",
        "---\n",
        "--- # c\n",
        "---# c\n",
        "---\t\n",
        "---\r\n",
        "---# a: b\n",
        "---a: b\n",
        "--- a\n",
        "----\n",
        "...\n",
        "...\n---\n",
        "\u{feff}",
        "---\n\u{feff}",
        "\n",
        "---\u{a0}\n",
        "\u{85}---\u{85}",
        " ---\n",
        "---",
        "%YAML 1.1\n---\n",
        "---\n---\n",
    ];
    const JSON: &[&str] = &[
        "{\"a\": 1}",
        "{\"b\": [1, 2.5, \"c\"]}",
        "{}",
        "{\"a\": \"\u{2028}\"}",
        "{\"a\": 1,}",
        "{a: 1}",
        "[1]",
        "{\"a\":1, \"a\": 2}",
        "{\"a\": {\"b\": null}}",
        "{\"a\": \"\\u00e9\\/\"}",
        "{\"a\": tru}",
        "{\"a\"",
        "1",
        "\"x\"",
    ];
    let mut out = String::new();
    let json = random.one_in(4);
    if random.one_in(4) {
        out.push_str(random.of(BETWEEN));
    }
    for _ in 0..=random.below(3) {
        if json && !random.one_in(3) {
            out.push_str(random.of(JSON));
            out.push_str(random.of(&["\n", "", " ", "\n\n", "\r\n", " # c\n"]));
        } else if random.one_in(4) {
            out.push_str(&fragment(random));
        } else {
            object(random, &mut out);
        }
        if !random.one_in(6) {
            out.push_str(random.of(BETWEEN));
        }
    }
    out
}
