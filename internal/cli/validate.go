package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/compile/manifests"
)

// The output formats of "millrace validate".
const (
	formatText = "text"
	formatJSON = "json"
)

// NewValidateCommand makes "millrace validate": all rules of the API, offline.
func NewValidateCommand() *cobra.Command {
	var paths []string
	format := formatText
	cmd := &cobra.Command{
		Use:   "validate -f DIR|FILE|-",
		Short: "Check manifests offline by the rules of the API server and of the operator",
		Long: "Checks manifests offline: the rules of each kind (defaults, bounds, CEL), unknown fields, and the rules " +
			"between\n" +
			"objects (hostnames, associations, templates, grants, Secrets).\n\n" +
			"Each finding is a line: file:line: kind/name: field: message. Secrets and Namespaces may be among the manifests;\n" +
			"other kinds are not looked at. Without a MediaClass a built-in one named default is used, which grants RTS to " +
			"all.\n" +
			"A Secret that is not among the manifests is a warning. Errors give exit status 1; warnings do not.",
		Example: "  millrace validate -f manifests/\n" +
			"  kustomize build overlays/prod | millrace validate -f - -o json",
		// What is checked here is a wrong call; RunE has the failures.
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return fmt.Errorf("%q: give manifests by -f", args[0])
			case len(paths) == 0:
				return errors.New("there are no manifests: give a folder, a file or - by -f")
			case format != formatText && format != formatJSON:
				return fmt.Errorf("-o %q: give %s or %s", format, formatText, formatJSON)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, set, findings := manifests.CompileDir(paths)
			if err := printFindings(cmd.OutOrStdout(), format, findings); err != nil {
				return fmt.Errorf("print the findings: %w", err)
			}
			failed := manifests.Errors(findings)
			cmd.PrintErrf("%s, %s, %s, %s\n", count(len(set.Files), "file"), count(len(set.Objects), "object"),
				count(failed, "error"), count(len(findings)-failed, "warning"))
			if failed > 0 {
				return fmt.Errorf("%d errors in the manifests: %w", failed, ErrReported)
			}
			return nil
		},
	}
	cmd.Flags().
		StringArrayVarP(&paths, "filename", "f", nil, "folder, file, or - for standard input; may be given several times")
	cmd.Flags().StringVarP(&format, "output", "o", format, "output format: text or json")
	return cmd
}

func printFindings(w io.Writer, format string, findings []manifests.Finding) error {
	if format == formatJSON {
		if findings == nil {
			findings = []manifests.Finding{}
		}
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(findings)
	}
	for _, f := range findings {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return err
		}
	}
	return nil
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
