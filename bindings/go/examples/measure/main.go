// What a review costs from Go: measure DIRECTORY ROUNDS [COUNT]. The directory is written by the example `measure` of
// crates/embed. With COUNT, so many reviews are made after that, and the memory of the process is shown as they go.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"

	portcullis "portcullis.dev/go"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: measure DIRECTORY ROUNDS [COUNT]")
	}
	request := read("compile.json")
	policies, answer := portcullis.CompileJSON(request)
	if policies == nil {
		log.Fatalf("%s", answer)
	}
	defer policies.Close()
	var objects [][]byte
	for bytes := read("objects"); len(bytes) >= 4; {
		size := binary.LittleEndian.Uint32(bytes)
		objects = append(objects, bytes[4:4+size])
		bytes = bytes[4+size:]
	}
	plain := context.Background()
	ending, cancel := context.WithTimeout(plain, time.Hour)
	defer cancel()
	places, none := []byte(`{"nowMs":0}`), []byte(`{"nowMs":0,"positions":false}`)
	measure("ReviewJSON, without positions", objects, func(object []byte) (any, error) {
		return policies.ReviewJSON(plain, object, none)
	})
	measure("ReviewJSON, with positions", objects, func(object []byte) (any, error) {
		return policies.ReviewJSON(plain, object, places)
	})
	measure("ReviewJSON, with positions and a deadline", objects, func(object []byte) (any, error) {
		return policies.ReviewJSON(ending, object, places)
	})
	measure("Review, without positions, and a deadline", objects, func(object []byte) (any, error) {
		return policies.ReviewWith(ending, object, portcullis.Options{NoPositions: true})
	})
	measure("Review, with positions and a deadline", objects, func(object []byte) (any, error) {
		return policies.Review(ending, object)
	})
	if len(os.Args) < 4 {
		return
	}
	total := number(os.Args[3])
	for done := range total {
		if done%(total/10+1) == 0 {
			fmt.Printf("Go: %d reviews, %d kB\n", done, resident())
		}
		if _, err := policies.ReviewJSON(ending, objects[done%len(objects)], none); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("Go: %d reviews, %d kB\n", total, resident())
}

// measure takes of each object the best: who else uses the machine makes single ones slower, and never faster.
func measure(name string, objects [][]byte, review func([]byte) (any, error)) {
	var sum time.Duration
	rounds := number(os.Args[2])
	for _, object := range objects {
		best := time.Duration(1 << 62)
		for range rounds {
			begun := time.Now()
			_, _ = review(object)
			best = min(best, time.Since(begun))
		}
		sum += best
	}
	fmt.Printf("Go, %s: %.1f µs a review\n", name, float64(sum.Nanoseconds())/1e3/float64(len(objects)))
}

func read(name string) []byte {
	bytes, err := os.ReadFile(filepath.Join(os.Args[1], name))
	if err != nil {
		log.Fatal(err)
	}
	return bytes
}

func number(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return number
}

func resident() int {
	var total, pages int
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		_, _ = fmt.Sscan(string(text), &total, &pages)
	}
	return pages * os.Getpagesize() / 1024
}
