//! Templates in Jinja's language, which somebody writes reports with.
//!
//! A template is trusted as the command line is: it is of who asks for the report. What it is rendered with is not, so that
//! texts are escaped for HTML where the name of the file says that it is some. It reads no other file, and the work and the
//! output are bounded, as a loop in a template is easily written by mistake.

use std::io::{self, Write};
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use portcullis::{Error, ErrorKind, Location, Source};
use serde::Serialize;

use crate::{Problem, escape};

/// Most instructions of one report.
const FUEL: u64 = 50_000_000;

/// Most bytes of one report.
const OUTPUT_BYTES: usize = 64 << 20;

/// How deep macros may call each other.
const RECURSION: usize = 100;

/// A template that was read and can be rendered.
#[derive(Clone, Debug)]
pub struct ReportTemplate(Arc<Source>);

impl ReportTemplate {
    /// A template, by the name of its file, which says whether texts are escaped: for HTML if it ends in `.html`, `.htm` or
    /// `.xml`, also before `.j2` or `.jinja`.
    ///
    /// # Errors
    ///
    /// If it is not written as templates are, with the place.
    pub fn new(name: &str, text: &str) -> Result<Self, Error> {
        let template = Self(Source::new(name, text));
        template.render_in(&environment(), None, &mut io::sink())?;
        Ok(template)
    }

    /// Renders it, or only reads it if there is nothing to render it with.
    fn render_in(
        &self,
        environment: &Environment<'_>,
        context: Option<Value>,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let template = environment
            .template_from_named_str(self.0.name(), self.0.text())
            .map_err(|error| self.error(&error))?;
        let Some(context) = context else { return Ok(()) };
        let bounded = Bounded { out, left: OUTPUT_BYTES };
        match template.render_captured_to(context, bounded) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(&error)),
        }
    }

    /// Renders it.
    pub(crate) fn render(&self, context: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
        let rendered = self.render_in(&environment(), Some(Value::from(Serde(context))), out);
        rendered.map_err(|error| io::Error::other(Problem::from(&error).to_string()))
    }

    fn error(&self, error: &minijinja::Error) -> Error {
        let why = match error.kind() {
            minijinja::ErrorKind::OutOfFuel => {
                format!("the template takes more than {FUEL} steps")
            }
            minijinja::ErrorKind::WriteFailure => {
                let source = std::error::Error::source(error).map(ToString::to_string);
                format!(
                    "the report cannot be written: {}",
                    source.unwrap_or_else(|| error.kind().to_string())
                )
            }
            kind => {
                let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
                format!("{kind}{detail}")
            }
        };
        let place = |start: usize, end: usize| {
            let narrow = |offset: usize| u32::try_from(offset.min(self.0.text().len())).unwrap_or(u32::MAX);
            Location::new(self.0.clone(), narrow(start)..narrow(end))
        };
        let at = match (error.range(), error.line()) {
            (Some(range), _) => place(range.start, range.end),
            (None, Some(line)) => {
                let lines = self.0.text().split_inclusive('\n').take(line.saturating_sub(1));
                let start = lines.map(str::len).sum();
                place(start, start)
            }
            (None, None) => place(0, 0),
        };
        Error::new(ErrorKind::InvalidValue, why).at(at)
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    environment.set_debug(true);
    // A file of text ends with a line break.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    // A field that is misspelt is an error and not an empty text; what may be missing can be asked for by `if`.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    // What objects and policies say must not speak to a terminal, whatever it is printed in.
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if text.contains(|c: char| c.is_control() && c != '\n') => {
            let shown: Vec<_> = text.split('\t').map(escape::lines).collect();
            let shown = shown.join("\t");
            let shown = if value.is_safe() { Value::from_safe_string(shown) } else { Value::from(shown) };
            minijinja::escape_formatter(out, state, &shown)
        }
        _ => minijinja::escape_formatter(out, state, value),
    });
    environment.set_auto_escape_callback(|name| {
        let name = name.to_lowercase();
        let name = name.trim_end_matches(".j2").trim_end_matches(".jinja").trim_end_matches(".jinja2");
        match name.rsplit('.').next() {
            Some("html" | "htm" | "xml") => AutoEscape::Html,
            _ => AutoEscape::None,
        }
    });
    environment
}

/// Takes no more than some bytes.
struct Bounded<'a> {
    out: &'a mut dyn Write,
    left: usize,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or_else(|| io::Error::other(format!("it has more than {OUTPUT_BYTES} bytes")))?;
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(name: &str, text: &str, context: serde_json::Value) -> Result<String, String> {
        let template = ReportTemplate::new(name, text).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        template.render(&context, &mut out).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn texts_are_escaped_by_the_name_of_the_file() {
        let context = serde_json::json!({"a": "<b>&"});
        for name in ["x.html", "x.HTML.j2", "x.htm", "x.xml.jinja"] {
            assert_eq!(render(name, "{{ a }}\n", context.clone()).unwrap(), "&lt;b&gt;&amp;\n", "{name}");
        }
        for name in ["x.md", "html", "x.txt.j2"] {
            let is_html = name == "html";
            assert_eq!(render(name, "{{ a }}", context.clone()).unwrap().contains("&lt;"), is_html, "{name}");
        }
    }

    #[test]
    fn texts_cannot_speak_to_a_terminal() {
        let context = serde_json::json!({"a": "1\u{1b}[31m\t2\n"});
        for text in ["{{ a }}", "{{ a|safe }}", "{{ a|upper }}"] {
            let shown = render("x.txt", text, context.clone()).unwrap();
            assert!(shown.starts_with("1\\u{1b}[31") && shown.ends_with("\t2\n"), "{text}: {shown:?}");
        }
    }

    #[test]
    fn mistakes_have_a_line() {
        let at = |text: &str| render("a.txt", text, serde_json::json!({"report": []})).unwrap_err();
        for text in [
            "1\n{% for %}",
            "1\n{{ reprt[0] }}",
            "1\n{{ report.x.y }}",
            "1\n{{ report|nonsense }}",
            "1\n{% include 'b' %}",
        ] {
            let error = at(text);
            assert!(error.contains("a.txt:2:"), "{text}: {error}");
        }
        assert_eq!(
            render("a.txt", "{% if report.x %}1{% endif %}2", serde_json::json!({"report": {}})).unwrap(),
            "2"
        );
    }

    #[test]
    fn work_and_output_are_bounded() {
        let nested = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        let error = render("a.txt", nested, serde_json::json!({})).unwrap_err();
        assert!(error.contains("more than 50000000 steps"), "{error}");
        let long = format!("{{% for a in range(9999) %}}{}{{% endfor %}}", "x".repeat(10_000));
        let error = render("a.txt", &long, serde_json::json!({})).unwrap_err();
        assert!(error.contains("more than 67108864 bytes"), "{error}");
    }
}
