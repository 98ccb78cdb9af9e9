// Package monitor lets a long run be watched: metrics for Prometheus, health and
// readiness over HTTP, a log that does not repeat itself, and what systemd wants
// to be told.
//
// A run describes itself as a Tail; nothing here counts anything. Each scrape
// asks the Tail for what its outputs have counted:
//
//	          ┌─ Outputs ──> /metrics   numbers, by output and file
//	Tail ─────┼─ Outputs ──> /readyz    do all outputs take spans?
//	          └─ Checks ───> /healthz   do all pipelines turn?
//	                    └──> Watchdog   the same, told to systemd
//
// Paths of logs and the words of servers pass through all of these. They are
// escaped everywhere: no control character and no bidi control gets out.
package monitor
