package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"flag"
	"io"
	"log"
	"net"
	"strings"
)

// serveOrigin takes uploads and echoes WebSocket messages. What is downloaded comes from nginx.
func serveOrigin(args []string) {
	flags := flag.NewFlagSet("origin", flag.ExitOnError)
	listen := flags.String("listen", "", "address")
	_ = flags.Parse(args)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serveConn(conn)
	}
}

func serveConn(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64*1024)
	for {
		key := ""
		var length int64
		chunked := false
		for first := true; ; first = false {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimRight(line, "\r\n")
			if line == "" {
				break
			}
			name, value, _ := strings.Cut(line, ":")
			value = strings.TrimSpace(value)
			switch {
			case first:
			case strings.EqualFold(name, "content-length"):
				for _, digit := range value {
					length = length*10 + int64(digit-'0')
				}
			case strings.EqualFold(name, "transfer-encoding"):
				chunked = true
			case strings.EqualFold(name, "sec-websocket-key"):
				key = value
			}
		}
		if key != "" {
			sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			accept := base64.StdEncoding.EncodeToString(sum[:])
			if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
				"Connection: Upgrade\r\nSec-WebSocket-Accept: "+accept+"\r\n\r\n"); err != nil {
				return
			}
			echo(conn, r)
			return
		}
		if chunked {
			// A proxy that turns a length into chunks is not what is measured; say so.
			_, _ = io.WriteString(conn, "HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return
		}
		if _, err := io.CopyN(io.Discard, r, length); err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
	}
}

// echo sends every short masked message back unmasked.
func echo(conn net.Conn, r *bufio.Reader) {
	var frame [2 + 125]byte
	var head [6]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		size := int(head[1] & 0x7f)
		if size > 125 {
			return
		}
		frame[0], frame[1] = head[0], byte(size)
		if _, err := io.ReadFull(r, frame[2:2+size]); err != nil {
			return
		}
		for i := 0; i < size; i++ {
			frame[2+i] ^= head[2+i&3]
		}
		if _, err := conn.Write(frame[:2+size]); err != nil {
			return
		}
	}
}
