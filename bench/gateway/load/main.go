// The parts of the gateway benchmark that must not become its bottleneck: an origin, Go's own reverse proxy as a
// peer, and the load that wrk and h2load cannot make. Each prints one line of JSON.
package main

import (
	"encoding/json"
	"log"
	"os"
	"time"
)

// result is what every load prints.
type result struct {
	Count   int64   `json:"count"`
	Seconds float64 `json:"seconds"`
	Errors  int64   `json:"errors"`
	// Error is one of the errors, as an example.
	Error string `json:"error,omitempty"`
	// Milliseconds, only where latency is measured.
	P50 float64 `json:"p50,omitempty"`
	P99 float64 `json:"p99,omitempty"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: load origin|proxy|handshakes|connections|transfer|websocket|latency|idle [flags]")
	}
	args := os.Args[2:]
	switch os.Args[1] {
	case "origin":
		serveOrigin(args)
	case "proxy":
		serveProxy(args)
	case "handshakes":
		handshakes(args)
	case "transfer":
		transfer(args)
	case "websocket":
		websocket(args)
	case "latency":
		latency(args)
	case "idle":
		idle(args)
	default:
		log.Fatalf("no such load: %s", os.Args[1])
	}
}

func report(r result) {
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		log.Fatal(err)
	}
}

// until runs one worker for each of n, all of which stop at the deadline, and adds up what they did.
func until(n int, seconds float64, worker func(deadline time.Time, done *int64) error) result {
	type outcome struct {
		done int64
		err  error
	}
	start := time.Now()
	deadline := start.Add(time.Duration(seconds * float64(time.Second)))
	outcomes := make(chan outcome)
	for i := 0; i < n; i++ {
		go func() {
			var o outcome
			o.err = worker(deadline, &o.done)
			outcomes <- o
		}()
	}
	var r result
	for i := 0; i < n; i++ {
		o := <-outcomes
		r.Count += o.done
		if o.err != nil {
			r.Errors++
			r.Error = o.err.Error()
		}
	}
	r.Seconds = time.Since(start).Seconds()
	return r
}
