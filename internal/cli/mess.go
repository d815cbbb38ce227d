package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) contentsMessCommand() *cobra.Command {
	var profile, like string
	cmd := &cobra.Command{
		Use: "mess PATH", Short: "Say how dirty a data set is, and whether it is too clean to test with",
		Long: `Say how dirty a data set is, and whether it is too clean to test with: values that
are missing or written in another layout than the rest of their field, odd spaces,
words with a wrong letter, letters in a wrong encoding, records that were entered
twice. The level is the one of contents synth --mess that it is nearest to.

With --profile the counts are written to a file. It has no value and no name of a
field, so what was measured of real data can lie beside made-up data. With --like
they are compared with such a file; where the set has clearly less than half of some
defect it is too clean, and the status is 1.`,
		Example: "  proofbox contents mess export --profile export.mess\n  proofbox contents mess customers.csv --like export.mess",
		RunE: func(cmd *cobra.Command, args []string) error {
			r := proofbox.MessRequest{}
			var err error
			if r.Path, err = oneSet(cmd, args); err != nil {
				return err
			}
			if like != "" {
				if r.Like, err = readMess(like); err != nil {
					return usage(cmd, err)
				}
			}
			judged, err := a.client.MessContents(cmd.Context(), r)
			if err != nil {
				return err
			}
			if profile != "" {
				if err := writeMess(profile, judged.Mess); err != nil {
					return err
				}
			}
			return a.showMess(judged)
		},
	}
	cmd.Flags().StringVar(&profile, "profile", "", "write what was counted to a `FILE` that is not there")
	cmd.Flags().StringVar(&like, "like", "", "compare it with what --profile has written to a `FILE`")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) showMess(j proofbox.MessJudged) error {
	if a.json {
		if err := a.document(j); err != nil {
			return err
		}
	} else {
		a.printf("%s, %s\n", plural(int(j.Records), "record"), plural(int(j.Values), "value"))
		for _, d := range j.Defects {
			a.printf("  %6d  %s\n", d.Found, d.Kind)
		}
		a.printf("about as dirty as a set that is made with --mess %s\n", j.Level)
	}
	if len(j.TooClean) > 0 {
		return &exitError{code: exitFailed, err: fmt.Errorf("it is too clean to test with: it has less than half of what it should be like has of: %s", strings.Join(j.TooClean, ", "))}
	}
	return nil
}

// maxProfile bounds the file of a profile, in bytes.
const maxProfile = 1 << 16

func readMess(path string) (*proofbox.Mess, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the profile: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxProfile))
	if err != nil {
		return nil, fmt.Errorf("reading the profile: %w", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	var m proofbox.Mess
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("%q is no profile that --profile has written: %w", path, err)
	}
	return &m, nil
}

// writeMess writes a profile to a file that is not there.
func writeMess(path string, m proofbox.Mess) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("writing the profile: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing the profile: %w", err), os.Remove(path))
	}
	return nil
}
