package operator

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/admission"
)

// newCheckCommand makes "millrace operator check": is the operator in this cluster well?
func newCheckCommand() *cobra.Command {
	namespace := defaults().Namespace
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask a cluster whether its operator judges manifests",
		Long: "Asks the API server, as dry runs, for a domain that obeys all rules and for one that does not. Succeeds " +
			"when the first is accepted and " +
			"the webhook refuses the second. Nothing is written.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := ctrl.GetConfig()
			if err != nil {
				return fmt.Errorf("find the cluster (run in a pod, or set KUBECONFIG): %w", err)
			}
			scheme, err := newScheme()
			if err != nil {
				return err
			}
			c, err := client.New(config, client.Options{Scheme: scheme})
			if err != nil {
				return fmt.Errorf("make a client for %s: %w", config.Host, err)
			}
			return check(cmd.Context(), c, namespace, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&namespace, "namespace", namespace, "namespace to ask for the domains in")
	return cmd
}

func check(ctx context.Context, c client.Client, namespace string, out io.Writer) error {
	var classes v1alpha1.MediaClassList
	if err := c.List(ctx, &classes); err != nil {
		return fmt.Errorf("list the media classes: %w", err)
	}
	if len(classes.Items) == 0 {
		return errors.New("there is no MediaClass: create one, such as that of examples/multi-tenant")
	}
	good := &v1alpha1.PushDomain{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "check-", Namespace: namespace},
		Spec:       v1alpha1.PushDomainSpec{Hostname: "check.millrace.invalid", ClassName: classes.Items[0].Name},
	}
	// A class may give hostnames by claim only: then this one is refused as well, which says nothing about the webhook.
	if classes.Items[0].Spec.Claims == v1alpha1.ClaimsAlways {
		if err := c.Create(ctx, good, client.DryRunAll); err != nil {
			return fmt.Errorf("a domain that obeys all rules was refused: %w", err)
		}
		fmt.Fprintln(out, "accepted: a domain that obeys all rules")
	}
	if err := admission.SelfTest(ctx, c, namespace); err != nil {
		return err
	}
	fmt.Fprintln(out, "refused:  a domain that names a class which does not exist")
	return nil
}
