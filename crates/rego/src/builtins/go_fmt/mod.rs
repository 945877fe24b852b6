//! Go's `fmt.Sprintf` for the four types of arguments that OPA passes to it. A format and arguments come in,
//! a text goes out; what is wrong with a format is written into the text, as Go does (`%!d(string=x)`,
//! `%!v(MISSING)`), so that a policy with a wrong format still has its violation.
//!
//! ```text
//! format --directives--> Spec (flags, width, precision) + verb + Arg --number, text--> Output (bounded)
//! ```

mod number;
mod text;

use std::borrow::Cow;

use portcullis_value::{Output, TooLong};

/// A width or precision beyond this is refused.
const MAX_NUMBER: usize = 1_000_000;

/// An argument, by its type in Go.
#[derive(Debug)]
pub(super) enum Arg<'a> {
    /// `int`.
    Int(i64),
    /// `*big.Int`.
    Big(Box<Big>),
    /// `float64`.
    Float(f64),
    /// `string`.
    Str(Cow<'a, str>),
}

/// An integer beyond 64 bits.
#[derive(Debug)]
pub(super) struct Big {
    pub(super) negative: bool,
    /// Digits of the absolute value in bases 2, 8, 10 and 16.
    pub(super) binary: String,
    pub(super) octal: String,
    pub(super) decimal: String,
    pub(super) hexadecimal: String,
}

impl Arg<'_> {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Int(_) => "int",
            Self::Big(_) => "*big.Int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
        }
    }
}

/// Flags, width and precision of one directive.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of a format")]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`, where `+` asks for names of fields and not for a sign.
    plus_v: bool,
    /// `%#v`.
    sharp_v: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Spec {
    /// Zeros are padded on the left only.
    fn pads_zeros(&self) -> bool {
        self.zero && !self.minus
    }

    /// Writes a text in the field.
    fn pad(&self, out: &mut Output, text: &str) -> Result<(), TooLong> {
        let Some(width) = self.width else { return out.push_str(text) };
        let fill = if self.pads_zeros() { '0' } else { ' ' };
        let missing = width.saturating_sub(text.chars().count());
        if self.minus {
            out.push_str(text)?;
            out.repeat(' ', missing)
        } else {
            out.repeat(fill, missing)?;
            out.push_str(text)
        }
    }

    fn pad_with_spaces(&self, out: &mut Output, text: &str) -> Result<(), TooLong> {
        Self { zero: false, ..*self }.pad(out, text)
    }
}

/// Formats the arguments.
pub(super) fn sprintf(out: &mut Output, format: &str, args: &[Arg<'_>]) -> Result<(), TooLong> {
    let mut printer = Printer {
        rest: format,
        args,
        next: 0,
        reordered: false,
        is_index_good: true,
        last_bracket: format.rfind(']').map(|at| format.len() - at),
        out,
    };
    while let Some((text, directive)) = printer.rest.split_once('%') {
        printer.out.push_str(text)?;
        printer.rest = directive;
        printer.directive()?;
    }
    printer.out.push_str(printer.rest)?;
    printer.extra()
}

struct Printer<'a, 'o> {
    rest: &'a str,
    args: &'a [Arg<'a>],
    /// The argument that comes next.
    next: usize,
    /// Whether any directive chose its argument by index: arguments left over are then meant to be.
    reordered: bool,
    /// Whether the indexes of this directive are of arguments.
    is_index_good: bool,
    /// How far before the end of the format the last `]` is: after it none is looked for.
    last_bracket: Option<usize>,
    out: &'o mut Output,
}

