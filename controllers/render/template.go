package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
)

// The user of the images: not root, and nobody's in particular.
const user = 65532

const (
	volumePlan  = "plan"
	volumeTLS   = "tls"
	volumeState = "state"
	volumeTmp   = "tmp"
)

// Template of the pool's pods, for its slot.
func Template(p *Pool) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: p.Labels(), Annotations: annotations(p)},
		Spec: corev1.PodSpec{
			ServiceAccountName:            p.Name(),
			AutomountServiceAccountToken:  ptr(true), // to watch the Plan; a pod works without it too
			EnableServiceLinks:            ptr(false),
			HostNetwork:                   p.hostNetwork(),
			DNSPolicy:                     dnsPolicy(p),
			TerminationGracePeriodSeconds: ptr(int64(p.DrainSeconds() + contract.KillAfterDrain)),
			NodeSelector:                  p.Spec.NodeSelector,
			Tolerations:                   p.Spec.Tolerations,
			Affinity:                      apart(p),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   ptr(true),
				RunAsUser:      ptr[int64](user),
				RunAsGroup:     ptr[int64](user),
				FSGroup:        ptr[int64](user),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: containers(p),
			Volumes:    volumes(p),
		},
	}
}

func dnsPolicy(p *Pool) corev1.DNSPolicy {
	if p.hostNetwork() {
		return corev1.DNSClusterFirstWithHostNet
	}
	return corev1.DNSClusterFirst
}

// apart prefers nodes that have no pod of the pool yet.
func apart(p *Pool) *corev1.Affinity {
	return &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
			Weight: 100,
			PodAffinityTerm: corev1.PodAffinityTerm{
				TopologyKey:   corev1.LabelHostname,
				LabelSelector: &metav1.LabelSelector{MatchLabels: p.selector()},
			},
		}},
	}}
}

// annotations tell kubectl which container is meant where there are several.
func annotations(p *Pool) map[string]string {
	if !hasStandby(p) {
		return nil
	}
	return map[string]string{"kubectl.kubernetes.io/default-container": contract.Name}
}

// hasStandby reports whether a pool's pods have the second container: relays whose image is known to have the command.
func hasStandby(p *Pool) bool { return p.Role == contract.Relay && (!p.Kept || p.Pinned.Standby) }

func containers(p *Pool) []corev1.Container {
	if !hasStandby(p) {
		return []corev1.Container{container(p)}
	}
	return []corev1.Container{container(p), standby(p)}
}

// standby returns the container that runs `millrace farewell`: it sends a relay's viewers to other relays when all of
// the relay's own container was killed.
func standby(p *Pool) corev1.Container {
	args := []string{contract.CommandFarewell, contract.Flag(contract.FlagClass, p.Class)}
	for _, l := range p.Listeners() {
		if l.Name == contract.NameHTTP || l.Name == contract.NameHTTPS {
			args = append(args, contract.FlagInt(l.Flag, int(l.Port)))
		}
	}
	small := corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("5m"),
			corev1.ResourceMemory: resource.MustParse("16Mi"),
		},
		Limits: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("500m"),
			corev1.ResourceMemory: resource.MustParse("256Mi"),
		},
	}
	if guaranteed(&p.Spec.Resources) { // the pod is to be so still
		small.Limits = corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("50m"),
			corev1.ResourceMemory: resource.MustParse("128Mi"),
		}
		small.Requests = small.Limits
	}
	return corev1.Container{
		Name:                     contract.CommandFarewell,
		Image:                    p.Image,
		ImagePullPolicy:          corev1.PullIfNotPresent,
		Args:                     args,
		Resources:                small,
		VolumeMounts:             []corev1.VolumeMount{{Name: volumeState, MountPath: contract.StateDir}},
		SecurityContext:          restricted(),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}

// guaranteed reports whether a container with these has the quality of service Guaranteed.
func guaranteed(r *corev1.ResourceRequirements) bool {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		limit, limited := r.Limits[name]
		request, asked := r.Requests[name] // by default it is the limit
		if !limited || asked && request.Cmp(limit) != 0 {
			return false
		}
	}
	return true
}

