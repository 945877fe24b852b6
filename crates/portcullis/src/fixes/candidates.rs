//! Edits that may make a violation go: one for each value that the policy knows, of each field that it reads. Whether
//! one does is found out by trying it.

use crate::admission_policy::{Shape, shape};
use crate::names::Gvk;
use crate::path::{FieldPath, Segment};
use crate::value::{self, Value, View};

use super::edit::{Class, Edit, PLACEHOLDER};
use super::evidence::{Evidence, Known};
use super::{misfits, place, plausible, sample, structures};

/// Most edits of one object that are tried at once.
const MOST: usize = 400;

pub(super) struct Candidates<'a> {
    gvk: &'a Gvk,
    object: &'a Value,
    evidence: &'a Evidence,
    found: Vec<Edit>,
}

impl<'a> Candidates<'a> {
    pub(super) fn of(gvk: &'a Gvk, object: &'a Value, evidence: &'a Evidence) -> Vec<Edit> {
        let mut candidates = Self { gvk, object, evidence, found: Vec::new() };
        for path in &evidence.reads {
            match place::at(object, path.segments()) {
                Some(there) if !there.is_null() => candidates.existing(path, there),
                _ => candidates.missing(path, 0),
            }
        }
        for edit in structures::edits(gvk, object, evidence) {
            candidates.offer(edit);
        }
        candidates.found
    }

    fn add(&mut self, edit: Edit) {
        let is_allowed = match edit.new {
            Some(_) => plausible::may_change(&edit.path, self.object),
            None => plausible::may_go(self.gvk, &edit.path, self.object),
        };
        if is_allowed {
            self.offer(edit);
        }
    }

    /// One of which it is known that it may be made.
    fn offer(&mut self, edit: Edit) {
        if self.found.len() < MOST && !self.found.contains(&edit) {
            self.found.push(edit);
        }
    }

