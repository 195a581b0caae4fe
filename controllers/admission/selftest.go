package admission

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
)

// testClass can never exist: names of classes are lower case.
const testClass = "No-Such-Class"

// SelfTest asks the API server, as a dry run, to create a domain that its own rules let pass and ours do not. It
// succeeds when the webhook refused it: then the API server reaches the webhook, trusts its certificate, and takes its
// word.
func SelfTest(ctx context.Context, c client.Client, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	object := &v1alpha1.PushDomain{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "webhook-self-test-", Namespace: namespace},
		Spec:       v1alpha1.PushDomainSpec{Hostname: "self-test.millrace.invalid", ClassName: testClass},
	}
	err := c.Create(ctx, object, client.DryRunAll)
	if err == nil {
		return errors.New("the API server accepted an object that the webhook refuses: it did not ask")
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if cause.Type == metav1.CauseType(v1alpha1.ReasonClassNotFound) {
				return nil
			}
		}
	}
	return fmt.Errorf("the test object was refused, but not by the webhook: %w", err)
}
