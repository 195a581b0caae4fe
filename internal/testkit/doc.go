// Package testkit holds what the tests of many packages need: how long they wait, how they wait, golden files, programs
// that must be installed, free ports and the output of processes. It imports nothing of the module, so that the tests
// of every package can use it. docs/testing.md says how tests are written with it.
package testkit
