//go:build !linux

package testsrc

import "os/exec"

// dieWithParent does nothing where the system has no such signal: the child ends when its standard input closes.
func dieWithParent(*exec.Cmd) {}
