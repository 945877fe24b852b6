package wasi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis.dev/go/wire"
)

const policy = `
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: owner}
spec:
  crd: {spec: {names: {kind: Owner}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package owner
      violation[{"msg": msg}] {
        not input.review.object.metadata.labels.owner
        msg := sprintf("%v has no owner", [input.review.object.metadata.name])
      }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Owner, metadata: {name: owned}}
`

// A policy that takes as long as it may.
const slow = `
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: slow}
spec:
  crd: {spec: {names: {kind: Slow}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package slow
      violation[{"msg": "it ended"}] {
        n := numbers.range(1, 1000)
        count([1 | x := n[_]; y := n[_]; z := n[_]; x + y == z + 5000]) == 0
      }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Slow, metadata: {name: it}}
`

const pod = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}}`

const request = `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u-1",
"operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "namespace": "shop", "name": "web",
"userInfo": {}, "object": ` + pod + `}}`

var engine *Engine

// PORTCULLIS_PIPE_WASM is portcullis-pipe.wasm.
func TestMain(m *testing.M) {
	path := os.Getenv("PORTCULLIS_PIPE_WASM")
	if path == "" {
		println("skipped: PORTCULLIS_PIPE_WASM names no module")
		os.Exit(0)
	}
	module, err := os.ReadFile(path)
	if err == nil {
		engine, err = New(context.Background(), module, nil)
	}
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	code := m.Run()
	if err := engine.Close(context.Background()); err != nil {
		println(err.Error())
		code = 1
	}
	os.Exit(code)
}

func load(t testing.TB, text string) *Policies {
	t.Helper()
	policies, err := engine.Load(wire.Document{Name: "policy.yaml", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { policies.Close() })
	return policies
}

// What all bindings answer: the same bytes.
func TestConformance(t *testing.T) {
	text, err := os.ReadFile("../../../testdata/embed/conformance.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name  string
		Steps []struct{ Call, Request, Options, Answer string }
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) < 5 {
		t.Fatalf("%v, %d cases", err, len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			var policies *Policies
			defer func() { policies.Close() }()
			ctx := context.Background()
			for i, step := range c.Steps {
				var answer []byte
				var err error
				switch step.Call {
				case "compile":
					policies.Close()
					policies, answer, err = engine.CompileJSON([]byte(step.Request))
				case "inventory":
					answer, err = policies.ApplyJSON([]byte(step.Request))
				case "review":
					answer, err = policies.ReviewJSON(ctx, []byte(step.Request), []byte(step.Options))
				case "admit":
					var allowed bool
					answer, allowed = policies.AdmitJSON(ctx, []byte(step.Request), []byte(step.Options))
					if allowed != bytes.Contains(answer, []byte(`"response":{"allowed":true`)) {
						t.Errorf("step %d: %v: %s", i, allowed, answer)
					}
				default:
					t.Fatalf("no such call: %q", step.Call)
				}
				if err != nil || string(answer) != step.Answer {
					t.Errorf("step %d: %v\nexpected %s\nfound    %s", i, err, step.Answer, answer)
				}
			}
		})
	}
}

func TestReview(t *testing.T) {
	policies := load(t, policy)
	ctx := context.Background()
	outcome, err := policies.ReviewWith(ctx, []byte(pod), wire.Options{Name: "pod.json"})
	if err != nil || outcome.Allowed || outcome.Denials[0] != "[owned] web has no owner" || outcome.Findings[0].Position.File != "pod.json" {
		t.Fatalf("%v %+v", err, outcome)
	}
	outcome, err = policies.Explain(ctx, []byte(pod), wire.Options{})
	if err != nil || outcome.Explanations[0].Found[0].Ways[0].Rule != "violation" {
		t.Fatalf("%v %+v", err, outcome)
	}
	inventory, err := policies.Apply(wire.UpsertText("n", "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"))
	if err != nil || inventory.Objects != 1 || len(policies.Compiled().Constraints) != 1 {
		t.Errorf("%v %+v", err, inventory)
	}
	if _, err := engine.Load(wire.Document{Name: "broken.yaml", Text: "kind: ["}); !strings.Contains(err.Error(), "broken.yaml:1:7") {
		t.Errorf("%v", err)
	}
	for _, object := range []string{"\xff", "kind: ["} {
		var wrong *wire.Error
		if _, err := policies.Review(ctx, []byte(object)); !errors.As(err, &wrong) {
			t.Errorf("%v", err)
		}
	}
}

func TestTheContextEndsAReview(t *testing.T) {
	policies := load(t, slow)
	options := wire.Options{Limits: wire.Limits{Steps: 1 << 40, Memory: 1 << 50}}
	for range 2 {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if outcome, err := policies.ReviewWith(ctx, []byte(pod), options); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v %+v", err, outcome)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	}
	// The call of a context that is cancelled ends, and what it began ends by its own timeout.
	options.Timeout = time.Second
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	begun := time.Now()
	if answer := policies.Admit(ctx, []byte(request), options); !bytes.Contains(answer, []byte(`"allowed":false`)) || !bytes.Contains(answer, []byte(`"uid":"u-1"`)) {
		t.Errorf("%s", answer)
	}
	if took := time.Since(begun); took > 900*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	outcome, err := policies.ReviewWith(context.Background(), []byte(pod), options)
	if err != nil || outcome.Allowed || outcome.Findings[0].Limit != "time" {
		t.Errorf("%v %+v", err, outcome)
	}
}

func TestHandlerAndClose(t *testing.T) {
	policies := load(t, policy)
	server := httptest.NewServer(policies.Handler(wire.HandlerOptions{}))
	defer server.Close()
	post := func() string {
		response, err := server.Client().Post(server.URL+"?timeout=5s", "application/json", strings.NewReader(request))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return string(text)
	}
	if answer := post(); !strings.Contains(answer, `"message":"[owned] web has no owner"`) {
		t.Errorf("%s", answer)
	}
	if policies.Close() != nil || policies.Close() != nil {
		t.Error("it may be closed twice")
	}
	if _, err := policies.Review(context.Background(), []byte(pod)); err != ErrClosed {
		t.Errorf("%v", err)
	}
	if answer := post(); !strings.Contains(answer, `"allowed":false`) || !strings.Contains(answer, `"uid":"u-1"`) {
		t.Errorf("%s", answer)
	}
}

// Reviews, contexts that end, and Close, all at once.
func TestAllAtOnce(t *testing.T) {
	policies := load(t, policy)
	var group sync.WaitGroup
	for i := range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := range 30 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n%7)*time.Millisecond)
				if outcome, err := policies.Review(ctx, []byte(pod)); err == nil && outcome.Allowed {
					t.Error("it has no owner")
				}
				cancel()
				if i == 0 && n == 20 {
					policies.Close()
				}
			}
		}()
	}
	group.Wait()
}

func BenchmarkReviewJSON(b *testing.B) {
	policies := load(b, policy)
	for b.Loop() {
		if _, err := policies.ReviewJSON(context.Background(), []byte(pod), nil); err != nil {
			b.Fatal(err)
		}
	}
}
