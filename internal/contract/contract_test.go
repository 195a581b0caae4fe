package contract

import (
	"net/url"
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		PoolName("default", Ingest):         "default-ingest",
		PodsServiceName("default", Relay):   "default-relay-pods",
		PlanSecretName("default", Relay, 7): "plan-default-relay-7",
		TLSSecretName("default", Edge):      "tls-default-edge",
		PlanPath(3, "meta"):                 "3/meta",
		FlagInt(FlagMediaPort, 8000):        "--media-port=8000",
		OperatorIdentity().URI():            "spiffe://millrace/-/operator",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	names := PlanSecretNames("a", Ingest)
	if len(names) != PlanChunks || !slices.IsSorted(names) || names[0] != "plan-a-ingest-0" {
		t.Errorf("names of the chunks: %v", names)
	}
}

func TestIdentity(t *testing.T) {
	for _, text := range []string{"spiffe://millrace/default/ingest", "spiffe://millrace/-/operator"} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if i, ok := ParseIdentity(u); !ok || i.URI() != text {
			t.Errorf("%s is read as %v, %v", text, i, ok)
		}
	}
	for _, text := range []string{
		"spiffe://other/default/ingest", "https://millrace/default/ingest", "spiffe://millrace/default",
		"spiffe://millrace//ingest",
		"spiffe://millrace/default/", "spiffe://millrace/default/ingest/more", "spiffe://millrace/default/ingest?x",
		"spiffe://a@millrace/default/ingest",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if i, ok := ParseIdentity(u); ok {
			t.Errorf("%s is taken for %v", text, i)
		}
	}
}
