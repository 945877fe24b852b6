package portcullis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
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

func load(t testing.TB, texts ...string) *Policies {
	t.Helper()
	var documents []Document
	for i, text := range texts {
		documents = append(documents, Document{Name: fmt.Sprintf("policy-%d.yaml", i), Text: text})
	}
	policies, err := Load(documents...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { policies.Close() })
	return policies
}

// What all bindings answer: the same bytes.
func TestConformance(t *testing.T) {
	text, err := os.ReadFile("../../testdata/embed/conformance.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name  string
		Steps []struct{ Call, Request, Options, Answer string }
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 5 {
		t.Fatalf("only %d cases", len(cases))
	}
	strictly := func(t *testing.T, answer []byte, into any) {
		decoder := json.NewDecoder(bytes.NewReader(answer))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(into); err != nil {
			t.Errorf("%v: %s", err, answer)
		}
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			var policies *Policies
			defer func() { policies.Close() }()
			for i, step := range c.Steps {
				var answer []byte
				var err error
				ctx := context.Background()
				switch step.Call {
				case "compile":
					policies.Close()
					policies, answer = CompileJSON([]byte(step.Request))
					strictly(t, answer, &Compiled{})
				case "inventory":
					answer, err = policies.ApplyJSON([]byte(step.Request))
					strictly(t, answer, &Inventory{})
				case "review":
					answer, err = policies.ReviewJSON(ctx, []byte(step.Request), []byte(step.Options))
					strictly(t, answer, &Outcome{})
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
	if constraints := policies.Compiled().Constraints; len(constraints) != 1 || constraints[0].Name != "owned" {
		t.Fatalf("%+v", constraints)
	}
	outcome, err := policies.ReviewWith(context.Background(), []byte(pod), Options{Name: "pod.json", Results: true})
	if err != nil || outcome.Allowed || len(outcome.Findings) != 1 || outcome.Denials[0] != "[owned] web has no owner" {
		t.Fatalf("%v %+v", err, outcome)
	}
	if position := outcome.Findings[0].Position; position == nil || position.File != "pod.json" || position.Line != 1 {
		t.Errorf("%+v", position)
	}
	if len(outcome.Results) != 1 || outcome.Results[0].Verdict != "violations" {
		t.Errorf("%+v", outcome.Results)
	}
	if _, err := policies.Review(context.Background(), []byte("kind: [")); !strings.Contains(fmt.Sprint(err), "object:1:7: this `[` is not closed") {
		t.Errorf("%v", err)
	}
}

func TestExplain(t *testing.T) {
	policies := load(t, policy)
	outcome, err := policies.Explain(context.Background(), []byte(pod), Options{Name: "pod.json", Fixes: true})
	if err != nil || outcome.Allowed || len(outcome.Explanations) != 1 || outcome.Unexplained != 0 {
		t.Fatalf("%v %+v", err, outcome)
	}
	why := outcome.Explanations[0]
	if !why.Applies || why.Constraint != (Key{Kind: "Owner", Name: "owned"}) || len(why.Found) != 1 || why.Found[0].Message != "web has no owner" {
		t.Fatalf("%+v", why)
	}
	condition := why.Found[0].Ways[0].Conditions[0]
	if !condition.Holds || condition.Condition != "not input.review.object.metadata.labels.owner" || condition.Location.Line != 12 {
		t.Errorf("%+v", condition)
	}
	fact := condition.Facts[0]
	if fact.Field == nil || *fact.Field != "metadata.labels.owner" || fact.Exists || fact.Location.File != "pod.json" {
		t.Errorf("%+v", fact)
	}
	fix := outcome.Findings[0].Fix
	if fix == nil || fix.IsDecided || len(fix.Edits) != 1 || fix.Edits[0].Op != "add" || !strings.HasPrefix(fix.Edits[0].Path, "metadata.labels") {
		t.Errorf("%+v", fix)
	}
	// Without being asked nothing is told.
	if outcome, err := policies.Review(context.Background(), []byte(pod)); err != nil || outcome.Explanations != nil || outcome.Findings[0].Fix != nil {
		t.Errorf("%v %+v", err, outcome)
	}
}

func TestWrongPolicies(t *testing.T) {
	_, err := Load(Document{Name: "broken.yaml", Text: "kind: ["}, Document{Name: "policy.yaml", Text: policy})
	var wrong *Error
	if !errors.As(err, &wrong) || len(wrong.Problems) != 1 || wrong.Problems[0].Code != "syntax" {
		t.Errorf("%v", err)
	}
	if _, err := Load(); err == nil {
		t.Error("nothing would be enforced")
	}
	policies, err := Compile(CompileOptions{Partial: true}, Document{Name: "broken.yaml", Text: "kind: ["}, Document{Name: "policy.yaml", Text: policy})
	if err != nil || len(policies.Compiled().Problems) != 1 {
		t.Fatalf("%v", err)
	}
	policies.Close()
}

func TestInventory(t *testing.T) {
	policies := load(t, policy)
	inventory, err := policies.Apply(
		Upsert([]byte(pod)), UpsertText("more.yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"),
		ReplaceKind("v1", "Service"), Unreadable("v1", "Secret", "forbidden"), Unreadable("v1", "Secret", ""),
	)
	if err != nil || inventory.Objects != 2 {
		t.Fatalf("%v %+v", err, inventory)
	}
	inventory, err = policies.Apply(Remove("v1", "Pod", "shop", "web"), Upsert([]byte("1")))
	var wrong *Error
	if !errors.As(err, &wrong) || inventory.Objects != 1 || wrong.Problems[0].Subject != "changes[1]" {
		t.Errorf("%v %+v", err, inventory)
	}
}

func TestTheContextEndsAReview(t *testing.T) {
	policies := load(t, slow)
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	options := Options{Limits: Limits{Steps: 1 << 40, Memory: 1 << 50}}
	if outcome, err := policies.ReviewWith(ctx, []byte(pod), options); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v %+v", err, outcome)
	}
	answer := policies.Admit(ctx, []byte(request), options)
	if !bytes.Contains(answer, []byte(`"allowed":false`)) || !bytes.Contains(answer, []byte(`did not end in time`)) {
		t.Errorf("%s", answer)
	}
	options.Timeout = 20 * time.Millisecond
	outcome, err := policies.ReviewWith(context.Background(), []byte(pod), options)
	if err != nil || outcome.Allowed || outcome.Findings[0].Limit != "time" {
		t.Errorf("%v %+v", err, outcome)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if _, err := policies.Review(ctx, []byte(pod)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// late is a context whose timer has not come yet, though its deadline has.
type late struct{ context.Context }

func (late) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

func TestADeadlineEndsAReviewThoughItsTimerIsLate(t *testing.T) {
	policies := load(t, policy)
	if outcome, err := policies.Review(late{context.Background()}, []byte(pod)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v %+v", err, outcome)
	}
}

func TestClosed(t *testing.T) {
	policies := load(t, policy)
	if policies.Close() != nil || policies.Close() != nil {
		t.Error("it may be closed twice")
	}
	if _, err := policies.Review(context.Background(), []byte(pod)); err != ErrClosed {
		t.Errorf("%v", err)
	}
	if _, err := policies.Apply(); err != ErrClosed {
		t.Errorf("%v", err)
	}
	if answer := policies.Admit(context.Background(), []byte(request), Options{}); !bytes.Contains(answer, []byte(`"allowed":false`)) {
		t.Errorf("%s", answer)
	}
}

// Reviews, changes, contexts that end, and Close, all at once: for the race detector.
func TestAllAtOnce(t *testing.T) {
	policies := load(t, policy)
	var group sync.WaitGroup
	for i := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := range 50 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n%7)*100*time.Microsecond)
				outcome, err := policies.Review(ctx, []byte(pod))
				if err == nil && outcome.Allowed {
					t.Error("it has no owner")
				}
				if i == 0 {
					policies.Apply(Upsert([]byte(pod)), Remove("v1", "Pod", "shop", "web"))
				}
				if i == 1 && n == 40 {
					policies.Close()
				}
				cancel()
			}
		}()
	}
	group.Wait()
}

func TestHandler(t *testing.T) {
	policies := load(t, policy)
	mux := http.NewServeMux()
	mux.Handle("/v1/admit", policies.Handler(HandlerOptions{MaxBody: 4096}))
	server := httptest.NewServer(mux)
	defer server.Close()
	post := func(body string) (int, string) {
		response, err := http.Post(server.URL+"/v1/admit?timeout=5s", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(text)
	}
	code, answer := post(request)
	expected := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"allowed":false,` +
		`"status":{"code":403,"message":"[owned] web has no owner","reason":"Forbidden"},"uid":"u-1"}}`
	if code != 200 || answer != expected {
		t.Errorf("%d %s", code, answer)
	}
	if code, answer := post("{"); code != 200 || !strings.Contains(answer, `"allowed":false`) {
		t.Errorf("%d %s", code, answer)
	}
	if code, _ := post(strings.Repeat(" ", 5000)); code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d", code)
	}
	response, err := http.Get(server.URL + "/v1/admit")
	if err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("%v %v", err, response)
	}
}

// What is not closed is freed all the same, and reviews keep nothing.
func TestNothingLeaks(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector keeps memory of its own")
	}
	// A policy set of which nobody takes care would be some 200 kB each time, and 48 MB after 240.
	round := func(closing bool) {
		for n := range 80 {
			policies, err := Load(Document{Name: "policy.yaml", Text: policy})
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				ctx, cancel := context.WithCancel(context.Background())
				if _, err := policies.Review(ctx, []byte(pod)); err != nil {
					t.Fatal(err)
				}
				cancel()
			}
			policies.Apply(Upsert([]byte(pod)))
			if closing {
				policies.Close()
			} else if n%10 == 0 {
				runtime.GC()
			}
		}
		for range 3 {
			runtime.GC()
			time.Sleep(10 * time.Millisecond)
		}
	}
	for _, closing := range []bool{true, false} {
		round(closing)
		before, goroutines := resident(t), runtime.NumGoroutine()
		for range 3 {
			round(closing)
		}
		grown := resident(t) - before
		t.Logf("closed: %v, grown by %d kB", closing, grown>>10)
		if grown > 6<<20 {
			t.Errorf("closed: %v, it has grown by %d bytes", closing, grown)
		}
		if now := runtime.NumGoroutine(); now > goroutines+1 {
			t.Errorf("%d goroutines, and %d before", now, goroutines)
		}
	}
}

// resident is the memory of this process, in bytes.
func resident(t testing.TB) int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("skipped: there is no /proc/self/statm")
	}
	var total, pages int
	if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func BenchmarkReview(b *testing.B) {
	policies := load(b, policy)
	for b.Loop() {
		if _, err := policies.Review(context.Background(), []byte(pod)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReviewJSON(b *testing.B) {
	policies := load(b, policy)
	for b.Loop() {
		if _, err := policies.ReviewJSON(context.Background(), []byte(pod), nil); err != nil {
			b.Fatal(err)
		}
	}
}