    fn known(&self, is_wanted: impl Fn(&Known) -> bool) -> Vec<&'a Value> {
        let evidence: &'a Evidence = self.evidence;
        evidence.known.iter().filter(|known| is_wanted(known)).map(|known| &known.value).collect()
    }

    /// What the policy knows, and what Kubernetes takes there by itself.
    fn choices(&self, path: &FieldPath) -> Vec<Value> {
        let usual = plausible::usual(self.gvk, path).map(Value::from);
        let known = self.texts().into_iter().cloned();
        let mut choices: Vec<Value> = known.chain(usual).collect();
        let mut seen = Vec::new();
        choices.retain(|choice| {
            let is_new = !seen.contains(choice);
            seen.push(choice.clone());
            is_new
        });
        choices
    }

    fn texts(&self) -> Vec<&'a Value> {
        self.known(|known| known.value.as_str().is_some_and(|text| !text.is_empty()))
    }

    /// Parameters.
    fn numbers(&self) -> Vec<Value> {
        self.known(|known| known.is_parameter && known.value.as_number().is_some())
            .into_iter()
            .cloned()
            .collect()
    }

    /// Numbers next to one that something is compared with.
    fn literals(&self) -> Vec<Value> {
        let literals = self.known(|known| !known.is_parameter).into_iter().filter_map(|literal| {
            let literal = literal.as_number()?.as_i64()?;
            Some([-1, 0, 1].into_iter().filter_map(move |step| literal.checked_add(step).map(Value::from)))
        });
        literals.flatten().collect()
    }

    fn quantities(&self) -> Vec<&'a Value> {
        self.known(|known| known.is_parameter && plausible::quantity(&known.value).is_some())
    }

    fn existing(&mut self, path: &FieldPath, there: &Value) {
        let shape = shape(self.gvk, path);
        if let Some(shape) = shape.filter(|shape| misfits::is_misfit(*shape, there)) {
            self.misfit(path, there, shape);
            return;
        }
        if path.segments() == [Segment::from("apiVersion")] {
            for version in self.texts() {
                self.add(Edit::set(path.clone(), version, Class::Choice));
            }
        }
        match there.view() {
            View::Bool(value) => self.add(Edit::set(path.clone(), &Value::from(!value), Class::Flip)),
            View::Number(_) | View::String(_) if shape == Some(Shape::TextOrNumber) => {
                self.bounds(path, there);
            }
            View::Number(_) => {
                // Who may be without it is better without it than with a number that nobody chose.
                let may_go = plausible::may_go(self.gvk, path, self.object);
                let literals = if may_go { Vec::new() } else { self.literals() };
                for number in self.numbers().into_iter().chain(literals) {
                    self.add(Edit::set(path.clone(), &number, Class::Bound));
                }
            }
            // Elements of lists go, or stay.
            View::String(_) if !matches!(path.segments().last(), Some(Segment::Index(_))) => {
                for text in self.choices(path) {
                    self.add(Edit::set(path.clone(), &text, Class::Choice));
                }
                if plausible::metadata_key(path).is_some() {
                    self.samples(path, Class::Choice);
                }
            }
            View::Array(items) => self.list(path, items),
            View::Object(_) => self.fields(path, there, shape, 0),
            _ => {}
        }
        if !matches!(there.view(), View::Array(_)) {
            let is_element = matches!(path.segments().last(), Some(Segment::Index(_)));
            let class = if is_element { Class::Element } else { Class::Removal };
            self.add(Edit::gone(path.clone(), class));
        }
        // What is read of an element says what the element is.
        if let Some(element) =
            path.parent().filter(|parent| matches!(parent.segments().last(), Some(Segment::Index(_))))
        {
            self.add(Edit::gone(element, Class::Element));
        }
    }

    /// What is not of the shape of its field.
    fn misfit(&mut self, path: &FieldPath, there: &Value, shape: Shape) {
        let is_element = matches!(path.segments().last(), Some(Segment::Index(_)));
        self.add(Edit::gone(path.clone(), if is_element { Class::Element } else { Class::Removal }));
        for edit in misfits::edits(self.gvk, path, there, shape) {
            self.offer(edit);
        }
        match shape {
            Shape::Text if is_element => {}
            Shape::Text => {
                for text in self.choices(path) {
                    self.add(Edit::set(path.clone(), &text, Class::Choice));
                }
                if plausible::metadata_key(path).is_some() {
                    self.samples(path, Class::Choice);
                }
            }
            Shape::TextOrNumber => self.bounds(path, there),
            Shape::Number => {
                for number in self.numbers() {
                    self.add(Edit::set(path.clone(), &number, Class::Bound));
                }
            }
            Shape::List => {
                for text in self.texts() {
                    self.add(Edit::set(path.clone(), &[text.clone()].into_iter().collect(), Class::Key));
                }
            }
            Shape::Bool | Shape::Fields | Shape::Map | Shape::Any => {}
        }
    }

    /// Texts by the patterns that are parameters, and one that stands for any.
    fn samples(&mut self, path: &FieldPath, class: Class) {
        let patterns = self.known(|known| known.is_parameter).into_iter().filter_map(Value::as_str);
        let samples: Vec<String> = patterns.filter_map(sample::of_pattern).collect();
        for text in samples.into_iter().chain([PLACEHOLDER.to_owned()]) {
            let edit = Edit::set(path.clone(), &Value::from(text), class);
            self.add(Edit { is_placeholder: true, ..edit });
        }
    }

    fn bounds(&mut self, path: &FieldPath, there: &Value) {
        let is_resource = path.parent().is_some_and(|parent| {
            place::last_key(&parent).is_some_and(|key| ["limits", "requests"].contains(&key))
        });
        let numbers = if is_resource { Vec::new() } else { [self.numbers(), self.literals()].concat() };
        for amount in self.quantities().into_iter().cloned().chain(numbers) {
            if amount != *there {
                self.add(Edit::set(path.clone(), &amount, Class::Bound));
            }
        }
        let is_amount = plausible::quantity(there).is_some_and(|amount| amount > 0.0);
        if let (true, Some(resources), Some(Segment::Key(key))) =
            (is_resource, path.parent().and_then(|part| part.parent()), path.segments().last())
        {
            // What is no amount is written anew.
            if !is_amount && let Some(part) = path.parent() {
                self.key(&part, key);
            }
            // As much as in the other part.
            for part in ["limits", "requests"] {
                let other = place::at(self.object, resources.child(part).child(&**key).segments());
                if let Some(other) = other.filter(|other| is_amount && *other != there) {
                    let edit = Edit::set(path.clone(), other, Class::Bound);
                    self.add(Edit { is_placeholder: true, ..edit });
                }
            }
        }
    }

    fn list(&mut self, path: &FieldPath, items: &[Value]) {
        for position in 0..items.len() {
            self.add(Edit::gone(path.child(position), Class::Element));
        }
        if items.iter().all(place::is_scalar) {
            for text in self.texts().into_iter().filter(|text| !items.contains(text)) {
                self.add(Edit::set(path.child(items.len()), text, Class::Key));
            }
            self.lists(path, items);
        }
    }

    /// The list with all that a parameter lists.
    fn lists(&mut self, path: &FieldPath, items: &[Value]) {
        for list in self.known(|known| known.is_parameter && known.value.as_array().is_some()) {
            let wanted = list.as_array().unwrap_or_default();
            let missing: Vec<Value> = wanted.iter().filter(|item| !items.contains(item)).cloned().collect();
            if missing.len() > 1 {
                let all: Value = items.iter().cloned().chain(missing).collect();
                self.add(Edit::set(path.clone(), &all, Class::Key));
            }
        }
    }

    fn fields(&mut self, path: &FieldPath, there: &Value, shape: Option<Shape>, depth: usize) {
        match shape {
            Some(Shape::Map) => {
                for key in self.texts() {
                    let Some(key) = key.as_str().filter(|key| value::get(there, key).is_none()) else {
                        continue;
                    };
                    self.key(path, key);
                }
            }
            Some(Shape::Fields) => {
                for whole in self.known(|known| known.is_parameter && known.value.as_object().is_some()) {
                    let is_of_it = value::entries(whole)
                        .all(|(key, _)| self::shape(self.gvk, &path.child(key)).is_some());
                    if is_of_it && whole != there {
                        self.add(Edit::set(path.clone(), whole, Class::Whole));
                    }
                }
                for key in self.texts().into_iter().filter_map(value::as_str) {
                    let below = path.child(key);
                    let is_missing = value::get(there, key).is_none_or(Value::is_null);
                    if is_missing && depth < 2 && self::shape(self.gvk, &below).is_some() {
                        self.missing(&below, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }

    /// A key of a map that has any.
    fn key(&mut self, path: &FieldPath, key: &str) {
        let of_map = path.clone();
        let path = path.child(key);
        let placeholder = |edit: Edit| Edit { is_placeholder: true, ..edit };
        if shape(self.gvk, &path) != Some(Shape::TextOrNumber) {
            // Which label or annotation a text of the policy is for, is not known.
            let is_metadata = plausible::metadata_key(&path).is_some();
            for text in
                self.known(|known| (known.is_parameter || !is_metadata) && known.value.as_str().is_some())
            {
                self.add(Edit::set(path.clone(), text, Class::Key));
            }
            self.samples(&path, Class::Key);
            return;
        }
        let usual = match key {
            "cpu" => "100m",
            "memory" => "128Mi",
            "ephemeral-storage" => "1Gi",
            _ => return,
        };
        for amount in self.quantities() {
            self.add(Edit::set(path.clone(), amount, Class::Key));
        }
        // What is asked for is what may be taken, as long as nobody says otherwise.
        let requests = of_map.parent().map(|resources| resources.child("requests").child(key));
        let asked = requests.and_then(|path| place::at(self.object, path.segments()));
        if let Some(asked) = asked {
            self.add(placeholder(Edit::set(path.clone(), asked, Class::Key)));
        }
        self.add(placeholder(Edit::set(path, &Value::from(usual), Class::Key)));
    }

    fn missing(&mut self, path: &FieldPath, depth: usize) {
        // A list that is not there has no elements to tell about.
        let above = place::depth(self.object, path.segments());
        let nearest: FieldPath = path.segments().iter().take(above).cloned().collect();
        if let (Some(shape), Some(there)) =
            (shape(self.gvk, &nearest), place::at(self.object, nearest.segments()))
            && above < path.segments().len()
            && misfits::is_misfit(shape, there)
        {
            self.misfit(&nearest, there, shape);
            return;
        }
        let has_index =
            path.segments().iter().skip(above).any(|segment| matches!(segment, Segment::Index(_)));
        let Some(shape) = shape(self.gvk, path).filter(|_| !has_index) else { return };
        // Of what is missing on the way, the outermost is a step.
        if let Some(Segment::Key(_)) = path.segments().get(above)
            && above + 1 < path.segments().len()
        {
            let outer: FieldPath = path.segments().iter().take(above + 1).cloned().collect();
            self.add(Edit::set(outer, &Value::new_object(), Class::Step));
        }
        match shape {
            Shape::Bool => {
                self.add(Edit::set(path.clone(), &Value::TRUE, Class::Flip));
                self.add(Edit::set(path.clone(), &Value::FALSE, Class::Flip));
            }
            Shape::Number => {
                for number in self.known(|known| known.is_parameter && known.value.as_number().is_some()) {
                    self.add(Edit::set(path.clone(), number, Class::Bound));
                }
            }
            Shape::Text => {
                let name = path.segments().last();
                if plausible::metadata_key(path).is_some()
                    && let (Some(parent), Some(Segment::Key(key))) = (path.parent(), name)
                {
                    self.key(&parent, key);
                }
                for text in self.choices(path) {
                    self.add(Edit::set(path.clone(), &text, Class::Choice));
                }
            }
            Shape::TextOrNumber => {
                if let (Some(parent), Some(Segment::Key(key))) = (path.parent(), path.segments().last()) {
                    self.key(&parent, key);
                }
            }
            Shape::List => {
                for text in self.texts() {
                    self.add(Edit::set(path.clone(), &[text.clone()].into_iter().collect(), Class::Key));
                }
                self.lists(path, &[]);
            }
            Shape::Fields | Shape::Map => {
                self.add(Edit::set(path.clone(), &Value::new_object(), Class::Step));
                self.fields(path, &Value::new_object(), Some(shape), depth);
            }
            Shape::Any => {
                // Of a kind that is not known: where others of its fields are.
                if above + 1 < path.segments().len() {
                    return;
                }
                self.add(Edit::set(path.clone(), &Value::TRUE, Class::Flip));
                self.add(Edit::set(path.clone(), &Value::FALSE, Class::Flip));
                for known in self.known(|known| known.is_parameter && place::is_scalar(&known.value)) {
                    self.add(Edit::set(path.clone(), known, Class::Choice));
                }
            }
        }
    }
}
