//go:build !linux

package main

import "syscall"

// peak is a process's largest resident set in bytes.
func peak(usage *syscall.Rusage) int64 { return usage.Maxrss }
