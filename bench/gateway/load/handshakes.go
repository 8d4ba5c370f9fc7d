package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"net"
	"sync"
	"time"
)

// firstSession gives every handshake the first session that the server offered.
type firstSession struct {
	mutex   sync.Mutex
	session *tls.ClientSessionState
}

func (c *firstSession) Get(string) (*tls.ClientSessionState, bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.session, c.session != nil
}

func (c *firstSession) Put(_ string, session *tls.ClientSessionState) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.session == nil {
		c.session = session
	}
}

// handshakes makes connections, shakes hands and hangs up.
func handshakes(args []string) {
	flags := flag.NewFlagSet("handshakes", flag.ExitOnError)
	target := flags.String("target", "", "address")
	host := flags.String("host", "", "host name")
	n := flags.Int("connections", 32, "at once")
	seconds := flags.Float64("seconds", 2, "")
	resume := flags.Bool("resume", false, "resume one session again and again")
	_ = flags.Parse(args)
	config := &tls.Config{InsecureSkipVerify: true, ServerName: *host}
	if *resume {
		sessions := &firstSession{}
		config.ClientSessionCache = sessions
		if err := firstRequest(*target, *host, config); err != nil {
			report(result{Errors: 1, Error: err.Error()})
			return
		}
		if _, ok := sessions.Get(""); !ok {
			report(result{Errors: 1, Error: "the server offers no session"})
			return
		}
	}
	report(until(*n, *seconds, func(deadline time.Time, done *int64) error {
		for time.Now().Before(deadline) {
			tcp, err := net.Dial("tcp", *target)
			if err != nil {
				return err
			}
			// So that tens of thousands of connections in TIME_WAIT do not use up the ports.
			_ = tcp.(*net.TCPConn).SetLinger(0)
			conn := tls.Client(tcp, config)
			if err := conn.Handshake(); err != nil {
				return err
			}
			if *resume && !conn.ConnectionState().DidResume {
				return errors.New("not resumed")
			}
			tcp.Close()
			*done++
		}
		return nil
	}))
}

// firstRequest reads an answer, and with it the session that TLS 1.3 servers send after the handshake.
func firstRequest(target, host string, config *tls.Config) error {
	conn, err := dial(target, host, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.get("/1k", host)
}
