// Package portcullis judges Kubernetes objects and admission requests by OPA Gatekeeper's ConstraintTemplates and
// Constraints: may this pass, and if not, why?
//
// Policies are compiled once and may be used by all goroutines at once. What could not be judged is an error or a
// refusal, and never a pass.
//
// The engine is a static library, linked with cgo: see docs/embedding.md for how it is made.
package portcullis

/*
#cgo linux LDFLAGS: -L${SRCDIR}/lib -l:libportcullis_c.a -lm -lpthread -ldl
#cgo darwin LDFLAGS: -L${SRCDIR}/lib -lportcullis_c
#cgo noescape portcullis_compile
#cgo nocallback portcullis_compile
#cgo noescape portcullis_inventory
#cgo nocallback portcullis_inventory
#cgo noescape portcullis_review
#cgo nocallback portcullis_review
#cgo noescape portcullis_admit
#cgo nocallback portcullis_admit
#include "portcullis.h"
*/
import "C"

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"unsafe"

	"portcullis.dev/go/wire"
)

// Policies are compiled, and hold what they compare with. All methods may be called from all goroutines.
type Policies struct {
	// Calls hold it for reading, so that nobody takes the engine away from under them.
	mutex    sync.RWMutex
	engine   *C.PortcullisEngine
	cleanup  runtime.Cleanup
	compiled Compiled
}

// Load compiles policies of which all have to be right.
func Load(documents ...Document) (*Policies, error) {
	return Compile(CompileOptions{}, documents...)
}

// Compile compiles policies. The error is an *Error if something is wrong with them.
func Compile(options CompileOptions, documents ...Document) (*Policies, error) {
	request, err := wire.CompileRequest(options, documents)
	if err != nil {
		return nil, err
	}
	policies, answer := CompileJSON(request)
	var compiled Compiled
	if err := json.Unmarshal(answer, &compiled); err != nil {
		policies.Close()
		return nil, fmt.Errorf("portcullis: %w", err)
	}
	if policies == nil {
		return nil, &Error{Problems: compiled.Problems}
	}
	policies.compiled = compiled
	return policies, nil
}

// CompileJSON takes a compileRequest and gives a compileAnswer, and policies if there are any.
func CompileJSON(request []byte) (*Policies, []byte) {
	var engine *C.PortcullisEngine
	answer, _ := take(C.portcullis_compile(pointer(request), C.size_t(len(request)), &engine))
	if engine == nil {
		return nil, answer
	}
	policies := &Policies{engine: engine}
	policies.cleanup = runtime.AddCleanup(policies, func(engine *C.PortcullisEngine) {
		C.portcullis_engine_free(engine)
	}, engine)
	return policies, answer
}

// Compiled says what there is, and what is odd about it. It is empty for policies of CompileJSON.
func (p *Policies) Compiled() Compiled { return p.compiled }

// Close frees what the policies hold, when the calls that are under way have ended. It may be called twice. Policies that
// are not closed are freed when nobody holds them any more.
func (p *Policies) Close() error {
	if p == nil {
		return nil
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.engine != nil {
		p.cleanup.Stop()
		C.portcullis_engine_free(p.engine)
		p.engine = nil
	}
	return nil
}

// Review judges an object, or an AdmissionReview, in YAML or JSON. The end of the context ends the review.
func (p *Policies) Review(ctx context.Context, object []byte) (*Outcome, error) {
	return p.ReviewWith(ctx, object, Options{})
}

// ReviewWith is Review with options.
func (p *Policies) ReviewWith(ctx context.Context, object []byte, options Options) (*Outcome, error) {
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

// Explain says why constraints say what they say of an object: the conditions of their rules, with what each read and where it
// stands. It is of all constraints, unless the options say otherwise. Outcome.Unexplained is how many there was no room for.
func (p *Policies) Explain(ctx context.Context, object []byte, options Options) (*Outcome, error) {
	if options.Explain == "" {
		options.Explain = ExplainAll
	}
	return p.ReviewWith(ctx, object, options)
}

// ReviewJSON takes an object and options in JSON, or none, and gives a reviewAnswer. The error is that of the context,
// or ErrClosed.
func (p *Policies) ReviewJSON(ctx context.Context, object, options []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	if p.engine == nil {
		return nil, ErrClosed
	}
	stop, done := stopOf(ctx)
	defer done()
	answer, _ := take(C.portcullis_review(p.engine, pointer(object), C.size_t(len(object)), pointer(options), C.size_t(len(options)), stop))
	// What was cut off is no verdict.
	if err := wire.Ended(ctx); err != nil {
		return nil, err
	}
	return answer, nil
}

// Admit answers an admission request: the body that an API server sends in, the body that it is answered with out. There
// is always an answer: what cannot be read, judged, or finished while the context lasts is refused.
func (p *Policies) Admit(ctx context.Context, body []byte, options Options) []byte {
	written, err := options.JSON()
	if err != nil {
		// No options are as broken as these.
		written = []byte("!")
	}
	answer, _ := p.AdmitJSON(ctx, body, written)
	return answer
}

// AdmitJSON is Admit with options in JSON, or none. It also says whether the request is allowed.
func (p *Policies) AdmitJSON(ctx context.Context, body, options []byte) ([]byte, bool) {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	stop, done := stopOf(ctx)
	defer done()
	// Without an engine it is a refusal.
	return take(C.portcullis_admit(p.engine, pointer(body), C.size_t(len(body)), pointer(options), C.size_t(len(options)), stop))
}

// Handler answers admission requests of API servers, and is to be mounted where their webhook configuration sends them,
// such as /v1/admit. The timeout of the request (?timeout=10s) ends the review some time before the API server gives up.
func (p *Policies) Handler(options HandlerOptions) http.Handler {
	return wire.Handler(p.Admit, options)
}

// Apply changes what policies compare with. Changes that are wrong are in the *Error; those beside them are done.
func (p *Policies) Apply(changes ...Change) (Inventory, error) {
	request, err := wire.InventoryRequest(changes)
	if err != nil {
		return Inventory{}, err
	}
	answer, err := p.ApplyJSON(request)
	if err != nil {
		return Inventory{}, err
	}
	return wire.ReadInventory(answer)
}

// ApplyJSON takes an inventoryRequest and gives an inventoryAnswer. The error is ErrClosed.
func (p *Policies) ApplyJSON(request []byte) ([]byte, error) {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	if p.engine == nil {
		return nil, ErrClosed
	}
	answer, _ := take(C.portcullis_inventory(p.engine, pointer(request), C.size_t(len(request))))
	return answer, nil
}

// stopOf makes what ends a review when the context ends; none for a context without an end. The second value is called
// when the review has ended.
func stopOf(ctx context.Context) (*C.PortcullisStop, func()) {
	if ctx.Done() == nil {
		return nil, func() {}
	}
	stop := C.portcullis_stop_new()
	set := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		C.portcullis_stop_set(stop)
		close(set)
	})
	return stop, func() {
		// Who has begun to set it still needs it.
		if !cancel() {
			<-set
		}
		C.portcullis_stop_free(stop)
	}
}

// pointer is that of the first byte. Nothing of it is kept by the call that gets it.
func pointer(bytes []byte) *C.uint8_t {
	return (*C.uint8_t)(unsafe.SliceData(bytes))
}

// take copies an answer and frees it.
func take(answer C.PortcullisAnswer) ([]byte, bool) {
	copied := bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(answer.data)), int(answer.len)))
	C.portcullis_answer_free(answer)
	return copied, bool(answer.good)
}
