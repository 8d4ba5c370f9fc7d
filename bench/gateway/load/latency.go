package main

import (
	"flag"
	"sort"
	"sync"
	"time"
)

// latency sends requests at a fixed rate. A request's time counts from when it was due, not from when a connection
// was free for it: a server that stalls is not spared the requests that it held up.
func latency(args []string) {
	flags := flag.NewFlagSet("latency", flag.ExitOnError)
	target := flags.String("target", "", "address")
	host := flags.String("host", "", "host name")
	n := flags.Int("connections", 64, "at once")
	seconds := flags.Float64("seconds", 2, "")
	rate := flags.Float64("rate", 1000, "requests per second")
	_ = flags.Parse(args)
	interval := time.Duration(float64(*n) / *rate * float64(time.Second))
	var mutex sync.Mutex
	var times []float64
	started := 0
	r := until(*n, *seconds, func(deadline time.Time, done *int64) error {
		c, err := dial(*target, *host, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		mutex.Lock()
		due := time.Now().Add(interval * time.Duration(started) / time.Duration(*n))
		started++
		mutex.Unlock()
		var own []float64
		for ; due.Before(deadline); due = due.Add(interval) {
			time.Sleep(time.Until(due))
			if err := c.get("/1k", *host); err != nil {
				return err
			}
			own = append(own, float64(time.Since(due))/float64(time.Millisecond))
		}
		*done = int64(len(own))
		mutex.Lock()
		times = append(times, own...)
		mutex.Unlock()
		return nil
	})
	sort.Float64s(times)
	if len(times) > 0 {
		r.P50 = times[len(times)/2]
		r.P99 = times[len(times)*99/100]
	}
	report(r)
}
