//! The page that is written: lines, indentation, and the comments of the source on their way to it.
//!
//! Comments are placed by the rows of the source. Each is written exactly once: on lines of its own
//! before what stands below it, or at the end of the line of what it stood beside. Where a layout has no
//! line break for a comment, writing fails with [`Stuck`]; whoever can go back to a [`Mark`] does so, and
//! writes that part of the source as it is.

use crate::ast::{Else, Expr, ExprKind, Head, Module, Rule, Statement};
use crate::span::Span;
use crate::visit::{Visitor, walk_else, walk_expr, walk_head, walk_module, walk_rule, walk_statement};

/// A comment stands where the layout has no line break.
#[derive(Debug)]
pub(super) struct Stuck;

pub(super) type Written = Result<(), Stuck>;

pub(super) struct Page<'m> {
    source: &'m str,
    /// Offsets of the beginnings of lines, ascending; the first is 0.
    line_starts: Vec<u32>,
    /// All comments, in order.
    comments: Vec<Remark<'m>>,
    /// The first comment that is not written, pending or taken.
    next: usize,
    /// The comment to be written at the end of the current line.
    pending: Option<usize>,
    out: String,
    level: usize,
    /// Nothing is written on the current line yet, not even indentation.
    at_line_start: bool,
}

/// A comment of the source.
struct Remark<'m> {
    text: &'m str,
    start: u32,
    row: usize,
    /// Where the innermost part of a statement or list begins that contains the comment and can be
    /// written as it is. Nothing that begins before may have the comment.
    unit: Option<u32>,
    /// Written by whoever took it.
    is_taken: bool,
    /// Begins a block of annotations.
    is_metadata: bool,
}

/// A place on the page to go back to.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    next: usize,
    pending: Option<usize>,
    length: usize,
    level: usize,
    at_line_start: bool,
}

