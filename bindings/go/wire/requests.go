// Package wire is what goes into the engine and what comes out of it, as docs/embed.schema.json of the project has it. The
// packages that have an engine share it, and name it as their own; it needs neither cgo nor a runtime.
package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrClosed is what calls get of policies that were closed.
var ErrClosed = errors.New("portcullis: the policies are closed")

// Document is a text of YAML or JSON documents, and what problems call it.
type Document struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// CompileOptions says how policies are compiled. The zero value is for those who enforce: all of the policies count, or none.
type CompileOptions struct {
	// AllowUnsupported makes what of Gatekeeper's is not supported a warning.
	AllowUnsupported bool
	// Partial takes what is good, whatever is wrong beside it.
	Partial bool
	// RegoOnly runs the Rego of templates that have CEL as well, which is run otherwise. A template in CEL only is an error then.
	RegoOnly bool
}

// CompileRequest is a compileRequest, in JSON.
func CompileRequest(options CompileOptions, documents []Document) ([]byte, error) {
	if documents == nil {
		documents = []Document{}
	}
	engines := "cel-first"
	if options.RegoOnly {
		engines = "rego-only"
	}
	return json.Marshal(map[string]any{
		"version": 1, "documents": documents, "allowUnsupported": options.AllowUnsupported, "partial": options.Partial,
		"engines": engines,
	})
}

// InventoryRequest is an inventoryRequest, in JSON.
func InventoryRequest(changes []Change) ([]byte, error) {
	if changes == nil {
		changes = []Change{}
	}
	return json.Marshal(map[string]any{"version": 1, "changes": changes})
}

// ReadOutcome reads a reviewAnswer. The error is an *Error if it could not be judged.
func ReadOutcome(answer []byte) (*Outcome, error) {
	outcome := &Outcome{}
	if err := json.Unmarshal(answer, outcome); err != nil {
		return nil, fmt.Errorf("portcullis: %w", err)
	}
	if !outcome.OK {
		return nil, &Error{outcome.Problems}
	}
	return outcome, nil
}

// ReadInventory reads an inventoryAnswer. The error is an *Error if a change was wrong; the others are done.
func ReadInventory(answer []byte) (Inventory, error) {
	var inventory Inventory
	if err := json.Unmarshal(answer, &inventory); err != nil {
		return Inventory{}, fmt.Errorf("portcullis: %w", err)
	}
	if !inventory.OK {
		return inventory, &Error{inventory.Problems}
	}
	return inventory, nil
}

// Error is what is wrong with an input.
type Error struct {
	Problems []Problem
}

// Error has each error on a line; warnings are left out.
func (e *Error) Error() string {
	var lines []string
	for _, problem := range e.Problems {
		if problem.Severity != "warning" {
			lines = append(lines, problem.String())
		}
	}
	return "portcullis: " + strings.Join(lines, "\n")
}

// Options says how something is reviewed. The zero value is for an admission webhook.
type Options struct {
	// Name is what positions call the object.
	Name string
	// Point is where it is enforced: WebhookPoint if it is empty.
	Point Point
	// Namespace is the Namespace that the object lives in, in JSON, if the inventory has it not.
	Namespace json.RawMessage
	// DefaultNamespace is where objects live that name none though their kind lives in one.
	DefaultNamespace string
	// Now is the time that policies see. The zero time is that of the call.
	Now time.Time
	// Seed is what random numbers of policies are derived from.
	Seed uint64
	// Timeout ends the review, as the end of the context does.
	Timeout time.Duration
	// Limits are what each evaluation may use.
	Limits Limits
	// FindingsBytes is about how many bytes all findings together may have.
	FindingsBytes int
	// NoPositions leaves out where findings are, which costs the most.
	NoPositions bool
	// Results asks for what every constraint came to.
	Results bool
	// Explain asks why constraints say what they say: see Policies.Explain.
	Explain Explain
	// ExplanationsBytes is about how many bytes all explanations together may have.
	ExplanationsBytes int
	// Fixes asks for edits that make findings go, each tried and judged again by all constraints: Finding.Fix.
	Fixes bool
}

// Explain says of which constraints it is told why. The zero value is of none.
type Explain string

// Of which constraints it is told why.
const (
	// ExplainFindings is of those that find something in the object itself.
	ExplainFindings Explain = "findings"
	// ExplainAll is of all, also those that pass or do not apply.
	ExplainAll Explain = "all"
)

// Limits are what each evaluation may use. Zero is what is usual.
type Limits struct {
	Steps  uint64 `json:"steps,omitempty"`
	Memory uint64 `json:"memory,omitempty"`
	Depth  uint32 `json:"depth,omitempty"`
	Output uint64 `json:"output,omitempty"`
}

// Point is where constraints are enforced.
type Point string

// The points that Gatekeeper knows.
const (
	WebhookPoint         Point = "validation.gatekeeper.sh"
	AuditPoint           Point = "audit.gatekeeper.sh"
	CommandLinePoint     Point = "gator.gatekeeper.sh"
	AdmissionPolicyPoint Point = "vap.k8s.io"
)

// JSON is the options as a review takes them.
func (o *Options) JSON() ([]byte, error) {
	now := o.Now
	if now.IsZero() {
		now = time.Now()
	}
	written := struct {
		Name              string          `json:"name,omitempty"`
		Point             Point           `json:"point,omitempty"`
		Namespace         json.RawMessage `json:"namespace,omitempty"`
		DefaultNamespace  string          `json:"defaultNamespace,omitempty"`
		NowMs             int64           `json:"nowMs"`
		Seed              uint64          `json:"seed,omitempty"`
		TimeoutMs         *int64          `json:"timeoutMs,omitempty"`
		Limits            *Limits         `json:"limits,omitempty"`
		FindingsBytes     int             `json:"findingsBytes,omitempty"`
		Positions         *bool           `json:"positions,omitempty"`
		Results           bool            `json:"results,omitempty"`
		Explain           Explain         `json:"explain,omitempty"`
		ExplanationsBytes int             `json:"explanationsBytes,omitempty"`
		Fixes             bool            `json:"fixes,omitempty"`
	}{
		Name: o.Name, Point: o.Point, Namespace: o.Namespace, DefaultNamespace: o.DefaultNamespace, NowMs: now.UnixMilli(),
		Seed: o.Seed, FindingsBytes: o.FindingsBytes, Results: o.Results,
		Explain: o.Explain, ExplanationsBytes: o.ExplanationsBytes, Fixes: o.Fixes,
	}
	if o.Timeout != 0 {
		// One that is over already is over at once; others have a millisecond at least.
		timeout := max((o.Timeout + time.Millisecond - 1).Milliseconds(), 0)
		written.TimeoutMs = &timeout
	}
	if o.Limits != (Limits{}) {
		written.Limits = &o.Limits
	}
	if o.NoPositions {
		positions := false
		written.Positions = &positions
	}
	return json.Marshal(written)
}

// Ended is why a context has ended, or nil. It has ended at its deadline, also where its timer comes late: on a busy machine
// a review that was cut off there may be over before.
func Ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, has := ctx.Deadline(); has && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}
