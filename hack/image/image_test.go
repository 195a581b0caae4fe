package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The Dockerfile copies what the lists say, and its settings are theirs.
func TestDockerfileAgreesWithTheLists(t *testing.T) {
	body, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := map[string]string{}
	for _, part := range regexp.MustCompile(`(?m)^FROM `).Split(string(body), -1)[1:] {
		first, rest, _ := strings.Cut(part, "\n")
		stages[first[strings.LastIndex(first, " ")+1:]] = rest
	}
	for _, name := range []string{Operator, Media} {
		list, err := Read(name)
		if err != nil {
			t.Fatal(err)
		}
		stage := stages[name]
		entrypoint, err := json.Marshal(list.Entrypoint)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"COPY --from=files /" + name + " /\n", "USER " + list.User + "\n", "ENTRYPOINT " +
			string(entrypoint) + "\n"} {
			if !strings.Contains(stage, want) {
				t.Errorf("stage %s has no %q:\n%s", name, want, stage)
			}
		}
		exposed := regexp.MustCompile(`(?m)^EXPOSE (.*)$`).FindStringSubmatch(stage)
		var ports []string
		if exposed != nil {
			ports = strings.Fields(exposed[1])
		}
		if !slices.Equal(ports, list.Ports) {
			t.Errorf("stage %s exposes %v, the list %v", name, ports, list.Ports)
		}
		if !strings.Contains(stages["files"], "-list "+name+" -built /built -root /"+name) {
			t.Errorf("the files of %s are not collected by its list:\n%s", name, stages["files"])
		}
		for _, program := range list.Programs {
			if program != "ffprobe" && !strings.Contains(stages["files"], " "+program) { // ffprobe comes with ffmpeg
				t.Errorf("%s of the list %s is not installed where files are collected", program, name)
			}
		}
	}
}

// An archive has every file of the list, readable by the image's user, and the same input gives the same bytes.
func TestArchive(t *testing.T) {
	built := t.TempDir()
	if err := os.WriteFile(filepath.Join(built, "millrace"), []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	list, err := Read(Operator)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := list.Collect(t.Context(), built)
	if err != nil {
		t.Fatal(err)
	}
	var one, two bytes.Buffer
	if err := errors.Join(list.Write(&one, "example.test/a:1", entries), list.Write(&two, "example.test/a:1",
		entries)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two archives of one input differ")
	}
	files := map[string][]byte{}
	read(t, &one, func(h *tar.Header, body []byte) { files[h.Name] = body })
	var top index
	if err := json.Unmarshal(files["index.json"], &top); err != nil || len(top.Manifests) != 1 ||
		top.Manifests[0].Annotations["io.containerd.image.name"] != "example.test/a:1" {
		t.Fatalf("index %s: %v", files["index.json"], err)
	}
	var m manifest
	if err := json.Unmarshal(files[blob(top.Manifests[0].Digest)], &m); err != nil || len(m.Layers) != 1 {
		t.Fatalf("manifest: %v", err)
	}
	found := map[string]int64{}
	read(t, bytes.NewReader(files[blob(m.Layers[0].Digest)]), func(h *tar.Header, _ []byte) { found["/"+h.Name] = h.Mode })
	for _, e := range entries {
		if mode, ok := found[e.Path]; !ok || mode&0o004 == 0 {
			t.Errorf("%s: in the layer %t, mode %o", e.Path, ok, mode)
		}
	}
	if found["/millrace"]&0o001 == 0 {
		t.Error("the program cannot be run by the image's user")
	}
}

func read(t *testing.T, r io.Reader, each func(*tar.Header, []byte)) {
	t.Helper()
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		each(h, body)
	}
}