impl<'m> Page<'m> {
    pub(super) fn new(source: &'m str, module: &Module) -> Self {
        let line_starts: Vec<u32> = std::iter::once(0)
            .chain(source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1))
            .filter_map(|at| u32::try_from(at).ok())
            .collect();
        let mut page = Self {
            source,
            line_starts,
            comments: Vec::with_capacity(module.comments.len()),
            next: 0,
            pending: None,
            out: String::with_capacity(source.len() + source.len() / 8),
            level: 0,
            at_line_start: true,
        };
        for comment in &module.comments {
            let text = comment.span.text(source).trim_end();
            let row = page.row(comment.span.start);
            let is_first = page.line_starts.get(row.wrapping_sub(1)) == Some(&comment.span.start);
            let is_metadata = is_first && text.trim_start_matches('#').trim_start().starts_with("METADATA");
            let start = comment.span.start;
            page.comments.push(Remark { text, start, row, unit: None, is_taken: false, is_metadata });
        }
        let mut units = Units { comments: &mut page.comments };
        walk_module(&mut units, module);
        page
    }

    /// The row of an offset in the source, from 1.
    pub(super) fn row(&self, at: u32) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    /// The source of the line that `at` is on, from its beginning.
    pub(super) fn line_of(&self, at: u32) -> &'m str {
        let row = self.row(at);
        let start = self.line_starts.get(row.wrapping_sub(1)).copied().unwrap_or(0);
        let end = self.line_starts.get(row).copied().unwrap_or(u32::MAX);
        let end = end.min(u32::try_from(self.source.len()).unwrap_or(u32::MAX));
        Span::new(start, end).text(self.source)
    }

    pub(super) const fn source(&self) -> &'m str {
        self.source
    }

    pub(super) const fn mark(&self) -> Mark {
        Mark {
            next: self.next,
            pending: self.pending,
            length: self.out.len(),
            level: self.level,
            at_line_start: self.at_line_start,
        }
    }

    pub(super) fn back_to(&mut self, mark: Mark) {
        self.out.truncate(mark.length);
        self.next = mark.next;
        self.pending = mark.pending;
        self.level = mark.level;
        self.at_line_start = mark.at_line_start;
    }

    pub(super) const fn indent(&mut self) {
        self.level += 1;
    }

    pub(super) const fn outdent(&mut self) {
        self.level = self.level.saturating_sub(1);
    }

    pub(super) const fn is_at_line_start(&self) -> bool {
        self.at_line_start
    }

    /// Writes text within a line; literals may contain line breaks.
    pub(super) fn write(&mut self, text: &str) {
        if self.at_line_start {
            self.out.extend(std::iter::repeat_n('\t', self.level));
            self.at_line_start = false;
        }
        self.out.push_str(text);
    }

    /// Ends the line, with the comment that belongs to it.
    pub(super) fn newline(&mut self) {
        if let Some(comment) = self.pending.take().and_then(|index| self.comments.get(index)) {
            let text = comment.text;
            if !self.at_line_start {
                self.out.push(' ');
            }
            self.write(text);
        }
        self.break_line();
    }

    /// Ends the line before what begins at `at` in the source: a comment that comes after that stays
    /// pending.
    pub(super) fn newline_before(&mut self, at: u32) {
        let stays =
            self.pending.and_then(|index| self.comments.get(index)).is_some_and(|comment| comment.start > at);
        if stays {
            self.break_line();
        } else {
            self.newline();
        }
    }

    fn break_line(&mut self) {
        self.out.push('\n');
        self.at_line_start = true;
    }

    /// Ends the line if there is one, and leaves one blank line; never two, and none at the beginning.
    pub(super) fn blank_line(&mut self) {
        if !self.at_line_start || self.pending.is_some() {
            self.newline();
        }
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// Comes to what begins at `at` in the source: writes the comments above, and keeps one on the same
    /// row for the end of the line.
    pub(super) fn visit(&mut self, at: u32) -> Written {
        let row = self.row(at);
        self.comments_above(row)?;
        self.keep_beside(row, at, u32::MAX)
    }

    /// Comes to the end of what lies at `span`, before `until`: a comment beside it is kept for the end
    /// of the line. Fails if one within was passed over.
    pub(super) fn leave(&mut self, span: Span, until: u32) -> Written {
        if self.upcoming().is_some_and(|comment| comment.start < span.end) {
            return Err(Stuck);
        }
        let last = span.end.saturating_sub(1).max(span.start);
        self.keep_beside(self.row(last), span.start, until)
    }

    /// Comes to a closing bracket on a line of its own: the comments before it are within.
    pub(super) fn visit_close(&mut self, at: u32) -> Written {
        self.comments_above(self.row(at))?;
        self.outdent();
        Ok(())
    }

    /// Comes to a closing bracket on the same line: no comment may be before it.
    pub(super) fn pass_close(&self, at: u32) -> Written {
        if self.has_comments(0, at) { Err(Stuck) } else { Ok(()) }
    }

    fn keep_beside(&mut self, row: usize, from: u32, until: u32) -> Written {
        self.skip_taken();
        let belongs = |comment: &Remark<'_>| {
            comment.row == row && comment.start < until && comment.unit.is_none_or(|unit| unit <= from)
        };
        if self.upcoming().is_some_and(belongs) {
            if self.pending.is_some() {
                return Err(Stuck);
            }
            self.pending = Some(self.next);
            self.next += 1;
        }
        Ok(())
    }

    /// Writes the comments of the rows before `row`, each on a line of its own, with single blank lines
    /// where the source has some.
    pub(super) fn comments_above(&mut self, row: usize) -> Written {
        let mut last: Option<usize> = None;
        let mut in_metadata = false;
        self.skip_taken();
        while let Some(&Remark { text, row: at, is_metadata, .. }) =
            self.comments.get(self.next).filter(|comment| comment.row < row)
        {
            if !self.at_line_start {
                return Err(Stuck);
            }
            match last {
                Some(last) if at > last + 1 => {
                    self.blank_line();
                    in_metadata = false;
                }
                Some(_) if in_metadata && is_metadata => self.blank_line(),
                _ => {}
            }
            in_metadata |= is_metadata;
            self.write(text);
            self.break_line();
            last = Some(at);
            self.next += 1;
            self.skip_taken();
        }
        if last.is_some_and(|last| row > last + 1) {
            self.blank_line();
        }
        Ok(())
    }

    /// Writes all that is left, line by line.
    pub(super) fn remaining_comments(&mut self) {
        self.skip_taken();
        while let Some(comment) = self.comments.get(self.next) {
            let text = comment.text;
            self.write(text);
            self.break_line();
            self.next += 1;
            self.skip_taken();
        }
    }

    /// Takes the comment on the row of `at` out of turn, if there is one; the caller writes it.
    pub(super) fn take_beside(&mut self, at: u32) -> Option<&'m str> {
        let row = self.row(at);
        let index = self.comments.partition_point(|comment| comment.row < row);
        let comment = self.comments.get_mut(index).filter(|comment| comment.row == row)?;
        if index < self.next || comment.is_taken {
            return None;
        }
        comment.is_taken = true;
        Some(comment.text)
    }

    /// Whether comments from `start` to before `end` are still to be written, none of them pending.
    pub(super) fn has_comments(&self, start: u32, end: u32) -> bool {
        self.upcoming().is_some_and(|comment| comment.start < end)
            && self
                .comments
                .iter()
                .skip(self.next)
                .take_while(|comment| comment.start < end)
                .any(|comment| comment.start >= start)
    }

    /// Whether a comment stands between the last line and `row`, or waits for the end of this line.
    pub(super) fn has_comments_above(&self, row: usize) -> bool {
        self.pending.is_some() || self.upcoming().is_some_and(|comment| comment.row < row)
    }

    /// Writes what lies at `span` as it is in the source, its comments with it.
    pub(super) fn verbatim(&mut self, span: Span, until: u32) -> Written {
        self.comments_above(self.row(span.start))?;
        let within = |comment: &Remark<'_>| span.start <= comment.start && comment.start < span.end;
        if self.pending.and_then(|index| self.comments.get(index)).is_some_and(within) {
            self.pending = None;
        }
        let text = span.text(self.source);
        if text.contains('\r') && !text.contains('`') {
            self.write(&text.replace("\r\n", "\n"));
        } else {
            self.write(text);
        }
        while self.upcoming().is_some_and(|comment| comment.start < span.end) {
            self.next += 1;
        }
        self.leave(span, until)
    }

    fn upcoming(&self) -> Option<&Remark<'m>> {
        self.comments.iter().skip(self.next).find(|comment| !comment.is_taken)
    }

    fn skip_taken(&mut self) {
        while self.comments.get(self.next).is_some_and(|comment| comment.is_taken) {
            self.next += 1;
        }
    }

    /// The text, with exactly one line break at its end.
    pub(super) fn finish(mut self) -> String {
        if !self.at_line_start || self.pending.is_some() {
            self.newline();
        }
        let length = self.out.trim_end_matches('\n').len();
        self.out.truncate(length);
        self.out.push('\n');
        self.out
    }
}

