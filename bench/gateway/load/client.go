package main

import (
	"bufio"
	"crypto/tls"
	"net"
)

// client is one keep-alive connection.
type client struct {
	net.Conn
	r *bufio.Reader
}

// dial connects, with TLS when there is a configuration for it.
func dial(target, host string, config *tls.Config) (*client, error) {
	conn, err := net.Dial("tcp", target)
	if err != nil {
		return nil, err
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	return &client{conn, bufio.NewReaderSize(conn, 64*1024)}, nil
}

func (c *client) get(path, host string) error {
	if _, err := c.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")); err != nil {
		return err
	}
	return readAnswer(c.r)
}
