package cputime

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of CPU times in /proc, the same on all architectures of Linux that Go runs on (proc(5),
// USER_HZ).
const clockTick = 10 * time.Millisecond

// Of returns what the process with an id has used so far: user and system time of /proc/PID/stat. It reports false
// when there is no such process.
func Of(pid int) (time.Duration, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	end := bytes.LastIndexByte(b, ')') // the name may have spaces
	f := bytes.Fields(b[end+1:])
	if end < 0 || len(f) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseInt(string(f[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(f[12]), 10, 64)
	return time.Duration(user+system) * clockTick, err1 == nil && err2 == nil
}
