// Package inorder does work on many things at once and keeps their order.
package inorder

import (
	"iter"
	"runtime"
	"sync"
)

// Each calls work for each of items, for several at a time, and take for what
// comes of them: in the order of items, and one at a time. It ends after the last
// one, or when take returns false; all goroutines have ended then. No more than a
// few items are between items and take. items runs in a goroutine of its own.
func Each[In, Out any](items iter.Seq[In], work func(In) Out, take func(Out) bool) {
	type job struct {
		in   In
		out  Out
		done chan struct{}
	}
	workers := runtime.GOMAXPROCS(0)
	jobs := make(chan *job)
	ordered := make(chan *job, 2*workers)
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		defer close(ordered)
		defer close(jobs)
		started := 0
		for in := range items {
			j := &job{in: in, done: make(chan struct{})}
			select {
			case <-stop:
				return
			case ordered <- j:
			}
			if started < workers { // few items need no more
				started++
				group.Go(func() {
					for j := range jobs {
						j.out = work(j.in)
						close(j.done)
					}
				})
			}
			jobs <- j
		}
	})
	going := true
	for j := range ordered {
		<-j.done
		if going && !take(j.out) {
			going = false
			close(stop)
		}
	}
	group.Wait()
}
