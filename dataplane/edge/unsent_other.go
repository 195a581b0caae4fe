//go:build !linux

package edge

import "net"

func boundUnsent(net.Conn) {}

// answersOf is not known here.
func answersOf(net.Conn) (a answers, known bool) { return answers{}, false }
