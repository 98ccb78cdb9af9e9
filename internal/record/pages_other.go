//go:build !linux

package pipeline

func preferLargePages([]byte) {}
