package cli

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"proofbox"
)

func (a *app) contentsUnmaskCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "unmask IN OUT", Short: "Get the numbers of a masked set's reversible fields back",
		Long: `Write a copy of a masked data set in which the numbers of the fields that its plan
calls reversible are as they were. It takes the key of the state folder that has
masked the set, which is verified first, and is an event of the audit log. What is
written is somebody's and has no seal.`,
		Example: "  proofbox contents unmask masked restored",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage(cmd, errors.New("name the masked data set and where the copy goes"))
			}
			var req proofbox.UnmaskRequest
			for i, to := range []*string{&req.In, &req.Out} {
				path, err := filepath.Abs(args[i])
				if err != nil {
					return fmt.Errorf("finding the data set: %w", err)
				}
				*to = path
			}
			u, err := a.client.UnmaskContents(cmd.Context(), req)
			if _, refused := errors.AsType[*proofbox.Refusal](err); refused {
				return &exitError{code: proofbox.ExitRefused, err: err}
			}
			if err == nil && a.json {
				return a.document(u)
			}
			if err == nil {
				a.printf("%s restored in %s\n", plural(int(u.Restored), "number"), u.Out)
			}
			return err
		},
	}
	a.jsonFlag(cmd)
	return cmd
}
