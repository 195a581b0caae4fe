// Command echo is what test pods run: a server that says who it is over HTTP and UDP, and the small clients that a pod
// without a shell needs.
//
//	echo serve [http port] [udp port]
//	echo get URL            prints the answer
//	echo udp HOST:PORT      sends a datagram and prints the answer
//	echo lookup NAME        prints the addresses
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const patience = 2 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errors.New("want serve PORT PORT, get URL, udp ADDRESS or lookup NAME")
	}
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch args[0] {
	case "serve":
		return serve(ctx, args[1], args[len(args)-1])
	case "get":
		req, err := http.NewRequestWithContext(limit, http.MethodGet, args[1], nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, err = io.Copy(os.Stdout, io.LimitReader(res.Body, 1<<20))
		return err
	case "udp":
		answer, err := ask(args[1])
		fmt.Print(answer)
		return err
	case "lookup":
		found, err := net.DefaultResolver.LookupHost(limit, args[1])
		fmt.Println(strings.Join(found, "\n"))
		return err
	}
	return fmt.Errorf("no command %q", args[0])
}

func serve(ctx context.Context, httpPort, udpPort string) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	packets, err := net.ListenPacket("udp", ":"+udpPort)
	if err != nil {
		return err
	}
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			packets.WriteTo([]byte(name+" "+string(buffer[:n])), from) //nolint:errcheck // the client asks again
		}
	}()
	server := &http.Server{
		Addr:              ":" + httpPort,
		ReadHeaderTimeout: patience,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s", name, r.RemoteAddr)
		}),
	}
	go func() {
		<-ctx.Done()
		packets.Close()
		server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ask sends a datagram, again when none comes back.
func ask(address string) (string, error) {
	conn, err := net.Dial("udp", address) //nolint:noctx // a name at most is looked up
	if err != nil {
		return "", err
	}
	defer conn.Close()
	buffer := make([]byte, 1500)
	for range 3 {
		if _, err = conn.Write([]byte("hello")); err != nil {
			continue
		}
		conn.SetReadDeadline(time.Now().Add(patience / 4)) //nolint:errcheck // the read tells
		var n int
		if n, err = conn.Read(buffer); err == nil {
			return string(buffer[:n]), nil
		}
	}
	return "", fmt.Errorf("no answer from %s: %w", address, err)
}
