module sandport.dev/bench

go 1.19
