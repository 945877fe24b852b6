package portcullis

import (
	"encoding/json"

	"portcullis.dev/go/wire"
)

// What goes in and what comes out. It is in a package of its own, which needs no cgo.
type (
	Change         = wire.Change
	CompileOptions = wire.CompileOptions
	Compiled       = wire.Compiled
	Condition      = wire.Condition
	Constraint     = wire.Constraint
	Document       = wire.Document
	Edit           = wire.Edit
	Error          = wire.Error
	Exception      = wire.Exception
	Explain        = wire.Explain
	Explanation    = wire.Explanation
	Fact           = wire.Fact
	Finding        = wire.Finding
	Fix            = wire.Fix
	Found          = wire.Found
	HandlerOptions = wire.HandlerOptions
	Inventory      = wire.Inventory
	Key            = wire.Key
	Limits         = wire.Limits
	Object         = wire.Object
	Options        = wire.Options
	Outcome        = wire.Outcome
	Place          = wire.Place
	Point          = wire.Point
	Position       = wire.Position
	Problem        = wire.Problem
	Read           = wire.Read
	ResultOf       = wire.ResultOf
	Rule           = wire.Rule
	Template       = wire.Template
)

// ErrClosed is what calls get of policies that were closed.
var ErrClosed = wire.ErrClosed

// The points that Gatekeeper knows.
const (
	WebhookPoint         = wire.WebhookPoint
	AuditPoint           = wire.AuditPoint
	CommandLinePoint     = wire.CommandLinePoint
	AdmissionPolicyPoint = wire.AdmissionPolicyPoint
)

// Of which constraints it is told why: those that find something in the object itself, or all.
const (
	ExplainFindings = wire.ExplainFindings
	ExplainAll      = wire.ExplainAll
)

// Upsert says that an object, in JSON, is new or has changed.
func Upsert(object []byte) Change { return wire.Upsert(object) }

// UpsertText says that all objects of a stream of YAML or JSON documents are new, or have changed.
func UpsertText(name, text string) Change { return wire.UpsertText(name, text) }

// Remove says that an object is gone. The namespace of what lives in none is empty.
func Remove(apiVersion, kind, namespace, name string) Change {
	return wire.Remove(apiVersion, kind, namespace, name)
}

// ReplaceKind says that all objects of a kind are these, in JSON.
func ReplaceKind(apiVersion, kind string, objects ...json.RawMessage) Change {
	return wire.ReplaceKind(apiVersion, kind, objects...)
}

// Unreadable says that it is not known what objects of a kind there are, and why: policies that compare with them cannot
// be evaluated. With an empty reason it is known again.
func Unreadable(apiVersion, kind, reason string) Change {
	return wire.Unreadable(apiVersion, kind, reason)
}
