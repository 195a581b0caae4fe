// Package cputime measures the CPU time of processes: this one's (getrusage(2)) and another's by its id (proc(5)).
//
// Where the system does not tell, times are 0, and limits on CPU refuse nobody.
package cputime
