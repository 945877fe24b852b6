package wire

import (
	"encoding/json"
	"fmt"
)

// Compiled is what policies came to.
type Compiled struct {
	OK          bool         `json:"ok"`
	Version     int          `json:"version"`
	Problems    []Problem    `json:"problems"`
	Templates   []Template   `json:"templates"`
	Constraints []Constraint `json:"constraints"`
	// Reads are the kinds that policies compare with, which the inventory should have. What is empty may be anything.
	Reads []Read `json:"reads"`
}

// Template is a ConstraintTemplate.
type Template struct {
	Engine string `json:"engine"`
	Kind   string `json:"kind"`
	Title  string `json:"title,omitempty"`
}

// Constraint is a constraint.
type Constraint struct {
	EnforcementAction string `json:"enforcementAction"`
	Kind              string `json:"kind"`
	Name              string `json:"name"`
}

// Read is a kind of objects.
type Read struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
}

// Inventory is what came of changes.
type Inventory struct {
	OK       bool      `json:"ok"`
	Version  int       `json:"version"`
	Objects  int       `json:"objects"`
	Problems []Problem `json:"problems"`
}

// Outcome is what came of a review.
type Outcome struct {
	OK      bool `json:"ok"`
	Version int  `json:"version"`
	// Allowed is whether it may pass.
	Allowed bool `json:"allowed"`
	// Excluded is whether a Config keeps it from being judged.
	Excluded bool     `json:"excluded"`
	Denials  []string `json:"denials"`
	Warnings []string `json:"warnings"`
	// Findings is all that is not a pass and counts.
	Findings []Finding `json:"findings"`
	// Excepted are violations that do not count because of an exception.
	Excepted []Finding  `json:"excepted"`
	Object   *Object    `json:"object,omitempty"`
	Problems []Problem  `json:"problems"`
	Results  []ResultOf `json:"results,omitempty"`
	UID      string     `json:"uid"`
	// Explanations say why, by constraint, if that was asked for.
	Explanations []Explanation `json:"explanations,omitempty"`
	// Unexplained is of how many constraints that is left out, because there was no room.
	Unexplained int `json:"unexplained,omitempty"`
	// FixesCut is whether there may be fixes that were not looked for.
	FixesCut bool `json:"fixesCut,omitempty"`
}

// Explanation says why a constraint says what it says of an object.
type Explanation struct {
	Constraint Key `json:"constraint"`
	// Applies is whether it applies at all. If it does not, Because says why, and there is nothing else.
	Applies bool   `json:"applies"`
	Because string `json:"because,omitempty"`
	// Error is why it could not be evaluated.
	Error string `json:"error,omitempty"`
	// Found are its violations, and how they came about.
	Found []Found `json:"found,omitempty"`
	// Missed are the bodies that did not hold, each as far as it came: the nearest to a violation first.
	Missed []Rule `json:"missed,omitempty"`
	// Held are, in CEL, the match conditions and validations that hold, and by what.
	Held []Rule `json:"held,omitempty"`
	// Cut is whether there was more than is told.
	Cut bool `json:"cut,omitempty"`
}

// Found is how a violation came about: the rule that made it, once for each way in which it did.
type Found struct {
	Message string `json:"message"`
	Ways    []Rule `json:"ways"`
}

// Rule is a body of a rule, with its conditions up to the one that fails.
type Rule struct {
	Rule string `json:"rule"`
	// Kind is rule, match condition, validation or variable.
	Kind       string      `json:"kind"`
	Holds      bool        `json:"holds"`
	Location   *Place      `json:"location,omitempty"`
	Conditions []Condition `json:"conditions"`
}

// Condition is a statement of a rule, what it looked at, and the rules that it asked.
type Condition struct {
	Condition string `json:"condition"`
	Holds     bool   `json:"holds"`
	Location  *Place `json:"location,omitempty"`
	Facts     []Fact `json:"facts"`
	Rules     []Rule `json:"rules"`
}

// Fact is what a condition looked at: one of Field, Parameter, Input and Name, with Exists, Value and Location; a comparison, with
// Operator, Left, Right and Holds; or a builtin, with Args and Answer. Values are JSON.
type Fact struct {
	Field     *string           `json:"field,omitempty"`
	Parameter *string           `json:"parameter,omitempty"`
	Input     *string           `json:"input,omitempty"`
	Name      *string           `json:"name,omitempty"`
	Exists    bool              `json:"exists,omitempty"`
	Value     json.RawMessage   `json:"value,omitempty"`
	Location  *Place            `json:"location,omitempty"`
	Operator  string            `json:"operator,omitempty"`
	Left      json.RawMessage   `json:"left,omitempty"`
	Right     json.RawMessage   `json:"right,omitempty"`
	Holds     bool              `json:"holds,omitempty"`
	Builtin   string            `json:"builtin,omitempty"`
	Args      []json.RawMessage `json:"args,omitempty"`
	Answer    json.RawMessage   `json:"answer,omitempty"`
}

// Fix is edits that make a finding go, all together, and no other come.
type Fix struct {
	Edits []Edit `json:"edits"`
	// IsDecided is whether the policy lets pass these values only; if not, whoever wrote the object decides them.
	IsDecided bool `json:"isDecided"`
}

