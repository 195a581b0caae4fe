package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// goFiles parses the Go files of the module, tests left out, those of other modules and of npm packages too.
func goFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	all := map[string]*ast.File{}
	err := filepath.WalkDir("..", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && (name == "node_modules" || name == "testdata" || len(name) > 2 && name[0] == '.') {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		all[file], err = parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		return err
	})
	if err != nil || len(all) < 100 {
		t.Fatalf("%d files parsed: %v", len(all), err)
	}
	return all
}

// text returns the value of a string literal, or of several that are joined by +.
func text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		value, err := strconv.Unquote(e.Value)
		return value, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		x, isX := text(e.X)
		y, isY := text(e.Y)
		return x + y, e.Op == token.ADD && isX && isY
	}
	return "", false
}

// literals returns the strings of the program, one below the other.
func literals(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, file := range goFiles(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			e, isExpr := n.(ast.Expr)
			if !isExpr {
				return true
			}
			value, is := text(e)
			if is {
				all.WriteString(value + "\n")
			}
			return !is
		})
	}
	return all.String()
}

// A message that a page quotes is one that the program has. What varies in it is written as "...".
func TestQuotedMessagesAreThoseOfTheProgram(t *testing.T) {
	others := []string{ // messages of other programs, commands and configuration
		"address already in use", "connection refused", "no matches for kind", "failed calling webhook",
		"x509: certificate signed by unknown authority", "av_interleaved_write_frame(): Operation not permitted",
	}
	// Spans of code that are no messages: commands, manifests, JSON, expressions, headers.
	no := regexp.MustCompile(`^(bash|bench|measure|git|issues|millrace|bin/|kubectl|helm|make|go|curl|apt-get|docker|kill|hack/|E2E|[A-Z0-9_]+=|-|\{|/|[\w.]+: ?\S+$|[\w.]+: [\[{])|[=<>{}|]|  `)
	span := regexp.MustCompile("`([^`\n]+)`")
	known := literals(t)
	seen := 0
	for _, page := range pages(t) {
		if strings.Contains(page, "CHANGELOG") {
			continue
		}
		for _, match := range span.FindAllStringSubmatch(read(t, page), -1) {
			quote := strings.TrimPrefix(match[1], "Server error: ") // which is what ffmpeg puts before a description
			if name, value, isHeader := strings.Cut(quote, ": "); isHeader && strings.HasPrefix(name, "X-") {
				quote = value
			}
			if no.MatchString(quote) || len(strings.Fields(quote)) < 3 {
				continue
			}
			for _, piece := range strings.Split(quote, "...") {
				piece = strings.TrimSpace(piece)
				if len(piece) < 4 || strings.Contains(known, piece) ||
					slices.ContainsFunc(others, func(o string) bool { return strings.Contains(piece, o) }) {
					continue
				}
				t.Errorf("%s quotes %q, but no message has %q", page, match[1], piece)
			}
			seen++
		}
	}
	if seen < 10 {
		t.Errorf("only %d quotes were found", seen)
	}
}
