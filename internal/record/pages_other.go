//go:build !linux

package record

func preferLargePages([]byte) {}