impl Printer<'_, '_> {
    /// After `%`.
    fn directive(&mut self) -> Result<(), TooLong> {
        self.is_index_good = true;
        let mut spec = self.flags();
        let mut after_index = self.index();
        if self.skip('*') {
            let width = self.star();
            if width.is_none() {
                self.out.push_str("%!(BADWIDTH)")?;
            }
            if width.is_some_and(|width| width < 0) {
                spec.minus = true;
                spec.zero = false;
            }
            spec.width = width.map(|width| usize::try_from(width.unsigned_abs()).unwrap_or(MAX_NUMBER));
            after_index = false;
        } else {
            spec.width = self.number();
            if after_index && spec.width.is_some() {
                self.is_index_good = false;
            }
        }
        if self.skip('.') {
            if after_index {
                self.is_index_good = false;
            }
            after_index = self.index();
            if self.skip('*') {
                spec.precision = self.star().and_then(|precision| usize::try_from(precision).ok());
                if spec.precision.is_none() {
                    self.out.push_str("%!(BADPREC)")?;
                }
                after_index = false;
            } else {
                spec.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        let mut rest = self.rest.chars();
        let Some(verb) = rest.next() else { return self.out.push_str("%!(NOVERB)") };
        self.rest = rest.as_str();
        self.verb(verb, spec)
    }

    fn verb(&mut self, verb: char, mut spec: Spec) -> Result<(), TooLong> {
        if verb == '%' {
            return self.out.push('%');
        }
        if !self.is_index_good {
            return self.wrong(verb, "BADINDEX");
        }
        let Some(arg) = self.args.get(self.next) else { return self.wrong(verb, "MISSING") };
        self.next += 1;
        if verb == 'v' {
            spec.sharp_v = std::mem::take(&mut spec.sharp);
            spec.plus_v = std::mem::take(&mut spec.plus);
        }
        print(self.out, arg, verb, &spec)
    }

    fn wrong(&mut self, verb: char, reason: &str) -> Result<(), TooLong> {
        self.out.push_str("%!")?;
        self.out.push(verb)?;
        self.out.push('(')?;
        self.out.push_str(reason)?;
        self.out.push(')')
    }

    fn flags(&mut self) -> Spec {
        let mut spec = Spec::default();
        let mut rest = self.rest.chars();
        loop {
            self.rest = rest.as_str();
            match rest.next() {
                Some('#') => spec.sharp = true,
                Some('0') => spec.zero = true,
                Some('+') => spec.plus = true,
                Some('-') => spec.minus = true,
                Some(' ') => spec.space = true,
                _ => return spec,
            }
        }
    }

    fn skip(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// `[n]`: chooses the next argument. Whether there was one that could be read.
    fn index(&mut self) -> bool {
        let Some(rest) = self.rest.strip_prefix('[') else { return false };
        self.reordered = true;
        let is_closed = self.last_bracket.is_some_and(|from_end| from_end <= rest.len());
        let Some((inside, rest)) = rest.split_once(']').filter(|_| is_closed) else {
            self.is_index_good = false;
            self.rest = rest;
            return false;
        };
        self.rest = rest;
        let number = match leading_number(inside) {
            Leading::Number(number, "") => Some(number),
            _ => None,
        };
        match number.and_then(|number| number.checked_sub(1)).filter(|index| *index < self.args.len()) {
            Some(index) => self.next = index,
            None => self.is_index_good = false,
        }
        number.is_some()
    }

    /// A width or precision from the arguments.
    fn star(&mut self) -> Option<i64> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        match arg {
            Arg::Int(number) if number.unsigned_abs() <= MAX_NUMBER as u64 => Some(*number),
            _ => None,
        }
    }

    /// A width or precision in the format. After one that is far too large, nothing of the format is left.
    fn number(&mut self) -> Option<usize> {
        match leading_number(self.rest) {
            Leading::None => None,
            Leading::Number(number, rest) => {
                self.rest = rest;
                Some(number)
            }
            Leading::TooLarge => {
                self.rest = "";
                None
            }
        }
    }

    /// Reports arguments that nothing asked for.
    fn extra(&mut self) -> Result<(), TooLong> {
        let extra = self.args.get(self.next..).unwrap_or_default();
        if self.reordered || extra.is_empty() {
            return Ok(());
        }
        let mut before = "%!(EXTRA ";
        for arg in extra {
            self.out.push_str(before)?;
            self.out.push_str(arg.type_name())?;
            self.out.push('=')?;
            print(self.out, arg, 'v', &Spec::default())?;
            before = ", ";
        }
        self.out.push(')')
    }
}

enum Leading<'a> {
    None,
    /// A number and what follows it.
    Number(usize, &'a str),
    TooLarge,
}

fn leading_number(text: &str) -> Leading<'_> {
    let mut rest = text.chars();
    let mut found = None;
    loop {
        let after = rest.as_str();
        let Some(digit) = rest.next().and_then(|c| c.to_digit(10)) else {
            return found.map_or(Leading::None, |number| Leading::Number(number, after));
        };
        let number = found.unwrap_or(0);
        if number > MAX_NUMBER {
            return Leading::TooLarge;
        }
        found = Some(number * 10 + digit as usize);
    }
}

/// One argument by its type and the verb.
fn print(out: &mut Output, arg: &Arg<'_>, verb: char, spec: &Spec) -> Result<(), TooLong> {
    if verb == 'T' {
        return text::string(out, arg.type_name(), spec);
    }
    match (arg, verb) {
        (Arg::Int(number), 'b' | 'c' | 'd' | 'o' | 'O' | 'q' | 'U' | 'v' | 'x' | 'X') => {
            number::int(out, *number, verb, spec)
        }
        (Arg::Big(number), 'b' | 'd' | 'o' | 'O' | 's' | 'v' | 'x' | 'X') => {
            number::big(out, number, verb, spec)
        }
        (Arg::Float(number), 'b' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'v' | 'x' | 'X') => {
            number::float(out, *number, verb, spec)
        }
        (Arg::Str(string), 'v') if spec.sharp_v => text::quoted(out, string, spec),
        (Arg::Str(string), 's' | 'v') => text::string(out, string, spec),
        (Arg::Str(string), 'q') => text::quoted(out, string, spec),
        (Arg::Str(string), 'x' | 'X') => text::hexadecimal(out, string.as_bytes(), verb == 'X', spec),
        _ => {
            out.push_str("%!")?;
            out.push(verb)?;
            out.push('(')?;
            if let (Arg::Big(number), false) = (arg, matches!(verb, 'p' | 'w')) {
                // Big integers report their own errors, with neither pointer nor padding.
                out.push_str(if number.negative { "big.Int=-" } else { "big.Int=" })?;
                out.push_str(&number.decimal)?;
            } else {
                out.push_str(arg.type_name())?;
                out.push('=')?;
                print(out, arg, 'v', spec)?;
            }
            out.push(')')
        }
    }
}
