package main

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// table is the nftables table of the node's pods. A pod that a policy selects has a chain per direction: its lines
// return what is allowed, the last one drops the rest.
func (c cluster) table() string {
	var jumps, chains strings.Builder
	for _, pod := range c.sorted() {
		if pod.Spec.NodeName != c.node {
			continue
		}
		ingress, egress := c.selecting(pod)
		name := strings.ReplaceAll(string(pod.UID), "-", "")
		if len(ingress) > 0 {
			fmt.Fprintf(&jumps, "\t\tip daddr %s jump in_%s\n", pod.Status.PodIP, name)
			fmt.Fprintf(&chains, "\tchain in_%s {\n", name)
			for _, p := range ingress {
				for _, rule := range p.Spec.Ingress {
					c.allow(&chains, "saddr", p.Namespace, rule.From, rule.Ports, pod)
				}
			}
			chains.WriteString("\t\tdrop\n\t}\n")
		}
		if len(egress) > 0 {
			fmt.Fprintf(&jumps, "\t\tip saddr %s jump out_%s\n", pod.Status.PodIP, name)
			fmt.Fprintf(&chains, "\tchain out_%s {\n", name)
			for _, p := range egress {
				for _, rule := range p.Spec.Egress {
					c.allow(&chains, "daddr", p.Namespace, rule.To, rule.Ports, nil)
				}
			}
			chains.WriteString("\t\tdrop\n\t}\n")
		}
	}
	return "table ip netpol {\n" + chains.String() +
		"\tchain forward {\n\t\ttype filter hook forward priority 0; policy accept;\n\t\tct state established,related " +
		"accept\n" +
		jumps.String() + "\t}\n}\n"
}

// sorted are the pods that have an address of their own, in a fixed order.
func (c cluster) sorted() []*corev1.Pod {
	var pods []*corev1.Pod
	for _, pod := range c.pods {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if !ended && !pod.Spec.HostNetwork && pod.Status.PodIP != "" {
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(string(a.UID), string(b.UID)) })
	return pods
}

// selecting are the policies that isolate a pod, by direction.
func (c cluster) selecting(pod *corev1.Pod) (ingress, egress []*networkingv1.NetworkPolicy) {
	policies := slices.Clone(c.policies)
	slices.SortFunc(policies, func(a, b *networkingv1.NetworkPolicy) int {
		return strings.Compare(string(a.UID),
			string(b.UID))
	})
	for _, p := range policies {
		if p.Namespace != pod.Namespace || !matches(&p.Spec.PodSelector, pod.Labels) {
			continue
		}
		types := p.Spec.PolicyTypes
		if len(types) == 0 || slices.Contains(types, networkingv1.PolicyTypeIngress) {
			ingress = append(ingress, p)
		}
		if slices.Contains(types, networkingv1.PolicyTypeEgress) || len(types) == 0 && len(p.Spec.Egress) > 0 {
			egress = append(egress, p)
		}
	}
	return ingress, egress
}

// allow writes the lines of one rule. target is the pod whose named ports count; nil: those of each peer.
func (c cluster) allow(
	w *strings.Builder, side, namespace string, peers []networkingv1.NetworkPolicyPeer,
	ports []networkingv1.NetworkPolicyPort, target *corev1.Pod,
) {
	line := func(from string, named *corev1.Pod) {
		if len(ports) == 0 {
			fmt.Fprintf(w, "\t\t%sreturn\n", from)
		}
		for _, port := range ports {
			if match, ok := matchPort(port, named); ok {
				fmt.Fprintf(w, "\t\t%s%s return\n", from, match)
			}
		}
	}
	if len(peers) == 0 {
		line("", target)
		return
	}
	for _, peer := range peers {
		if b := peer.IPBlock; b != nil {
			except := ""
			if len(b.Except) > 0 {
				except = fmt.Sprintf("ip %s != { %s } ", side, strings.Join(b.Except, ", "))
			}
			if !strings.Contains(b.CIDR, ":") {
				line(fmt.Sprintf("ip %s %s %s", side, b.CIDR, except), target)
			}
			continue
		}
		for _, pod := range c.sorted() {
			if !c.isPeer(pod, namespace, peer) {
				continue
			}
			named := target
			if named == nil {
				named = pod
			}
			line(fmt.Sprintf("ip %s %s ", side, pod.Status.PodIP), named)
		}
	}
}

func (c cluster) isPeer(pod *corev1.Pod, namespace string, peer networkingv1.NetworkPolicyPeer) bool {
	if peer.PodSelector != nil && !matches(peer.PodSelector, pod.Labels) {
		return false
	}
	if peer.NamespaceSelector == nil {
		return pod.Namespace == namespace
	}
	for _, ns := range c.namespaces {
		if ns.Name == pod.Namespace {
			return matches(peer.NamespaceSelector, ns.Labels)
		}
	}
	return false
}

func matches(selector *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(set))
}

// matchPort is the part of a line that matches a port; false when the pod has no port of that name.
func matchPort(port networkingv1.NetworkPolicyPort, pod *corev1.Pod) (string, bool) {
	protocol := corev1.ProtocolTCP
	if port.Protocol != nil {
		protocol = *port.Protocol
	}
	name := strings.ToLower(string(protocol))
	switch {
	case port.Port == nil:
		return "meta l4proto " + name, true
	case port.EndPort != nil:
		return fmt.Sprintf("%s dport %d-%d", name, port.Port.IntVal, *port.EndPort), true
	case port.Port.Type == intstr.Int:
		return fmt.Sprintf("%s dport %d", name, port.Port.IntVal), true
	case pod == nil:
		return "", false
	}
	for _, container := range pod.Spec.Containers {
		for _, p := range container.Ports {
			if p.Name == port.Port.StrVal && (p.Protocol == protocol || p.Protocol == "" && protocol == corev1.ProtocolTCP) {
				return fmt.Sprintf("%s dport %d", name, p.ContainerPort), true
			}
		}
	}
	return "", false
}
