package cli

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/dataplane/pod"
	"github.com/millrace/millrace/dataplane/pod/alive"
	"github.com/millrace/millrace/dataplane/pod/podspec"
	"github.com/millrace/millrace/dataplane/relay"
)

// tellLimit bounds the telling; most of it would be for tens of thousands.
const tellLimit = 10 * time.Second

// newFarewellCommand gives "millrace farewell", the second container of a relay's pod.
func newFarewellCommand() *cobra.Command {
	var dir string
	var most int
	cmd := &cobra.Command{
		Use:   podspec.CommandFarewell,
		Short: "Tell the viewers of a relay that was killed to go elsewhere (in a relay's pod)",
		Long: "Waits for the end of all processes of the relay in the same pod, and sends the players that were left without a word what the relay " +
			"kept for them. They join elsewhere at once, instead of after the five seconds and more in which a browser finds out by itself.\n\n" +
			"The operator runs this command in a second container of the pods of relays: what kills the first one, the kernel when memory is short " +
			"for example, leaves it alone. After SIGTERM it ends when the relay has.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := logr.FromContextOrDiscard(cmd.Context()).WithName("farewell")
			if dir == "" {
				return &UsageError{errors.New("--state-dir is empty: want the folder of the relay, which is shared with it")}
			}
			return alive.Watch(cmd.Context(), dir, func() { tellOrphans(cmd, log, filepath.Join(dir, pod.FarewellsFile), most) })
		},
	}
	set := cmd.Flags()
	set.StringVar(&dir, "state-dir", podspec.StateDir, "state folder of the relay")
	set.IntVar(&most, "max-viewers", 20_000, "viewers of the relay at most")
	return cmd
}

func tellOrphans(cmd *cobra.Command, log logr.Logger, path string, most int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), tellLimit) // the relay may be killed while the pod ends
	defer cancel()
	players, told, err := relay.TellOrphans(ctx, path, most)
	if err != nil {
		log.Error(err, "Players of a relay that was killed were not told", "players", players, "told", told)
	} else if players > 0 {
		log.Info("Players of the relay, which was killed, were told to go elsewhere", "players", players, "told", told)
	}
}
