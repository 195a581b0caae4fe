package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestExitStatusTellsAWrongCallFromAFailedCommand(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "no such stream")
	}))
	t.Cleanup(server.Close)
	for _, test := range []struct {
		args string
		want int
	}{
		{"version", 0}, {"--version", 0}, {"--help", 0}, {"play --help", 0},
		{"play " + server.URL + "/live/s", exitFailed},
		{"play", exitUsage}, {"play rtmp://a/b/c", exitUsage}, {"play --viewers 0 " + server.URL, exitUsage},
		{"play --nosuchflag", exitUsage}, {"nosuchcommand", exitUsage},
	} {
		if got := run(t.Context(), strings.Fields(test.args)); got != test.want {
			t.Errorf("millrace %s: exit status %d, want %d", test.args, got, test.want)
		}
	}
}

func TestEveryCommandStandsInAGroup(t *testing.T) {
	for _, command := range newRoot().Commands() {
		if command.GroupID == "" && command.Name() != "version" {
			t.Errorf("command %s stands in no group of the help text", command.Name())
		}
	}
}