/// Finds the [unit](Remark::unit) of every comment.
struct Units<'p, 'm> {
    comments: &'p mut [Remark<'m>],
}

impl Units<'_, '_> {
    /// Inner units come after outer ones, and so have the last word.
    fn mark(&mut self, span: Span) {
        let first = self.comments.partition_point(|comment| comment.start < span.start);
        for comment in self.comments.iter_mut().skip(first) {
            if comment.start >= span.end {
                break;
            }
            comment.unit = Some(span.start);
        }
    }
}

impl<'m> Visitor<'m> for Units<'_, '_> {
    fn visit_rule(&mut self, rule: &'m Rule) {
        self.mark(rule.span);
        walk_rule(self, rule);
    }

    fn visit_else(&mut self, other: &'m Else) {
        self.mark(other.span);
        walk_else(self, other);
    }

    fn visit_statement(&mut self, statement: &'m Statement) {
        self.mark(statement.span);
        walk_statement(self, statement);
    }

    fn visit_head(&mut self, head: &'m Head) {
        for param in head.params.iter().flatten() {
            self.mark(param.span);
        }
        walk_head(self, head);
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        match &expr.kind {
            ExprKind::Array(items) | ExprKind::Set(items) => {
                for item in items {
                    self.mark(item.span);
                }
            }
            ExprKind::Object(entries) => {
                for entry in entries {
                    self.mark(entry.key.span.to(entry.value.span));
                }
            }
            ExprKind::Call(call) => {
                for item in &call.args {
                    self.mark(item.span);
                }
            }
            _ => {}
        }
        walk_expr(self, expr);
    }
}
