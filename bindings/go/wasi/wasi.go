// Package wasi judges Kubernetes objects and admission requests without cgo: the engine is portcullis-pipe as a module of
// WASI, in the runtime wazero, which is written in Go. It has the calls of the package portcullis.dev/go, says the same, and
// shares its types; reviews take longer, and those of one Policies wait for each other.
package wasi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"portcullis.dev/go/wire"
)

// memoryPages is what one Policies may grow to: 1 GiB, in pages of 64 KiB.
const memoryPages = 1 << 14

// ErrClosed is what calls get of policies that were closed.
var ErrClosed = wire.ErrClosed

// Engine is the module, compiled. It may be used by all goroutines.
type Engine struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

// New compiles portcullis-pipe.wasm, which takes some seconds. Who starts often keeps what comes of it:
// wazero.NewCompilationCacheWithDir, given as the cache, or nil.
func New(ctx context.Context, module []byte, cache wazero.CompilationCache) (*Engine, error) {
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(memoryPages)
	if cache != nil {
		config = config.WithCompilationCache(cache)
	}
	runtime := wazero.NewRuntimeWithConfig(ctx, config)
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, runtime); err != nil {
		return nil, errors.Join(err, runtime.Close(ctx))
	}
	compiled, err := runtime.CompileModule(ctx, module)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("portcullis: the module: %w", err), runtime.Close(ctx))
	}
	return &Engine{runtime, compiled}, nil
}

// Close ends all of it, also policies that were not closed.
func (e *Engine) Close(ctx context.Context) error { return e.runtime.Close(ctx) }

// Load compiles policies of which all have to be right.
func (e *Engine) Load(documents ...wire.Document) (*Policies, error) {
	return e.Compile(wire.CompileOptions{}, documents...)
}

// Compile compiles policies. The error is a *wire.Error if something is wrong with them.
func (e *Engine) Compile(options wire.CompileOptions, documents ...wire.Document) (*Policies, error) {
	request, err := wire.CompileRequest(options, documents)
	if err != nil {
		return nil, err
	}
	policies, answer, err := e.CompileJSON(request)
	if err != nil {
		return nil, err
	}
	var compiled wire.Compiled
	if err := json.Unmarshal(answer, &compiled); err != nil {
		policies.Close()
		return nil, fmt.Errorf("portcullis: %w", err)
	}
	if policies == nil {
		return nil, &wire.Error{Problems: compiled.Problems}
	}
	policies.compiled = compiled
	return policies, nil
}

// CompileJSON takes a compileRequest and gives a compileAnswer, and policies if there are any. The error is that of the
// module, which ends without an answer only if it is broken or out of memory.
func (e *Engine) CompileJSON(request []byte) (*Policies, []byte, error) {
	line, err := line("compile", request, nil)
	if err != nil {
		return nil, nil, err
	}
	policies := &Policies{pipe: start(e), turn: make(chan struct{}, 1)}
	answer, err := policies.pipe.ask(line)
	if err != nil {
		policies.Close()
		return nil, nil, err
	}
	var good struct{ OK bool }
	if json.Unmarshal(answer, &good) != nil || !good.OK {
		policies.Close()
		return nil, answer, nil
	}
	return policies, answer, nil
}

// Policies are compiled, and hold what they compare with. All methods may be called from all goroutines; calls wait for
// each other. They have memory of their own, up to 1 GiB, which is freed with them.
type Policies struct {
	// Who has put something in has the pipe.
	turn     chan struct{}
	pipe     *pipe
	isClosed bool
	compiled wire.Compiled
}

// Compiled says what there is, and what is odd about it. It is empty for policies of CompileJSON.
func (p *Policies) Compiled() wire.Compiled { return p.compiled }

// Close frees what the policies hold, when the call that is under way has ended. It may be called twice.
func (p *Policies) Close() error {
	if p == nil {
		return nil
	}
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if !p.isClosed {
		p.isClosed = true
		p.pipe.end()
	}
	return nil
}

// Review judges an object, or an AdmissionReview, in YAML or JSON. A review ends at the deadline of the context. Of a context
// that is cancelled, the call ends at once, and what is under way is not waited for; its limits end it.
func (p *Policies) Review(ctx context.Context, object []byte) (*wire.Outcome, error) {
	return p.ReviewWith(ctx, object, wire.Options{})
}

// ReviewWith is Review with options.
func (p *Policies) ReviewWith(ctx context.Context, object []byte, options wire.Options) (*wire.Outcome, error) {
	written, err := options.JSON()
	if err != nil {
		return nil, err
	}
	answer, err := p.ReviewJSON(ctx, object, written)
	if err != nil {
		return nil, err
	}
	return wire.ReadOutcome(answer)
}

// Explain says why constraints say what they say of an object. It is of all constraints, unless the options say otherwise.
func (p *Policies) Explain(ctx context.Context, object []byte, options wire.Options) (*wire.Outcome, error) {
	if options.Explain == "" {
		options.Explain = wire.ExplainAll
	}
	return p.ReviewWith(ctx, object, options)
}

// ReviewJSON takes an object and options in JSON, or none, and gives a reviewAnswer.
func (p *Policies) ReviewJSON(ctx context.Context, object, options []byte) ([]byte, error) {
	return p.call(ctx, "review", object, options)
}

