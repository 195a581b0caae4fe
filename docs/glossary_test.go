package docs

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"
)

// banned returns what the glossary sets in bold among what things are not called.
func banned(t *testing.T) []string {
	t.Helper()
	var words []string
	bold := regexp.MustCompile(`\*\*([^*]+)\*\*`)
	for _, row := range rows(read(t, "glossary.md"), "**") {
		for _, word := range bold.FindAllStringSubmatch(row, -1) {
			words = append(words, word[1])
		}
	}
	if len(words) < 5 {
		t.Fatalf("the glossary bans only %q", words)
	}
	return words
}

// bans finds banned words, with their endings, and verbs in all forms that occur.
func bans(t *testing.T) *regexp.Regexp {
	t.Helper()
	forms := []string{}
	for _, word := range banned(t) {
		words := strings.Replace(regexp.QuoteMeta(word), "come", "(?:comes?|came|coming)", 1)
		forms = append(forms, strings.ReplaceAll(words, " ", `\s+`))
	}
	return regexp.MustCompile(`(?i)\b(?:` + strings.Join(forms, "|") + `)s?\b`)
}

// api is what users have in scripts and on disk: the command with its package, and code in backticks.
func withoutAPI(text string) string {
	return regexp.MustCompile("`[^`]*`|(?:millrace |package |pod/)farewell|\"farewells?\"").ReplaceAllString(text, "")
}

// TestWordsOfTheGlossary looks at comments and messages of Go files, and at pages.
func TestWordsOfTheGlossary(t *testing.T) {
	ban := bans(t)
	for _, page := range pages(t) {
		if page == "glossary.md" || strings.Contains(page, "CHANGELOG") {
			continue // a changelog says what things were called
		}
		for _, word := range ban.FindAllString(withoutAPI(read(t, page)), -1) {
			t.Errorf("%s: %q is not a word of docs/glossary.md", page, word)
		}
	}
	for name, file := range goFiles(t) {
		if strings.HasPrefix(name, "../dataplane/relay/") || strings.HasPrefix(name, "../dataplane/pod/") {
			continue // being renamed
		}
		for _, group := range file.Comments {
			for _, word := range ban.FindAllString(withoutAPI(group.Text()), -1) {
				t.Errorf("%s: the comment %q has %q, which is not a word of docs/glossary.md", name, group.Text(), word)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			e, isExpr := n.(ast.Expr)
			if !isExpr {
				return true
			}
			value, is := text(e)
			if is && value != "farewell" && ban.MatchString(withoutAPI(value)) {
				t.Errorf("%s: the message %q has %q, which is not a word of docs/glossary.md", name, value,
					ban.FindString(withoutAPI(value)))
			}
			return !is
		})
	}
}
