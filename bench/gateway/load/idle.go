package main

import (
	"bufio"
	"flag"
	"io"
	"log"
	"net"
	"os"
)

// idle opens connections, makes one request on each, says so, and holds them until its input ends.
func idle(args []string) {
	flags := flag.NewFlagSet("idle", flag.ExitOnError)
	target := flags.String("target", "", "address")
	host := flags.String("host", "", "host name")
	n := flags.Int("connections", 10000, "")
	source := flags.String("source", "127.0.0.1", "own address; each has some 28,000 ports")
	_ = flags.Parse(args)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(*source)}}
	var r result
	for i := 0; i < *n; i++ {
		conn, err := dialer.Dial("tcp", *target)
		if err != nil {
			log.Fatal(err)
		}
		c := &client{conn, bufio.NewReaderSize(conn, 4096)}
		if err := c.get("/1k", *host); err != nil {
			log.Fatal(err)
		}
		// Its buffer is not needed any more, and thousands of them are a lot.
		c.r = nil
		held = append(held, c)
		r.Count++
	}
	report(r)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

var held []*client