func restricted() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr(false),
		ReadOnlyRootFilesystem:   ptr(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func container(p *Pool) corev1.Container {
	mounts := []corev1.VolumeMount{
		{Name: volumePlan, MountPath: contract.PlanDir, ReadOnly: true},
		{Name: volumeTLS, MountPath: contract.TLSDir, ReadOnly: true},
		{Name: volumeState, MountPath: contract.StateDir},
	}
	if p.Role == contract.Transcoder {
		mounts = append(mounts, corev1.VolumeMount{Name: volumeTmp, MountPath: "/tmp"})
	}
	return corev1.Container{
		Name:            contract.Name,
		Image:           p.Image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Args:            args(p),
		Env:             env(p),
		Ports:           ports(p),
		Resources:       resources(p),
		VolumeMounts:    mounts,
		// Liveness asks the process alone: nothing of the network can make the kubelet kill it.
		StartupProbe:             probe(contract.PathStartup, 2, 2, 60),
		LivenessProbe:            probe(contract.PathLive, 10, 5, 6),
		ReadinessProbe:           probe(contract.PathReady, 2, 2, 2),
		SecurityContext:          restricted(),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}

func args(p *Pool) []string {
	out := []string{
		string(p.Role),
		contract.Flag(contract.FlagClass, p.Class),
		contract.Flag(contract.FlagRegion, p.Region),
		contract.FlagInt(contract.FlagDrainSeconds, int(p.DrainSeconds())),
	}
	for _, l := range p.Listeners() {
		if l.Flag != "" {
			out = append(out, contract.FlagInt(l.Flag, int(l.Port)))
		}
	}
	if p.Role == contract.Relay {
		from := contract.AddressFromHost
		if p.Exposure() == v1alpha1.ExposeClusterIP {
			from = contract.AddressFromPod
		}
		out = append(out, contract.Flag(contract.FlagAddressFrom, from))
		if media, _ := p.Listener(contract.NameMediaUDP); media.Host != 0 && media.Host != media.Port {
			out = append(out, contract.FlagInt(contract.FlagAdvertisePort, int(media.Host)))
		}
	}
	if p.Encoder != "" && p.Encoder != v1alpha1.EncoderAuto {
		out = append(out, contract.Flag(contract.FlagEncoder, string(p.Encoder)))
	}
	if p.MaxSessions > 0 {
		out = append(out, contract.FlagInt(contract.FlagMaxTranscodes, int(p.MaxSessions)))
	}
	return out
}

func env(p *Pool) []corev1.EnvVar {
	from := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{
			Name:      name,
			ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}},
		}
	}
	out := []corev1.EnvVar{
		from(contract.EnvPodName, "metadata.name"),
		from(contract.EnvPodNamespace, "metadata.namespace"),
		from(contract.EnvPodUID, "metadata.uid"),
		from(contract.EnvPodIP, "status.podIP"),
		from(contract.EnvNodeName, "spec.nodeName"),
		from(contract.EnvHostIPs, "status.hostIPs"),
		{Name: contract.EnvSupervised, Value: "true"}, // no flag: images that a class keeps may not know it
	}
	if admin := p.Spec.Exposure.Admin; admin == v1alpha1.AdminProbes || admin == "" && p.hostNetwork() {
		out = append(out, corev1.EnvVar{Name: contract.EnvProbesOnly, Value: "true"}) // no flag, as above
	}
	return out
}

func ports(p *Pool) []corev1.ContainerPort {
	var out []corev1.ContainerPort
	for _, l := range p.Listeners() {
		out = append(out, corev1.ContainerPort{Name: l.Name, ContainerPort: l.Port, HostPort: l.Host, Protocol: l.Protocol})
	}
	return out
}

// resources of a pod. An autoscaler needs a request for CPU, and the scheduler one for both. A transcoder computes:
// with the share of a pod that only moves bytes its pictures would come seconds late on a busy node.
func resources(p *Pool) corev1.ResourceRequirements {
	if len(p.Spec.Resources.Requests) > 0 || len(p.Spec.Resources.Limits) > 0 {
		return p.Spec.Resources
	}
	cpu := "100m"
	if p.Role == contract.Transcoder {
		cpu = "500m"
	}
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse(cpu),
		corev1.ResourceMemory: resource.MustParse("128Mi"),
	}}
}

func probe(path string, period, timeout, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromString(contract.NameAdmin), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds: period, TimeoutSeconds: timeout, FailureThreshold: failures,
	}
}

func volumes(p *Pool) []corev1.Volume {
	plan := &corev1.ProjectedVolumeSource{DefaultMode: ptr[int32](0o440)}
	for n := range contract.PlanChunks {
		items := []corev1.KeyToPath{
			{Key: bundle.KeyMeta, Path: contract.PlanPath(n, bundle.KeyMeta)},
			{Key: bundle.KeyData, Path: contract.PlanPath(n, bundle.KeyData)},
		}
		if n == 0 {
			items = append(items, corev1.KeyToPath{Key: bundle.KeyAddresses, Path: contract.PlanPath(n, bundle.KeyAddresses)})
		}
		plan.Sources = append(plan.Sources, corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: contract.PlanSecretName(p.Class, p.Role, n)},
			Items:                items,
			Optional:             ptr(true), // not all have data, and a pod may start before them
		}})
	}
	state := resource.MustParse("128Mi")
	out := []corev1.Volume{
		{Name: volumePlan, VolumeSource: corev1.VolumeSource{Projected: plan}},
		{Name: volumeTLS, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: contract.TLSSecretName(p.Class, p.Role), DefaultMode: ptr[int32](0o440),
		}}},
		{Name: volumeState, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &state}}},
	}
	if p.Role == contract.Transcoder {
		out = append(
			out,
			corev1.Volume{
				Name:         volumeTmp,
				VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &state}},
			},
		)
	}
	return out
}

// Slot reads the port slot of a pod's or Deployment's annotation.
func Slot(text string) int32 {
	if text == "1" {
		return 1
	}
	return 0
}
