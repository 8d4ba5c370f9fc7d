package main

import (
	"flag"
	"fmt"
	"io"
	"time"
)

// websocket sends a message on each connection, waits for its echo, and sends the next.
func websocket(args []string) {
	flags := flag.NewFlagSet("websocket", flag.ExitOnError)
	target := flags.String("target", "", "address")
	host := flags.String("host", "", "host name")
	n := flags.Int("connections", 64, "at once")
	seconds := flags.Float64("seconds", 2, "")
	size := flags.Int("bytes", 64, "of a message, at most 125")
	_ = flags.Parse(args)
	open := fmt.Sprintf("GET /echo HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", *host)
	report(until(*n, *seconds, func(deadline time.Time, done *int64) error {
		c, err := dial(*target, *host, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte(open)); err != nil {
			return err
		}
		status, _, err := readHead(c.r)
		if err != nil {
			return err
		}
		if status != 101 {
			return fmt.Errorf("status %d", status)
		}
		frame := make([]byte, 6+*size)
		frame[0], frame[1] = 0x82, 0x80|byte(*size)
		answer := make([]byte, 2+*size)
		for time.Now().Before(deadline) {
			if _, err := c.Write(frame); err != nil {
				return err
			}
			if _, err := io.ReadFull(c.r, answer); err != nil {
				return err
			}
			*done++
		}
		return nil
	}))
}
