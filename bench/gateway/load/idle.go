package main

import (
	"bufio"
	"crypto/tls"
	"flag"
	"io"
	"log"
	"net"
	"os"
	"syscall"
)

// idle opens connections, makes one request on each, says so, and holds them until its input ends.
func idle(args []string) {
	flags := flag.NewFlagSet("idle", flag.ExitOnError)
	target := flags.String("target", "", "address")
	host := flags.String("host", "", "host name")
	n := flags.Int("connections", 10000, "")
	secure := flags.Bool("tls", false, "in TLS")
	source := flags.String("source", "127.0.0.1", "own address; each has some 28,000 ports")
	_ = flags.Parse(args)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(*source)}, Control: chooseLate}
	var r result
	for i := 0; i < *n; i++ {
		conn, err := dialer.Dial("tcp", *target)
		if err != nil {
			log.Fatal(err)
		}
		if *secure {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: *host})
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

// The port is chosen with the connection: before it, every one that an earlier load used not long ago counts as taken
// (ip(7), IP_BIND_ADDRESS_NO_PORT).
func chooseLate(_, _ string, conn syscall.RawConn) error {
	const bindAddressNoPort = 24
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1)
	})
	if err != nil {
		return err
	}
	return failed
}
