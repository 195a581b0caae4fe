package docs

import (
	"regexp"
	"testing"
)

// The places that RELEASING.md lists have one version.
func TestTheReleaseHasOneVersion(t *testing.T) {
	find := func(file, pattern string) [][]string {
		all := regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, file), -1)
		if len(all) == 0 {
			t.Fatalf("%s has no version", file)
		}
		return all
	}
	release := find("../version.go", `release = "([^"]+)"`)[0][1]
	for file, pattern := range map[string]string{
		"../charts/millrace/Chart.yaml":      `(?m)^(?:version|appVersion): "?([^"\n]+)"?$`,
		"../config/operator/deployment.yaml": `ghcr\.io/millrace/millrace-\w+:(\S+)`,
		"install.md":                         `\?ref=v(\S+)`,
	} {
		for _, version := range find(file, pattern) {
			if version[1] != release {
				t.Errorf("%s has version %s, version.go %s", file, version[1], release)
			}
		}
	}
}
