package main

import (
	"flag"
	"fmt"
	"time"
)

// transfer moves bodies down or up over a few keep-alive connections, and counts bytes.
func transfer(args []string) {
	flags := flag.NewFlagSet("transfer", flag.ExitOnError)
	target := flags.String("target", "", "address")
	host := flags.String("host", "", "host name")
	n := flags.Int("connections", 8, "at once")
	seconds := flags.Float64("seconds", 2, "")
	size := flags.Int("bytes", 10<<20, "of one body")
	path := flags.String("path", "", "to GET; none: PUT")
	_ = flags.Parse(args)
	body := make([]byte, 256<<10)
	head := fmt.Sprintf("PUT /upload HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", *host, *size)
	report(until(*n, *seconds, func(deadline time.Time, done *int64) error {
		c, err := dial(*target, *host, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		for time.Now().Before(deadline) {
			if *path != "" {
				err = c.get(*path, *host)
			} else {
				err = c.put(head, body, *size)
			}
			if err != nil {
				return err
			}
			*done += int64(*size)
		}
		return nil
	}))
}

func (c *client) put(head string, body []byte, size int) error {
	if _, err := c.Write([]byte(head)); err != nil {
		return err
	}
	for left := size; left > 0; {
		part := body
		if left < len(part) {
			part = part[:left]
		}
		written, err := c.Write(part)
		if err != nil {
			return err
		}
		left -= written
	}
	return readAnswer(c.r)
}
