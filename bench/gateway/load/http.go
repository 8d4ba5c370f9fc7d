package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// readHead reads one message head and tells its status (0 for a request) and length.
func readHead(r *bufio.Reader) (status int, length int64, err error) {
	first, err := r.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if bytes.HasPrefix(first, []byte("HTTP/1.")) && len(first) > 12 {
		status, _ = strconv.Atoi(string(first[9:12]))
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return status, length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if len(name) == 14 && bytes.EqualFold(name, []byte("content-length")) {
			length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			if err != nil {
				return 0, 0, err
			}
		}
	}
}

// readAnswer reads a whole response and wants it to be a 200.
func readAnswer(r *bufio.Reader) error {
	status, length, err := readHead(r)
	if err != nil {
		return err
	}
	if status != 200 {
		return fmt.Errorf("status %d", status)
	}
	_, err = io.CopyN(io.Discard, r, length)
	return err
}
