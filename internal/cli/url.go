package cli

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/internal/contract/plan"
)

// urlKeyVariable is the environment variable that carries a signing key.
const urlKeyVariable = "MILLRACE_URL_KEY"

// signing are the flags that "url sign" and "url verify" share.
type signing struct {
	typ, key, keyFile, backup string
	validity                  time.Duration
}

func (s *signing) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&s.typ, "type", "A", "form of the signature: A, B or C")
	flags.StringVar(&s.keyFile, "key-file", "", "file that holds the key")
	flags.StringVar(
		&s.key,
		"key",
		"",
		"the key itself; other users of the machine can see it, prefer --key-file or "+urlKeyVariable,
	)
	flags.DurationVar(
		&s.validity,
		"validity",
		30*time.Minute,
		"the domain's validity, which is added to the time stamp; 0: the time stamp is the end",
	)
}

// auth reads the flags as the signing settings of a domain.
func (s *signing) auth() (plan.Auth, error) {
	auth := plan.Auth{Type: plan.AuthType(strings.ToUpper(s.typ)), Primary: s.key, Backup: s.backup, Validity: s.validity}
	switch auth.Type {
	case plan.AuthA, plan.AuthB, plan.AuthC:
	default:
		return auth, fmt.Errorf("--type %q: give A, B or C", s.typ)
	}
	if s.validity < 0 {
		return auth, fmt.Errorf("--validity %s: give 0 or more", s.validity)
	}
	if s.keyFile != "" {
		if s.key != "" {
			return auth, errors.New("--key and --key-file: give one of them")
		}
		text, err := os.ReadFile(s.keyFile)
		if err != nil {
			return auth, fmt.Errorf("reading --key-file: %w", err)
		}
		auth.Primary = strings.TrimSpace(string(text))
	}
	if auth.Primary == "" {
		auth.Primary = os.Getenv(urlKeyVariable)
	}
	if auth.Primary == "" {
		return auth, errors.New("there is no key: give --key-file, set " + urlKeyVariable + ", or give --key")
	}
	return auth, nil
}

// NewURLCommand makes "millrace url" with its subcommands sign and verify.
func NewURLCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "url",
		Short: "Sign and check URLs",
		Long: `Sign URLs for domains with URL signing, and check signed URLs.

The key of a push domain signs publishing URLs, the key of a play domain play URLs. A template's suffix
(stream_tpl) and a format's suffix (stream.flv) are part of what is signed.`,
	}
	cmd.AddCommand(newURLSignCommand(), newURLVerifyCommand())
	return cmd
}

func newURLSignCommand() *cobra.Command {
	var s signing
	var expiresIn time.Duration
	var stamp int64
	cmd := &cobra.Command{
		Use:   "sign URL",
		Short: "Print a URL with its signature",
		Example: `  # a play URL that can be opened for an hour from now
  millrace url sign --key-file key.txt artc://rts.example.com/live/stream

  # a publishing URL for a day, the key from the environment
  MILLRACE_URL_KEY=... millrace url sign --expires-in 24h rtmp://push.example.com/live/stream

  # type C, signed in the path
  millrace url sign --type C --key-file key.txt https://rts.example.com/live/stream.m3u8`,
		Args:          cobra.ExactArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			auth, err := s.auth()
			if err != nil {
				return &UsageError{err}
			}
			u, err := streamURL(args[0])
			if err != nil {
				return &UsageError{err}
			}
			at := time.Now().Add(expiresIn - auth.Validity)
			if cmd.Flags().Changed("timestamp") {
				at = time.Unix(stamp, 0)
			}
			signed, err := urlauth.Sign(auth, u, at)
			if err != nil {
				return &UsageError{err}
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), signed)
			return err
		},
	}
	s.addTo(cmd.Flags())
	cmd.Flags().DurationVar(&expiresIn, "expires-in", time.Hour, "how long from now the URL can be opened")
	cmd.Flags().Int64Var(&stamp, "timestamp", 0, "time stamp in Unix seconds, instead of --expires-in")
	cmd.MarkFlagsMutuallyExclusive("expires-in", "timestamp")
	return cmd
}

func newURLVerifyCommand() *cobra.Command {
	var s signing
	cmd := &cobra.Command{
		Use:   "verify URL",
		Short: "Check a signed URL; exit with 1 and the reason when it is refused",
		Example: `  millrace url verify --key-file key.txt 'artc://rts.example.com/live/stream?auth_key=1735689600-0-0-879a...'

  # either key is good, as on a domain
  millrace url verify --key-file new.txt --backup-key "$(cat old.txt)" 'https://...'`,
		Args:          cobra.ExactArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			auth, err := s.auth()
			if err != nil {
				return &UsageError{err}
			}
			u, err := streamURL(args[0])
			if err != nil {
				return &UsageError{err}
			}
			path, err := urlauth.Verify(auth, u.EscapedPath(), u.RawQuery, time.Now())
			if err != nil {
				return fmt.Errorf("refused: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "good for", path)
			return err
		},
	}
	s.addTo(cmd.Flags())
	cmd.Flags().StringVar(&s.backup, "backup-key", "", "the domain's second key, which is good as well")
	return cmd
}

// streamURL parses a URL of any scheme that names a host and a path.
func streamURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		// the cause would repeat the signature
		return nil, errors.New("the URL cannot be parsed: want scheme://host/app/stream")
	}
	if u.Scheme == "" || u.Host == "" || len(u.Path) < 2 {
		return nil, errors.New("the URL lacks a scheme, a host or a path: want scheme://host/app/stream")
	}
	return u, nil
}