// Admit answers an admission request: the body that an API server sends in, the body that it is answered with out. There
// is always an answer: what cannot be read, judged, or finished while the context lasts is refused.
func (p *Policies) Admit(ctx context.Context, body []byte, options wire.Options) []byte {
	written, err := options.JSON()
	if err != nil {
		return refusal(body, err)
	}
	answer, _ := p.AdmitJSON(ctx, body, written)
	return answer
}

// AdmitJSON is Admit with options in JSON, or none. It also says whether the request is allowed.
func (p *Policies) AdmitJSON(ctx context.Context, body, options []byte) ([]byte, bool) {
	answer, err := p.call(ctx, "admit", body, options)
	if err != nil {
		return refusal(body, err), false
	}
	var said struct{ Response struct{ Allowed bool } }
	if err := json.Unmarshal(answer, &said); err != nil {
		return refusal(body, err), false
	}
	return answer, said.Response.Allowed
}

// Handler answers admission requests of API servers: see the package portcullis.dev/go.
func (p *Policies) Handler(options wire.HandlerOptions) http.Handler {
	return wire.Handler(p.Admit, options)
}

// Apply changes what policies compare with. Changes that are wrong are in the *wire.Error; those beside them are done.
func (p *Policies) Apply(changes ...wire.Change) (wire.Inventory, error) {
	request, err := wire.InventoryRequest(changes)
	if err != nil {
		return wire.Inventory{}, err
	}
	answer, err := p.ApplyJSON(request)
	if err != nil {
		return wire.Inventory{}, err
	}
	return wire.ReadInventory(answer)
}

// ApplyJSON takes an inventoryRequest and gives an inventoryAnswer.
func (p *Policies) ApplyJSON(request []byte) ([]byte, error) {
	return p.call(context.Background(), "inventory", request, nil)
}

// call asks, and waits for the answer while the context lasts.
func (p *Policies) call(ctx context.Context, name string, request, options []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.isClosed {
		<-p.turn
		return nil, ErrClosed
	}
	line, err := line(name, request, ending(ctx, options))
	if err != nil {
		<-p.turn
		return nil, err
	}
	type answered struct {
		answer []byte
		err    error
	}
	done := make(chan answered, 1)
	go func() {
		answer, err := p.pipe.ask(line)
		<-p.turn
		done <- answered{answer, err}
	}()
	select {
	case said := <-done:
		// What was cut off is no verdict.
		if err := wire.Ended(ctx); err != nil && name != "inventory" {
			return nil, err
		}
		return said.answer, said.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ending is options with the deadline of a context in them, if that is earlier. Options that are no JSON stay so, for the
// engine to refuse.
func ending(ctx context.Context, options []byte) []byte {
	deadline, has := ctx.Deadline()
	if !has {
		return options
	}
	fields := map[string]json.RawMessage{}
	if len(options) > 0 && json.Unmarshal(options, &fields) != nil {
		return options
	}
	// The context ends first, so that it is the context's end that the caller is told.
	left := max(time.Until(deadline).Milliseconds()+1, 0)
	var given int64
	if text, has := fields["timeoutMs"]; has && (json.Unmarshal(text, &given) != nil || given <= left) {
		return options
	}
	fields["timeoutMs"], _ = json.Marshal(left)
	written, err := json.Marshal(fields)
	if err != nil {
		return options
	}
	return written
}

// line is a call as the pipe reads it.
func line(call string, request, options []byte) ([]byte, error) {
	for _, text := range [][]byte{request, options} {
		// A text of JSON has no other bytes; they would be replaced without a word.
		if !utf8.Valid(text) {
			problem := wire.Problem{Code: "syntax", Message: "it is not UTF-8", Severity: "error", Subject: call}
			return nil, &wire.Error{Problems: []wire.Problem{problem}}
		}
	}
	written, err := json.Marshal(struct {
		Call    string `json:"call"`
		Request string `json:"request"`
		Options string `json:"options,omitempty"`
	}{call, string(request), string(options)})
	if err != nil {
		return nil, err
	}
	return append(written, '\n'), nil
}

// refusal is what an API server is answered when the engine did not answer.
func refusal(body []byte, why error) []byte {
	var asked struct {
		APIVersion string
		Request    struct{ UID string }
	}
	_ = json.Unmarshal(body, &asked)
	version := "admission.k8s.io/v1"
	if asked.APIVersion == "admission.k8s.io/v1beta1" {
		version = asked.APIVersion
	}
	if len(asked.Request.UID) > 256 {
		asked.Request.UID = ""
	}
	message := fmt.Sprintf("the request cannot be judged: %v", why)
	if errors.Is(why, context.DeadlineExceeded) {
		message = "the request cannot be judged: the review did not end in time"
	}
	// Neither texts nor a whole number fail to be written.
	answer, _ := json.Marshal(map[string]any{
		"apiVersion": version,
		"kind":       "AdmissionReview",
		"response": map[string]any{
			"allowed": false,
			"status":  map[string]any{"code": 500, "message": message, "reason": "InternalError"},
			"uid":     asked.Request.UID,
		},
	})
	return answer
}
