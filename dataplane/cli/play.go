package cli

import "github.com/spf13/cobra"

// NewPlayCommand gives `millrace play URL`.
func NewPlayCommand() *cobra.Command { return &cobra.Command{Use: "play URL"} }
