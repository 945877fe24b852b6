package wire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// HandlerOptions says how admission requests are answered.
type HandlerOptions struct {
	// Options are those of each review. Timeout is how long one may take at most: ten seconds if it is zero.
	Options Options
	// MaxBody is how many bytes a request may have: 3 MiB, as API servers have it, if it is zero.
	MaxBody int64
}

// Handler answers admission requests of API servers by what admits them, and is to be mounted where their webhook
// configuration sends them, such as /v1/admit. The timeout of the request (?timeout=10s) ends the review some time before the API server gives up.
//
// What was read is answered with HTTP 200, also what is refused: a failed call would leave the decision to the
// failurePolicy of the webhook configuration, which may be to let everything in.
func Handler(admit func(context.Context, []byte, Options) []byte, options HandlerOptions) http.Handler {
	longest := options.Options.Timeout
	if longest <= 0 {
		longest = 10 * time.Second
	}
	options.Options.Timeout = 0
	most := options.MaxBody
	if most <= 0 {
		most = 3 << 20
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "expected POST", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
		if err != nil {
			code := http.StatusBadRequest
			if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
				code = http.StatusRequestEntityTooLarge
			}
			http.Error(w, err.Error(), code)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeoutOf(r, longest))
		defer cancel()
		answer := admit(ctx, body, options.Options)
		w.Header().Set("Content-Type", "application/json")
		// Who is gone reads no answer.
		_, _ = w.Write(answer)
	})
}

// timeoutOf is how long a review may take, so that its answer still arrives.
func timeoutOf(r *http.Request, longest time.Duration) time.Duration {
	asked, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || asked <= 0 {
		return longest
	}
	return min(asked-asked/10, longest)
}
