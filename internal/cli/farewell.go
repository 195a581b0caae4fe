package cli

import (
	"errors"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/dataplane/pod/farewell"
	"github.com/millrace/millrace/internal/contract"
)

// newFarewellCommand returns "millrace farewell", the second container of a relay's pod.
func newFarewellCommand() *cobra.Command {
	var o farewell.Options
	cmd := &cobra.Command{
		Use:   contract.CommandFarewell + " --class CLASS",
		Short: "Send the viewers of a relay that was killed to other relays (in a relay's pod)",
		Long: "Waits for the end of all processes of the relay in the pod. Then it sends the close notices that the relay " +
			"kept for its viewers: they join again at once, instead of after the five seconds and more in which a browser finds out " +
			"by itself. Until the pod has a " +
			"relay again, it answers those who ask here with a redirect to the same URL, which leads to any relay of the " +
			"pool.\n\n" +
			"The operator runs this command in a second container of the pods of relays: kill -9, or the kernel when the " +
			"first one is over its memory limit, " +
			"end all processes of the first one and leave this one alone. After SIGTERM it ends when the relay has.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.StateDir == "" {
				return &UsageError{errors.New("--state-dir is empty: want the folder of the relay, which is shared with it")}
			}
			o.Log = logr.FromContextOrDiscard(cmd.Context()).WithName("farewell")
			return farewell.Run(cmd.Context(), o)
		},
	}
	set := cmd.Flags()
	set.StringVar(&o.Class, contract.FlagClass, "", "MediaClass of the relay (required)")
	set.StringVar(&o.StateDir, "state-dir", contract.StateDir, "state folder of the relay")
	set.StringVar(&o.Address, "address", "", "address on which the relay serves HTTP (default all)")
	port(set, &o.HTTPPort, contract.FlagHTTPPort, contract.PortHTTP, -1, "port of the relay's HTTP; -1: it has none")
	port(set, &o.HTTPSPort, contract.FlagHTTPSPort, contract.PortHTTPS, -1, "port of the relay's HTTPS; -1: it has none")
	number(set, &o.MaxViewers, "max-viewers", 20_000, "viewers of the relay at most")
	_ = cmd.MarkFlagRequired(contract.FlagClass) // the flag exists
	return cmd
}
