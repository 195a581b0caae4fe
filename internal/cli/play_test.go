package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/play"
)

// runCommand executes "millrace play" with the arguments and gives what it printed.
func runPlayCommand(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := NewPlayCommand()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	var out, errOut bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	if errOut.Len() > 0 {
		t.Errorf("on stderr, which is no terminal: %q", errOut.String())
	}
	return out.String(), err
}

func TestPlayReportsAFailureAsJSONAndAsAnError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "the signature does not match")
	}))
	t.Cleanup(server.Close)
	out, err := runPlayCommand(t, server.URL+"/live/s?auth_key=secret", "--json", "--viewers", "3", "--ramp", "0s")
	if err == nil || !strings.HasPrefix(err.Error(), "3 of 3 viewers had no picture: ") ||
		!strings.Contains(err.Error(), "403 Forbidden: the signature does not match") {
		t.Errorf("error %v", err)
	}
	var report play.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if report.Viewers != 3 || report.Playing != 0 || len(report.Each) != 3 || len(report.Errors) != 1 ||
		report.Errors[0].Viewers != 3 {
		t.Errorf("report %+v", report)
	}
	if strings.Contains(out+err.Error(), "secret") {
		t.Errorf("the signature is shown: %s %v", out, err)
	}
}

func TestPlayReportsForPeople(t *testing.T) {
	out, err := runPlayCommand(t, "artc://rts.example.com/live/s", "--connect", "127.0.0.1:1")
	if err == nil || !strings.Contains(out, "artc://rts.example.com/live/s") ||
		!strings.Contains(out, "No picture (1): ") {
		t.Errorf("%s, error %v", out, err)
	}
}

func TestEveryMemberOfTheJSONReportIsDocumented(t *testing.T) {
	raw, err := os.ReadFile("../../docs/play.md")
	if err != nil {
		t.Fatal(err)
	}
	var look func(kind reflect.Type)
	look = func(kind reflect.Type) {
		for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		if kind.Kind() != reflect.Struct {
			return
		}
		for i := range kind.NumField() {
			field := kind.Field(i)
			if !field.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			if !bytes.Contains(raw, []byte("`"+name+"`")) {
				t.Errorf("docs/play.md does not name `%s` of %s", name, kind)
			}
			look(field.Type)
		}
	}
	look(reflect.TypeFor[play.Report]())
	look(reflect.TypeFor[play.FLVReport]())
}
