package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
	"time"
)

// The documents of an OCI image layout, as far as containerd reads them (github.com/opencontainers/image-spec).
type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int64             `json:"size"`
		Annotations map[string]string `json:"annotations,omitempty"`
		Platform    *platform         `json:"platform,omitempty"`
	}
	platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	}
	manifest struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}
	index struct {
		SchemaVersion int          `json:"schemaVersion"`
		Manifests     []descriptor `json:"manifests"`
	}
	settings struct {
		platform
		Config struct {
			User         string              `json:"User,omitempty"`
			ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
			Env          []string            `json:"Env,omitempty"`
			Entrypoint   []string            `json:"Entrypoint,omitempty"`
			WorkingDir   string              `json:"WorkingDir,omitempty"`
		} `json:"config"`
		RootFS struct {
			Type    string   `json:"type"`
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
)

const (
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar"
)

// Write writes an archive with one image, named reference, in one uncompressed layer. The same input gives the same
// bytes.
func (l List) Write(w io.Writer, reference string, entries []Entry) error {
	layer, err := os.CreateTemp("", "millrace-layer-")
	if err != nil {
		return fmt.Errorf("making a file for the layer: %w", err)
	}
	defer os.Remove(layer.Name())
	defer layer.Close()
	sum := sha256.New()
	if err := writeLayer(io.MultiWriter(layer, sum), entries); err != nil {
		return err
	}
	size, err := layer.Seek(0, io.SeekCurrent)
	if err != nil {
		return fmt.Errorf("reading the layer's size: %w", err)
	}
	layerDigest := "sha256:" + hex.EncodeToString(sum.Sum(nil))

	here := platform{Architecture: runtime.GOARCH, OS: "linux"}
	config := settings{platform: here}
	config.Config.User, config.Config.Entrypoint, config.Config.WorkingDir = l.User, l.Entrypoint, "/"
	config.Config.Env = []string{"PATH=/usr/bin:/"}
	for _, p := range l.Ports {
		if config.Config.ExposedPorts == nil {
			config.Config.ExposedPorts = map[string]struct{}{}
		}
		config.Config.ExposedPorts[p] = struct{}{}
	}
	config.RootFS.Type, config.RootFS.DiffIDs = "layers", []string{layerDigest}
	configBody, configBlob := encode(typeConfig, config)
	manifestBody, manifestBlob := encode(typeManifest, manifest{
		SchemaVersion: 2, MediaType: typeManifest, Config: configBlob,
		Layers: []descriptor{{MediaType: typeLayer, Digest: layerDigest, Size: size}},
	})
	manifestBlob.Platform = &here
	manifestBlob.Annotations = map[string]string{
		"io.containerd.image.name":          reference,
		"org.opencontainers.image.ref.name": reference,
	}
	indexBody, _ := encode("", index{SchemaVersion: 2, Manifests: []descriptor{manifestBlob}})

	archive := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		body []byte
	}{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", indexBody},
		{blob(configBlob.Digest), configBody},
		{blob(manifestBlob.Digest), manifestBody},
	} {
		if err := writeFile(archive, f.name, 0o644, int64(len(f.body)), bytes.NewReader(f.body)); err != nil {
			return err
		}
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("going back to the layer's start: %w", err)
	}
	if err := writeFile(archive, blob(layerDigest), 0o644, size, layer); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("writing the archive's end: %w", err)
	}
	return nil
}

func writeLayer(w io.Writer, entries []Entry) error {
	layer := tar.NewWriter(w)
	made := map[string]bool{}
	folder := func(name string) error {
		parts := strings.Split(name, "/")
		for i := range parts {
			at := strings.Join(parts[:i+1], "/")
			if at == "." || at == "" || made[at] {
				continue
			}
			made[at] = true
			if err := layer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: at + "/", Mode: 0o755,
				ModTime: time.Unix(0, 0)}); err != nil {
				return fmt.Errorf("writing a folder of the layer: %w", err)
			}
		}
		return nil
	}
	// Pods mount over these; with a read-only root they must be there.
	for _, name := range []string{"tmp", "proc", "sys", "dev", "etc"} {
		if err := folder(name); err != nil {
			return err
		}
	}
	for _, e := range entries {
		name := strings.TrimPrefix(e.Path, "/")
		if err := folder(path.Dir(name)); err != nil {
			return err
		}
		body, err := e.read()
		if err != nil {
			return err
		}
		if err := writeFile(layer, name, int64(e.Mode), int64(len(body)), bytes.NewReader(body)); err != nil {
			return err
		}
	}
	if err := layer.Close(); err != nil {
		return fmt.Errorf("writing the layer's end: %w", err)
	}
	return nil
}

func writeFile(w *tar.Writer, name string, mode, size int64, body io.Reader) error {
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size, ModTime: time.Unix(0, 0)})
	if err == nil {
		_, err = io.Copy(w, body)
	}
	if err != nil {
		return fmt.Errorf("writing %s into an archive: %w", name, err)
	}
	return nil
}

// encode makes a document and what points to it. The documents here can always be encoded.
func encode(kind string, document any) ([]byte, descriptor) {
	body, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return body, descriptor{MediaType: kind, Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(body)), Size: int64(len(body))}
}

func blob(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }
