package transcode

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// nobody is the user and the group that own no file.
const nobody = 65534

// ownNamespaces returns a child a network without interfaces, and and messages of its own, in a user namespace that
// gives it no rights outside (namespaces(7), user_namespaces(7)).
func ownNamespaces(cmd *exec.Cmd) {
	const own = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	cmd.SysProcAttr.Cloneflags |= own
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = nobody, nobody // root's files are not for the child
	}
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: uid, Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: gid, Size: 1}}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}
}

// limit bounds a process that has just started and was sent nothing yet.
func limit(pid int, memory int64) error {
	limits := map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 64, unix.RLIMIT_FSIZE: 0}
	if memory > 0 {
		limits[unix.RLIMIT_DATA] = uint64(memory)
	}
	for what, n := range limits {
		if err := unix.Prlimit(pid, what, &unix.Rlimit{Cur: n, Max: n}, nil); err != nil {
			return fmt.Errorf("limiting resource %d of process %d to %d: %w", what, pid, n, err)
		}
	}
	return nil
}
