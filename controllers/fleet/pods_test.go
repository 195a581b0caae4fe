package fleet_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
)

// unheard is a relay pod that says nothing, with its containers in the given states: the one that serves, and the one
// beside it.
func unheard(phase corev1.PodPhase, states ...corev1.ContainerState) *corev1.Pod {
	o := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "relay-1", Labels: map[string]string{contract.LabelClass: "default",
			contract.LabelRole: string(contract.Relay)},
	}}
	o.Status.Phase = phase
	for i, s := range states {
		o.Status.ContainerStatuses = append(
			o.Status.ContainerStatuses,
			corev1.ContainerStatus{Name: []string{contract.Name, contract.CommandFarewell}[i], State: s},
		)
	}
	return o
}

// A pod that cannot be heard holds a hostname only while it may serve it.
func TestACrashLoopingPodHoldsNoHostname(t *testing.T) {
	waits := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}
	runs := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(time.Unix(1, 0))}}
	for _, c := range []struct {
		name    string
		pod     *corev1.Pod
		dropped bool
	}{
		{"waits to be started again", unheard(corev1.PodRunning, waits), true},
		{"has just crashed", unheard(corev1.PodRunning, ended), true},
		{"has not started", unheard(corev1.PodPending, waits), true},
		{"has failed", unheard(corev1.PodFailed, ended), true},
		{"runs and says nothing", unheard(corev1.PodRunning, runs), false},
		{"only the one beside it runs", unheard(corev1.PodRunning, waits, runs), true},
		{"only the one that serves runs", unheard(corev1.PodRunning, runs, ended), false},
		{"nothing is known of its containers", unheard(corev1.PodRunning), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fleet.New(fleet.Options{Observer: fleet.Deaf{}})
			f.Expect(map[string]*plan.Plan{"default": {Class: "default"}})
			pod, ours := fleet.PodOf(c.pod)
			if !ours {
				t.Fatal("not a media pod")
			}
			f.SetPod(pod)
			if got := f.DroppedEverywhere(fleet.PlayEntry("rts.example.com")); got != c.dropped {
				t.Errorf("dropped: %v, want %v", got, c.dropped)
			}
		})
	}
}
