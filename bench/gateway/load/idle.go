package main

import (
	"flag"
	"io"
	"log"
	"os"
)

// idle opens connections, makes one request on each, says so, and holds them until its input ends.
func idle(args []string) {
	flags := flag.NewFlagSet("idle", flag.ExitOnError)
	target := flags.String("target", "", "address")
	host := flags.String("host", "", "host name")
	n := flags.Int("connections", 10000, "")
	_ = flags.Parse(args)
	var r result
	for i := 0; i < *n; i++ {
		c, err := dial(*target, *host, nil)
		if err != nil {
			log.Fatal(err)
		}
		if err := c.get("/1k", *host); err != nil {
			log.Fatal(err)
		}
		// Its buffer is not needed any more, and 10,000 of them are a lot.
		c.r = nil
		held = append(held, c)
		r.Count++
	}
	report(r)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

var held []*client
