//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// beNode is the first process of a node, in namespaces of its own: it makes the node's view of the machine, starts its
// daemons, starts again what ends, and collects orphans. All of the node ends when it ends.
func beNode(file string) error {
	body, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading what to start with: %w", err)
	}
	var b birth
	if err := json.Unmarshal(body, &b); err != nil {
		return fmt.Errorf("reading what to start with: %w", err)
	}
	if err := unix.Sethostname([]byte(b.Name)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	if err := b.mount(); err != nil {
		return err
	}
	if err := b.network(); err != nil {
		return err
	}
	return b.supervise()
}

func (b birth) mount() error {
	var failed []error
	do := func(source, target, kind string, flags uintptr, data string) {
		if err := unix.Mount(source, target, kind, flags, data); err != nil {
			failed = append(failed, fmt.Errorf("mounting %s on %s: %w", source, target, err))
		}
	}
	dir := func(path string) {
		if err := os.MkdirAll(path, 0o755); err != nil {
			failed = append(failed, err)
		}
	}
	do("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	do("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	// A sysfs that shows the node's own network, with the machine's cgroups in it.
	cgroups := filepath.Join(b.Dir, "cgroups")
	dir(cgroups)
	do("/sys/fs/cgroup", cgroups, "", unix.MS_BIND|unix.MS_REC, "")
	do("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	do(cgroups, "/sys/fs/cgroup", "", unix.MS_BIND|unix.MS_REC, "")
	if err := unix.Unmount(cgroups, unix.MNT_DETACH); err != nil {
		failed = append(failed, fmt.Errorf("unmounting %s: %w", cgroups, err))
	}
	do("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755")
	dir("/run/netns")
	dir("/run/containerd")
	for own, at := range b.Mounts {
		do(own, at, "", unix.MS_BIND, "")
	}
	for name, content := range map[string]string{"hosts": "127.0.0.1 localhost\n" + b.Address + " " + b.Name + "\n",
		"resolv.conf": ""} {
		own := filepath.Join(b.Dir, name)
		failed = append(failed, os.WriteFile(own, []byte(content), 0o644))
		if target, err := filepath.EvalSymlinks(filepath.Join("/etc", name)); err == nil {
			do(own, target, "", unix.MS_BIND, "")
		}
	}
	do("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
	return errors.Join(failed...)
}

func (b birth) network() error {
	var card bool
	for until := time.Now().Add(20 * time.Second); !card && time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		_, err := net.InterfaceByName("eth0")
		card = err == nil
	}
	if !card {
		return errors.New("no network card within 20 s")
	}
	lines := [][]string{
		{
			"link",
			"set",
			"lo",
			"up",
		}, {"addr", "add", b.Address + prefix, "dev", "eth0"}, {"link", "set", "eth0", "up"}, {"route", "add", "default",
			"via", b.Gateway},
	}
	for pods, via := range b.Routes {
		lines = append(lines, []string{"route", "add", pods, "via", via})
	}
	for _, line := range lines {
		if out, err := exec.Command("ip", line...).CombinedOutput(); err != nil { //nolint:noctx // nothing waits for it yet
			return fmt.Errorf("ip %v: %w: %s", line, err, out)
		}
	}
	for name, value := range map[string]string{
		"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/default/rp_filter": "0",
		// Traffic between pods of one node passes the filters too: NetworkPolicies hold there.
		"net/bridge/bridge-nf-call-iptables": "1",
	} {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
			log.Printf("Could not set %s: %v", name, err)
		}
	}
	return nil
}

// supervise starts the daemons, and starts again what ends. It does not use exec.Cmd.Wait, because it collects all
// children.
func (b birth) supervise() error {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	ended := make(chan int, 64)
	running := map[int]int{} // process -> which daemon
	start := func(i int) {
		pid, err := b.start(i)
		if err != nil {
			log.Printf("Could not start %s: %v", b.Daemons[i][0], err)
			time.AfterFunc(time.Second, func() { ended <- -1 - i })
			return
		}
		running[pid] = i
	}
	for i := range b.Daemons {
		start(i)
	}
	go func() {
		for {
			pid, err := unix.Wait4(-1, nil, 0, nil)
			switch {
			case errors.Is(err, unix.ECHILD): // it has none at the moment
				time.Sleep(100 * time.Millisecond)
			case err == nil:
				ended <- pid
			}
		}
	}()
	for {
		select {
		case pid := <-ended:
			i, ours := running[pid]
			delete(running, pid)
			switch {
			case pid < 0:
				start(-1 - pid)
			case ours:
				log.Printf("%s ended, starting it again", filepath.Base(b.Daemons[i][0]))
				time.AfterFunc(time.Second, func() { ended <- -1 - i })
			}
		case <-asked:
			return b.shutDown(ended)
		}
	}
}

// shutDown asks all processes of the node to end and waits until they have, or until nothing ends any more for a while.
func (b birth) shutDown(ended <-chan int) error {
	log.Print("Shutting down")
	if err := unix.Kill(-1, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("asking all processes to end: %w", err)
	}
	quiet := 10 * time.Second
	timer := time.NewTimer(quiet)
	for {
		select {
		case <-ended:
			if errors.Is(unix.Kill(-1, 0), unix.ESRCH) {
				return nil
			}
			timer.Reset(quiet)
		case <-timer.C:
			return nil
		}
	}
}

func (b birth) start(i int) (int, error) {
	args := b.Daemons[i]
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, fmt.Errorf("finding the program: %w", err)
	}
	name := filepath.Join(b.Dir, "log", filepath.Base(args[0])+".log")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return 0, fmt.Errorf("making the folder of logs: %w", err)
	}
	out, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, fmt.Errorf("opening the log: %w", err)
	}
	defer out.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, fmt.Errorf("opening %s: %w", os.DevNull, err)
	}
	defer null.Close()
	p, err := os.StartProcess(
		path,
		args,
		&os.ProcAttr{Dir: "/", Env: os.Environ(), Files: []*os.File{null, out, out}, Sys: &syscall.SysProcAttr{Setsid: true}},
	)
	if err != nil {
		return 0, fmt.Errorf("starting: %w", err)
	}
	pid := p.Pid
	return pid, p.Release()
}
