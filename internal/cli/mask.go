package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/internal/boxfile"
)

func (a *app) contentsMaskCommand() *cobra.Command {
	var plan string
	var propose bool
	var asked awakeFlags
	cmd := &cobra.Command{
		Use: "mask IN OUT", Short: "Replace what is somebody's in a data set, and seal the result as masked",
		Long: `Replace what is somebody's in a data set, and seal the result as masked: every
identifier and secret that a scan finds, and what a plan says of fields beside.
The same value becomes the same one in all files, however it is written, and
different values stay different. A replacement keeps the layout, is in a reserved
space or carries a tag by which this proofbox knows it, and depends on the key of
the state folder. Days of birth are shifted. All else stays byte for byte.

Of every real value a keyed fingerprint is kept in the state folder, and what was
written is searched for them: a real value that is still there is replaced, too. If
one survives, or a file cannot be read, nothing is written. With --propose a plan is
printed for the set IN, and nothing is masked.`,
		Example: "  proofbox contents mask export --propose > plan.yaml\n  proofbox contents mask export masked --plan plan.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if propose {
				return a.proposePlan(cmd, args)
			}
			req, err := maskRequest(cmd, args, plan)
			if err != nil {
				return err
			}
			if req.Awake, err = asked.awake(); err != nil {
				return usage(cmd, err)
			}
			v, err := a.client.MaskContents(cmd.Context(), req)
			if err == nil && !a.json {
				a.showMasking(*v.Seal.Masking)
			}
			return a.showVerified(v, err)
		},
	}
	cmd.Flags().StringVar(&plan, "plan", "", "what fields hold, in a `FILE` of YAML")
	cmd.Flags().BoolVar(&propose, "propose", false, "print a plan for the data set, and mask nothing")
	asked.add(cmd)
	a.jsonFlag(cmd)
	return cmd
}

func maskRequest(cmd *cobra.Command, args []string, plan string) (r proofbox.MaskRequest, err error) {
	if len(args) != 2 {
		return r, usage(cmd, errors.New("name the data set and where its masked copy goes"))
	}
	if plan == "" {
		return r, usage(cmd, errors.New("--plan FILE is missing; --propose prints one"))
	}
	if r.Plan, err = boxfile.ReadPlan(plan); err != nil {
		return r, usage(cmd, err)
	}
	for i, to := range []*string{&r.In, &r.Out} {
		if *to, err = filepath.Abs(args[i]); err != nil {
			return r, fmt.Errorf("finding the data set: %w", err)
		}
	}
	return r, nil
}

func (a *app) showMasking(m proofbox.Masking) {
	for _, k := range m.Replaced {
		a.printf("  %6d  %s replaced\n", k.Found, k.Kind)
	}
	a.printf("%s looked for in what was written: none survived", plural(int(m.Values), "real value"))
	if m.Repaired > 0 {
		a.printf(", after %s that only this search had found", plural(int(m.Repaired), "place"))
	}
	a.printf("\n")
	if m.Short > 0 {
		a.printf("not looked for: %s, which were replaced where they stood\n", plural(int(m.Short), "value of fewer than six letters and digits"))
	}
}

// proposePlan prints a plan by what a scan finds.
func (a *app) proposePlan(cmd *cobra.Command, args []string) error {
	path, err := oneSet(cmd, args)
	if err != nil {
		return err
	}
	scan, err := a.client.ScanContents(cmd.Context(), path, true)
	if err != nil {
		return err
	}
	a.printf("%s", proposal(scan))
	return nil
}

// personal are words in the names of fields that are a person's as a whole.
var personal = []string{"name", "address", "street", "birth", "dob"}

// proposal is a plan of the fields in which something was found.
func proposal(scan proofbox.Scan) string {
	fields := map[string]map[string]int64{}
	for _, f := range scan.Fields {
		name := strings.ReplaceAll(f.Field, "[]", "") // a plan leaves elements out
		if name == "" || !slices.Contains(proofbox.MaskKinds, f.Kind) && f.Kind != "date-of-birth" {
			continue
		}
		if fields[name] == nil {
			fields[name] = map[string]int64{}
		}
		fields[name][f.Kind] += f.Found
	}
	var b strings.Builder
	b.WriteString("# Identifiers and secrets are replaced wherever they are found. Fields named here are\n" +
		"# replaced as a whole, as what they are said to be; `keep` leaves a field as it is.\n" +
		"version: 1\n# context: another-mapping\n# names: true   # persons and addresses in text, too; much slower\nfields:\n")
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		kinds := fields[name]
		most := slices.MaxFunc(slices.Sorted(maps.Keys(kinds)), func(x, y string) int { return cmp.Compare(kinds[x], kinds[y]) })
		mark, kind := "", most
		if most == "date-of-birth" {
			kind = "date"
		}
		if !slices.ContainsFunc(personal, func(word string) bool { return strings.Contains(strings.ToLower(name), word) }) {
			mark = "# " // it may be a text in which there is one; identifiers are found without a plan
		}
		b.WriteString(fmt.Sprintf("  %s%q: %s   # found %s\n", mark, name, kind, plural(int(kinds[most]), "time")))
	}
	if len(fields) == 0 {
		b.WriteString("  {}\n")
	}
	if scan.Elsewhere > 0 {
		fmt.Fprintf(&b, "# More was found, %s, in other fields than the first %d: name those yourself.\n", plural(int(scan.Elsewhere), "time"), proofbox.MaxFields)
	}
	return b.String()
}
