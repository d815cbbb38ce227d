package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"proofbox"
	"proofbox/internal/terminal"
)

func (a *app) contentsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "contents", Short: "Say what is in a data set, seal it and verify it", Args: usageArgs(cobra.NoArgs),
		Long: `Say what is in a data set, seal it and verify it.

A data set is a file or a folder. Its class is a claim that can be shown to be
false: none (nothing in it identifies anybody), synthetic (every identifier in it
is provably nobody's), masked, or real. A seal is a signed statement of the class
and of every file; it stands beside the set, in a file that ends in .seal.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.contentsMaskCommand(), a.contentsUnmaskCommand(), a.contentsScanCommand(), a.contentsSealCommand(), a.contentsVerifyCommand(), a.contentsSeenCommand(), a.contentsSynthCommand(), a.contentsMessCommand())
	return cmd
}

// oneSet gives the absolute path of the data set that a command is about.
func oneSet(cmd *cobra.Command, args []string) (string, error) {
	if len(args) != 1 {
		return "", usage(cmd, errors.New("name one data set: a file or a folder"))
	}
	path, err := filepath.Abs(args[0])
	if err != nil {
		return "", fmt.Errorf("finding the data set: %w", err)
	}
	return path, nil
}

func (a *app) contentsScanCommand() *cobra.Command {
	var identifiers bool
	cmd := &cobra.Command{
		Use: "scan PATH", Short: "Find what identifies somebody or opens something",
		Long: `Find what identifies somebody or opens something: numbers with check digits,
addresses, telephone numbers, secrets. Of each it says where it is and whether it
is provably synthetic, because a standard or its issuer reserves it. Names, places,
organisations, postal addresses and dates are counted, too; what finds those errs,
so nothing depends on it, and it takes most of the time. A value is shown by its
shape alone. Exits with 1 where an identifier may be somebody's, or something could
not be read. What is not looked for is named at the end.

Where PROOFBOX_NAMES has the path of a program when proofbox is started, that finds the
names, by a model of its own for one; docs/contents.md says how it is asked.`,
		Example: "  proofbox contents scan data/tickets.jsonl\n  proofbox contents scan . --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := oneSet(cmd, args)
			if err != nil {
				return err
			}
			scan, err := a.client.ScanContents(cmd.Context(), path, !identifiers)
			if err != nil {
				return err
			}
			if a.json {
				err = a.document(scan)
			} else {
				a.showScan(scan)
			}
			if err == nil && (scan.Unproven > 0 || len(scan.Problems) > 0) {
				err = &exitError{code: exitFailed}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&identifiers, "identifiers", false, "look for identifiers and secrets alone, which is much faster")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) showScan(s proofbox.Scan) {
	a.printf("%s, %s\n", plural(int(s.Files), "file"), plural(int(s.Records), "record"))
	for _, k := range s.Kinds {
		a.printf("  %6d  %s, %d provably synthetic\n", k.Found, k.Kind, k.Synthetic)
	}
	for _, f := range s.Findings {
		if f.Identifier && f.Synthetic == "" {
			a.printf("%s: %s %s\n", placeText(f.Place), f.Kind, f.Shape)
		}
	}
	for _, p := range s.Problems {
		a.printf("%s: NOT READ: %s\n", placeText(p.Place), p.Reason)
	}
	a.printf("%s that may be somebody's, %s\n", plural(int(s.Unproven), "finding"), plural(len(s.Problems), "problem"))
	if s.NamesBy != "" {
		a.printf("names were found by the program with the SHA-256 %s\n", terminal.Name(s.NamesBy))
	}
	for _, b := range s.Blind {
		a.printf("not looked for: %s\n", b)
	}
}

// placeText writes a place on one line.
func placeText(p proofbox.Place) string {
	text := string(p.File)
	if p.Record > 0 {
		text += fmt.Sprintf(":%d", p.Record)
	}
	if p.Field != "" {
		text += ":" + p.Field
	}
	return fmt.Sprintf("%s @%d", text, p.Offset)
}

func (a *app) contentsSealCommand() *cobra.Command {
	var class, person, because, until string
	var asked awakeFlags
	cmd := &cobra.Command{
		Use: "seal PATH", Short: "Scan a data set and, if it is what its class claims, sign it",
		Long: `Scan a data set and, if it is what its class claims, sign it. What speaks against
