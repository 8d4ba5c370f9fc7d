package main

import (
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

// serveProxy is the reverse proxy of Go's standard library with a table of host names before it.
func serveProxy(args []string) {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	plain := flags.String("listen", "", "address for HTTP")
	secure := flags.String("listen-tls", "", "address for HTTPS")
	cert := flags.String("cert", "", "file")
	key := flags.String("key", "", "file")
	routes := flags.String("routes", "", "host=address, with commas between")
	_ = flags.Parse(args)
	table := map[string]string{}
	for _, route := range strings.Split(*routes, ",") {
		host, address, _ := strings.Cut(route, "=")
		table[host] = address
	}
	proxy := &httputil.ReverseProxy{
		Director: func(r *http.Request) {
			r.URL.Scheme = "http"
			r.URL.Host = table[strings.ToLower(strings.Split(r.Host, ":")[0])]
		},
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1024,
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
		},
		ErrorLog: log.Default(),
	}
	go func() { log.Fatal(http.ListenAndServe(*plain, proxy)) }()
	log.Fatal(http.ListenAndServeTLS(*secure, *cert, *key, proxy))
}