// Edit is one edit of an object: add, replace or remove.
type Edit struct {
	Op   string          `json:"op"`
	Path string          `json:"path"`
	Old  json.RawMessage `json:"old,omitempty"`
	New  json.RawMessage `json:"new,omitempty"`
}

// Object says which object it was.
type Object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Namespace  string `json:"namespace"`
}

// Key names a constraint.
type Key struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Finding is a violation, or a constraint that could not be evaluated.
type Finding struct {
	Actions    []string        `json:"actions"`
	Constraint Key             `json:"constraint"`
	Details    json.RawMessage `json:"details"`
	// Error is whether it could not be determined whether the constraint holds.
	Error     bool       `json:"error"`
	Exception *Exception `json:"exception,omitempty"`
	// Fix makes it go, if that was asked for and one was found.
	Fix *Fix `json:"fix,omitempty"`
	// ImpliedBy is the expansion template that implies what it is about.
	ImpliedBy string `json:"impliedBy,omitempty"`
	// Limit is the one that was exceeded.
	Limit   string `json:"limit,omitempty"`
	Message string `json:"message"`
	// Position is where in the object's text it is.
	Position *Position `json:"position,omitempty"`
	// Source is where in the policy an evaluation broke.
	Source *Place `json:"source,omitempty"`
}

// Exception says why a violation does not count.
type Exception struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// ResultOf is what one constraint came to.
type ResultOf struct {
	Constraint Key      `json:"constraint"`
	ImpliedBy  string   `json:"impliedBy,omitempty"`
	Prints     []string `json:"prints"`
	Steps      uint64   `json:"steps"`
	Verdict    string   `json:"verdict"`
}

// Place is a range of a text. Lines and columns count from 1, columns in characters; the end is behind the last one.
type Place struct {
	Column    int    `json:"column"`
	EndColumn int    `json:"endColumn"`
	EndLine   int    `json:"endLine"`
	File      string `json:"file"`
	Line      int    `json:"line"`
}

// Position is a place and the field there.
type Position struct {
	Column    int    `json:"column"`
	EndColumn int    `json:"endColumn"`
	EndLine   int    `json:"endLine"`
	Field     string `json:"field"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	Precision string `json:"precision"`
}

// Problem is something that is wrong with an input. Decide on its code, never on its message.
type Problem struct {
	Code     string `json:"code"`
	Field    string `json:"field,omitempty"`
	Hint     string `json:"hint,omitempty"`
	Location *Place `json:"location,omitempty"`
	Message  string `json:"message"`
	Severity string `json:"severity"`
	Subject  string `json:"subject,omitempty"`
}

// String is the problem on a line.
func (p Problem) String() string {
	var text string
	if p.Location != nil {
		text = fmt.Sprintf("%s:%d:%d: ", p.Location.File, p.Location.Line, p.Location.Column)
	}
	if p.Subject != "" {
		text += p.Subject + ": "
	}
	text += p.Message
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return text
}

// Change is a change of the inventory: see Upsert, UpsertText, Remove, ReplaceKind and Unreadable.
type Change struct {
	op         string
	object     json.RawMessage
	objects    []json.RawMessage
	text       *string
	apiVersion string
	kind       string
	namespace  string
	name       string
	reason     string
}

// Upsert says that an object, in JSON, is new or has changed.
func Upsert(object []byte) Change { return Change{op: "upsert", object: object} }

// UpsertText says that all objects of a stream of YAML or JSON documents are new, or have changed.
func UpsertText(name, text string) Change { return Change{op: "upsert", name: name, text: &text} }

// Remove says that an object is gone. The namespace of what lives in none is empty.
func Remove(apiVersion, kind, namespace, name string) Change {
	return Change{op: "remove", apiVersion: apiVersion, kind: kind, namespace: namespace, name: name}
}

// ReplaceKind says that all objects of a kind are these, in JSON.
func ReplaceKind(apiVersion, kind string, objects ...json.RawMessage) Change {
	if objects == nil {
		objects = []json.RawMessage{}
	}
	return Change{op: "replace-kind", apiVersion: apiVersion, kind: kind, objects: objects}
}

// Unreadable says that it is not known what objects of a kind there are, and why: policies that compare with them cannot
// be evaluated. With an empty reason it is known again.
func Unreadable(apiVersion, kind, reason string) Change {
	return Change{op: "unreadable", apiVersion: apiVersion, kind: kind, reason: reason}
}

// MarshalJSON is the change as it stands in an inventoryRequest.
func (c Change) MarshalJSON() ([]byte, error) {
	fields := map[string]any{"op": c.op}
	for key, value := range map[string]string{
		"apiVersion": c.apiVersion, "kind": c.kind, "namespace": c.namespace, "name": c.name, "reason": c.reason,
	} {
		if value != "" {
			fields[key] = value
		}
	}
	if c.object != nil {
		fields["object"] = c.object
	}
	if c.objects != nil {
		fields["objects"] = c.objects
	}
	if c.text != nil {
		fields["text"] = *c.text
	}
	return json.Marshal(fields)
}