the claim is named with its file and record, and the status is 126. The scan is tried
with planted values; --max-miss and --max-age ask for more than what always is asked
of that, here and whenever the seal is relied on.`,
		Example: "  proofbox contents seal data/customers.csv --class synthetic\n" +
			"  proofbox contents seal export --class real --person 'A. Owner' --because 'audit 12' --until 2026-12-31",
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := sealRequest(class, person, because, until)
			if err != nil {
				return usage(cmd, err)
			}
			if req.Awake, err = asked.awake(); err != nil {
				return usage(cmd, err)
			}
			if req.Path, err = oneSet(cmd, args); err != nil {
				return err
			}
			sealed, err := a.client.SealContents(cmd.Context(), req)
			return a.showVerified(sealed, err)
		},
	}
	cmd.Flags().StringVar(&class, "class", "", "what the data is, a `CLASS`: none, synthetic, masked or real")
	cmd.Flags().StringVar(&person, "person", "", "who consents to the use of real data, a `NAME`")
	cmd.Flags().StringVar(&because, "because", "", "the `REASON` for the use of real data")
	cmd.Flags().StringVar(&until, "until", "", "the first day on which real data may not be used any more, `YYYY-MM-DD`")
	asked.add(cmd)
	a.jsonFlag(cmd)
	return cmd
}

// awakeFlags are what somebody asks of the test with planted values.
type awakeFlags struct {
	miss string
	days int
}

func (f *awakeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.miss, "max-miss", "", fmt.Sprintf("the largest `SHARE` of planted values that the scan may miss, by the bound: %g%% or less", proofbox.MaxMiss*100))
	cmd.Flags().IntVar(&f.days, "max-age", 0, fmt.Sprintf("for how many `DAYS` the test with planted values counts: %d or fewer", proofbox.MaxTestDays))
}

func (f *awakeFlags) awake() (*proofbox.Awake, error) {
	if f.miss == "" && f.days == 0 {
		return nil, nil
	}
	a := &proofbox.Awake{Days: f.days}
	if f.miss == "" {
		return a, nil
	}
	share, err := strconv.ParseFloat(strings.TrimSuffix(f.miss, "%"), 64)
	if err != nil || !strings.HasSuffix(f.miss, "%") || share <= 0 {
		return nil, fmt.Errorf("--max-miss %q is no share such as 0.5%%", f.miss)
	}
	a.Miss = share / 100
	return a, nil
}

func sealRequest(class, person, because, until string) (proofbox.SealRequest, error) {
	var r proofbox.SealRequest
	var err error
	if r.Class, err = proofbox.ParseClass(class); err != nil {
		return r, fmt.Errorf("--class: %w", err)
	}
	if person+because+until == "" {
		return r, nil
	}
	r.Grant = &proofbox.Grant{Person: person, Reason: because}
	if until != "" {
		if r.Grant.Until, err = time.ParseInLocation(time.DateOnly, until, time.Local); err != nil {
			return r, fmt.Errorf("--until %q is not a day such as 2026-12-31", until)
		}
	}
	return r, nil
}

func (a *app) contentsVerifyCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "verify PATH", Short: "Hold a data set against its seal",
		Long: `Hold a data set against its seal: the signature, every byte of every file, the
class and what it needs. What disagrees is named, and the status is 126. A set that
was verified before is not read again if no file and no folder of it has changed
since, by the times that the file system itself keeps and no program can set; some
files, at random, are. It is said which way it was verified.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := oneSet(cmd, args)
			if err != nil {
				return err
			}
			verified, err := a.client.VerifyContents(cmd.Context(), path, all)
			return a.showVerified(verified, err)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "read every byte, also of what was verified before and is unchanged")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) showVerified(v proofbox.Verified, err error) error {
	if _, refused := errors.AsType[*proofbox.Refusal](err); refused {
		return &exitError{code: proofbox.ExitRefused, err: err}
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.document(v)
	}
	a.printf("%s: %s, %s, root %s, as %s says\n", v.Path, v.Seal.Class, plural(max(v.Files, len(v.Seal.Files)), "file"), v.Seal.Root, v.File)
	if v.How != "" {
		a.printf("%s\n", v.How)
	}
	for _, b := range v.Seal.Blind {
		a.printf("not looked for: %s\n", b)
	}
	return nil
}

func (a *app) contentsSeenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "seen RUN", Short: "Say what data a run's box could see, and what it opened", Args: oneRun,
		Long: `Say what data a run's box could see, and what it opened: of each sealed set the
class, the root that names its bytes, the seal, and the files that were opened,
first and last. The box had a copy that was verified byte by byte, so a change of the
set during the run was not seen by it. Where the data is synthetic or masked, the
records that reached the box by another road afterwards are counted, too.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			seen, err := a.client.SeenContents(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.document(seen)
			}
			a.showSight(seen)
			return nil
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) showSight(s proofbox.Sight) {
	if len(s.Contents) == 0 {
		a.printf("the box had no declared data\n")
	}
	for _, c := range s.Contents {
		a.showSeen(c, s.State == proofbox.Ended)
	}
	if s.Later != nil {
		a.showLater(*s.Later)
	}
}

func (a *app) showSeen(c proofbox.Seen, ended bool) {
	a.printf("%s: %s, at %s, verified %s\n", c.Path, c.Class, c.At, c.Time.Local().Format(time.DateTime))
	a.printf("  %s, %s, root %s\n  seal %s\n", plural(c.Files, "file"), plural(int(c.Records), "record"), c.Root, c.Seal)
	switch {
	case !ended:
		return
	case c.After == "unchanged":
		a.printf("  every byte was still as sealed when the box had ended\n")
	case c.After == "changed":
		a.printf("  CHANGED while the box ran\n")
	default:
		a.printf("  proofbox was killed, so what the box opened is not known\n")
		return
	}
	for _, o := range c.Opened {
		name := string(o.Name)
		if name == "" {
			name = "it"
		}
		verb := "opened"
		if o.Read {
			verb = "read"
		}
		a.printf("  %s was %s, first %s, last %s\n", name, verb, o.First.Local().Format(time.TimeOnly), o.Last.Local().Format(time.TimeOnly))
	}
	if len(c.Opened) == 0 && c.Unwatched == "" {
		a.printf("  none of it was opened\n")
	}
	if c.Unwatched != "" {
		a.printf("  %s\n", c.Unwatched)
	}
}

func (a *app) showLater(l proofbox.Later) {
	a.printf("by other roads, after the start: %s, %d with what may be somebody's\n", plural(int(l.Records), "record"), l.Untagged)
	for _, r := range l.Roads {
		a.printf("  %s: %s, %d with what may be somebody's\n", r.Name, plural(int(r.Records), "record"), r.Untagged)
	}
	for _, f := range l.Findings {
		a.printf("  %s: %s %s\n", placeText(f.Place), f.Kind, f.Shape)
	}
	if l.Stopped {
		a.printf("  STOPPED: this is not %s data\n", l.Class)
	}
	for _, u := range l.Unwatched {
		a.printf("  not looked at: %s\n", u)
	}
}
