package wasi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/tetratelabs/wazero"
)

// pipe is one run of the program: a line in, a line out. One call at a time.
type pipe struct {
	in    *io.PipeWriter
	out   *bufio.Reader
	ended chan error
	// What broke it, if something did: nothing that it says after that is believed.
	broken error
	said   *tail
}

// start runs the program until its input ends.
func start(e *Engine) *pipe {
	stdin, in := io.Pipe()
	out, stdout := io.Pipe()
	said := &tail{}
	config := wazero.NewModuleConfig().WithName("").WithStdin(stdin).WithStdout(stdout).WithStderr(said).
		WithSysWalltime().WithSysNanotime()
	p := &pipe{in: in, out: bufio.NewReaderSize(out, 1<<16), ended: make(chan error, 1), said: said}
	go func() {
		module, err := e.runtime.InstantiateModule(context.Background(), e.module, config)
		if module != nil {
			_ = module.Close(context.Background())
		}
		// Who writes or reads is told.
		_ = stdin.CloseWithError(io.ErrClosedPipe)
		_ = stdout.CloseWithError(io.ErrUnexpectedEOF)
		p.ended <- err
	}()
	return p
}

// ask writes a line and reads its answer.
func (p *pipe) ask(line []byte) ([]byte, error) {
	if p.broken != nil {
		return nil, p.broken
	}
	_, err := p.in.Write(line)
	var answer []byte
	if err == nil {
		answer, err = p.out.ReadBytes('\n')
	}
	if err != nil {
		if end := <-p.ended; end != nil {
			err = end
		}
		p.ended <- err
		p.broken = fmt.Errorf("portcullis: the module ended, and its policies have to be compiled again: %w%s", err, p.said)
		return nil, p.broken
	}
	return bytes.TrimSuffix(answer, []byte("\n")), nil
}

// end ends the program, and waits until it has.
func (p *pipe) end() {
	_ = p.in.Close()
	err := <-p.ended
	p.ended <- err
}

// tail is the first 4 KiB of what the program said of itself. It is read when the program has ended.
type tail struct{ text bytes.Buffer }

func (t *tail) Write(part []byte) (int, error) {
	if room := 4096 - t.text.Len(); room > 0 {
		t.text.Write(part[:min(room, len(part))])
	}
	return len(part), nil
}

func (t *tail) String() string {
	if t.text.Len() == 0 {
		return ""
	}
	return ": " + t.text.String()
}
