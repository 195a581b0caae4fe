package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Missing skips a test for want of something, with how to get it. With CI=true nothing may be missing: it fails.
func Missing(t testing.TB, how string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(how)
	}
	t.Skip(how)
}

// NeedFFmpeg returns the path of ffmpeg.
func NeedFFmpeg(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		Missing(t, "ffmpeg is not installed; on Debian and Ubuntu: apt-get install -y ffmpeg")
	}
	return path
}

// KubernetesAssets returns the folder of kube-apiserver, helm and the other programs that hack/k8s builds: that of
// KUBEBUILDER_ASSETS, or of the user's cache. The programs need not be there.
func KubernetesAssets() (string, error) {
	if folder := os.Getenv("KUBEBUILDER_ASSETS"); folder != "" {
		return folder, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "millrace", "k8s", "current"), nil
}
