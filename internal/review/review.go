// Package review is the screen on which a person decides what to keep of a run:
// change by change, hunk by hunk or line by line, and applies it.
//
// Every decision goes to the run's record as it is made, so that the screen can
// be left and opened again; nothing is applied before that is asked for. What
// comes from a box is escaped before it is shown.
package review

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"proofbox"
	"proofbox/internal/hazard"
	"proofbox/internal/syntax"
	"proofbox/internal/terminal"
)

// Run is the run that is looked at.
type Run interface {
	Diff(ctx context.Context, r proofbox.DiffRequest) (proofbox.Diff, error)
	Decide(ctx context.Context, r proofbox.ChoiceRequest) error
	Keep(ctx context.Context, r proofbox.KeepRequest) (proofbox.KeepReceipt, error)
	// Colours says what the parts of the lines of a change are.
	Colours(ctx context.Context, o syntax.Order) ([][][]syntax.Part, error)
}

// Open gives the screen of a run, to be handed to [tea.NewProgram].
func Open(ctx context.Context, run Run) (tea.Model, error) {
	diff, err := run.Diff(ctx, proofbox.DiffRequest{Stat: true})
	if err != nil {
		return nil, err
	}
	if len(diff.Folders) > 0 {
		return nil, fmt.Errorf("run %s has more changes than a screen helps with; `proofbox diff %s --stat` sums them up by folder, and `proofbox review %s FOLDER` is about those in one", diff.Run, diff.Run, diff.Run)
	}
	m := &model{ctx: ctx, run: run, diff: diff, width: 80, height: 24, seen: map[proofbox.Raw]bool{}}
	m.list = newList(diff.Changes, all, "")
	m.list.fold(hazard.Fold(diff.Changes))
	return m, nil
}

// model is the state of the screen. Its methods run in one goroutine; what takes
// time runs in commands, and comes back as a message.
type model struct {
	ctx           context.Context
	run           Run
	diff          proofbox.Diff
	width, height int
	list          *list
	file          *file // nil while the list is shown
	help          bool
	search        *string   // what is being typed, nil for nothing
	ask           *question // nil for none
	text          []string  // a text to be read, nil for none
	status        string
	seen          map[proofbox.Raw]bool // changes whose text was shown
	queue         []proofbox.ChoiceRequest
	sending       bool    // a decision is on its way
	applying      bool    // a keep goes on
	counted       *counts // nil once they have changed
}

// question is one that a key answers.
type question struct {
	lines []string
	yes   func() tea.Cmd
	keys  map[string]func() tea.Cmd // further answers
}

// Messages of what has taken time.
type (
	listed struct {
		diff proofbox.Diff
		err  error
	}
	opened struct {
		diff proofbox.Diff
		err  error
	}
	coloured struct {
		file  *file
		parts [][][]syntax.Part
		err   error
	}
	decided struct{ err error }
	kept    struct {
		receipt proofbox.KeepReceipt
		err     error
	}
)

// Init implements [tea.Model].
func (m *model) Init() tea.Cmd { return nil }

// Update implements [tea.Model].
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m, m.key(msg.String(), msg.Text)
	case listed:
		if m.failed(msg.err) {
			return m, nil
		}
		m.diff, m.counted = msg.diff, nil
		m.list = newList(m.diff.Changes, m.list.filter, m.list.search).at(m.list)
	case opened:
		return m, m.openFile(msg)
	case coloured:
		if msg.err != nil {
			m.status = "without colours: " + msg.err.Error()
		}
		msg.file.parts = msg.parts
	case decided:
		m.sending = false
		m.failed(msg.err)
		return m, m.send()
	case kept:
		return m, m.afterKeep(msg)
	}
	return m, nil
}

// failed shows an error.
func (m *model) failed(err error) bool {
	if err != nil {
		m.read("That did not work:", strings.Split(err.Error(), "\n")...)
	}
	return err != nil
}

// read shows a text until a key is pressed.
func (m *model) read(title string, lines ...string) {
	m.text = append([]string{title, ""}, lines...)
}

// key handles a key by what is in front.
func (m *model) key(key, text string) tea.Cmd {
	switch {
	case key == "ctrl+c":
		return tea.Quit
	case m.applying:
		m.status = "applying: wait until it is done"
		return nil
	case m.search != nil:
		m.typeSearch(key, text)
		return nil
	case m.ask != nil:
		return m.answer(key)
	case m.text != nil || m.help:
		m.text, m.help = nil, false
		return nil
	}
	m.status = ""
	switch key {
	case "?":
		m.help = true
		return nil
	case "q":
		return m.leave()
	case "a":
		return m.askKeep()
	}
	if m.file != nil {
		return m.fileKey(key)
	}
	return m.listKey(key)
}

// answer takes the answer to a question. Anything but an answer is a no.
func (m *model) answer(key string) tea.Cmd {
	q := m.ask
	m.ask = nil
	if key == "y" && q.yes != nil {
		return q.yes()
	}
	if act, ok := q.keys[key]; ok {
		return act()
	}
	m.status = "nothing was done"
	return nil
}

// leave ends the program; decisions that are on their way arrive first.
func (m *model) leave() tea.Cmd {
	if m.sending || len(m.queue) > 0 {
		m.status = "decisions are being written; q again ends"
		return nil
	}
	return tea.Quit
}

// typeSearch edits what is searched for.
func (m *model) typeSearch(key, text string) {
	switch {
	case key == "esc":
		m.search = nil
		m.list = newList(m.diff.Changes, m.list.filter, "").at(m.list)
		return
	case key == "enter":
		m.search = nil
		m.list.toChange()
		return
	case key == "backspace":
		if r := []rune(*m.search); len(r) > 0 {
			*m.search = string(r[:len(r)-1])
		}
	default:
		*m.search += text
	}
	found := newList(m.diff.Changes, m.list.filter, *m.search)
	found.inherit(m.list)
	found.changed()
	m.list = found
}

// decide notes a choice here at once, and sends it after those before it: two at
// the same time could overtake each other.
func (m *model) decide(r proofbox.ChoiceRequest) tea.Cmd {
	m.queue = append(m.queue, r)
	return m.send()
}

func (m *model) send() tea.Cmd {
	if m.sending || len(m.queue) == 0 {
		return nil
	}
	r := m.queue[0]
	m.queue, m.sending = m.queue[1:], true
	return func() tea.Msg { return decided{m.run.Decide(m.ctx, r)} }
}

// chooseOne decides on a whole change, and asks before one is kept that would run
// here. What is to be done then, if anything, is in also.
func (m *model) chooseOne(i int, choice proofbox.Choice, also func()) tea.Cmd {
	return m.gated(i, choice, func(allow []proofbox.Allowance) tea.Cmd {
		r := m.choose([]int{i}, choice, false)
		if len(r.Paths) == 0 {
			return nil
		}
		if also != nil {
			also()
		}
		r.Allow = allow
		return m.decide(r)
	})
}

// chooseAll decides on changes together, but for those that want a yes of their own.
func (m *model) chooseAll(indices []int, choice proofbox.Choice) tea.Cmd {
	r := m.choose(indices, choice, true)
	if len(r.Paths) == 0 {
		return nil
	}
	return m.decide(r)
}

// choose notes a choice about whole changes, as far as that is allowed, and says what
// was not. It gives the request that makes it.
func (m *model) choose(indices []int, choice proofbox.Choice, bulk bool) proofbox.ChoiceRequest {
	r := proofbox.ChoiceRequest{Choice: choice}
	var why string
	left := 0
	for _, i := range indices {
		c := &m.diff.Changes[i]
		if reason := m.forbids(c, choice, bulk); reason != "" {
			left++
			why = reason
			continue
		}
		c.Choice, c.Partly = choice, false
		r.Paths = append(r.Paths, c.Path)
	}
	m.counted = nil
	switch {
	case left == 1 && len(indices) == 1:
		m.status = why
	case left > 0:
		m.status = fmt.Sprintf("%d decided, %d left open: %s", len(r.Paths), left, why)
	}
	return r
}

// forbids says why a choice about a change cannot be made here; empty where it
// can.
func (m *model) forbids(c *proofbox.Change, choice proofbox.Choice, bulk bool) string {
	switch {
	case c.Kept:
		return "it was kept already; `proofbox undo` takes that back"
	case choice != proofbox.Take:
		return ""
	case c.Refused != "":
		return "it is never kept: " + terminal.Escape(c.Refused)
	case c.Drifted:
		return "the original changed while the box ran; it cannot be kept"
	case len(c.Hazards) > 0 && bulk:
		return "it would run here, and wants a yes of its own"
	case len(c.Hazards) > 0 && !m.seen[c.Path]:
		return "it would run here: look at it first (enter), then say yes there"
	}
	return ""
}

// askKeep asks whether what was decided is to be applied.
func (m *model) askKeep() tea.Cmd {
	n, parts := 0, 0
	for i := range m.diff.Changes {
		switch c := &m.diff.Changes[i]; {
		case c.Choice == proofbox.Take && !c.Kept:
			n++
		case c.Partly:
			parts++
		}
	}
	if n+parts == 0 {
		m.status = "nothing was decided to be kept: y keeps a change or a hunk"
		return nil
	}
	if m.sending || len(m.queue) > 0 {
		m.status = "decisions are being written; try again"
		return nil
	}
	what := fmt.Sprintf("Apply to %s: %s?", terminal.Name(m.diff.Original), amounts(n, parts))
	m.ask = &question{lines: []string{what, "", "y applies them, any other key does not. `proofbox undo` takes it back."}, yes: func() tea.Cmd { return m.keep("") }}
	return nil
}

// amounts says how many changes are whole, and how many in part.
func amounts(whole, parts int) string {
	switch {
	case parts == 0:
		return changes(whole)
	case whole == 0:
		return "parts of " + changes(parts)
	}
	return changes(whole) + ", and parts of " + changes(parts)
}

func changes(n int) string {
	if n == 1 {
		return "1 change"
	}
	return fmt.Sprintf("%d changes", n)
}

func (m *model) keep(side proofbox.Side) tea.Cmd {
	m.applying, m.status = true, "applying…"
	return func() tea.Msg {
		receipt, err := m.run.Keep(m.ctx, proofbox.KeepRequest{Decided: true, Conflict: side})
		return kept{receipt, err}
	}
}

// afterKeep says what a keep has done. A conflict can be answered with a side.
func (m *model) afterKeep(k kept) tea.Cmd {
	m.applying, m.status = false, ""
	if k.err != nil {
		lines := strings.Split(k.err.Error(), "\n")
		if strings.Contains(k.err.Error(), "--on-conflict") {
			lines = append(lines, "", "r takes the run's side, o the original's, any other key neither.")
			m.ask = &question{lines: lines, keys: map[string]func() tea.Cmd{
				"r": func() tea.Cmd { return m.keep(proofbox.TakeRun) },
				"o": func() tea.Cmd { return m.keep(proofbox.TakeOriginal) },
			}}
			return nil
		}
		m.failed(k.err)
		return nil
	}
	lines := []string{fmt.Sprintf("Applied to %s: %s.", terminal.Name(k.receipt.Original), applied(k.receipt.Kept))}
	for _, p := range k.receipt.Merged {
		lines = append(lines, "merged with what had changed there: "+terminal.Name(string(p)))
	}
	for _, c := range k.receipt.Refused {
		lines = append(lines, "refused: "+terminal.Name(string(c.Path))+": "+terminal.Escape(c.Refused))
	}
	m.read("Kept", append(lines, "", "`proofbox undo "+m.diff.Run+"` takes it back.")...)
	m.file = nil
	return m.reload()
}

// applied counts what was kept, and by themselves the new folders, which come with
// what lies in them.
func applied(kept []proofbox.Change) string {
	folders := 0
	for _, c := range kept {
		if c.Before.Kind == proofbox.Absent && c.After.Kind == proofbox.Folder {
			folders++
		}
	}
	switch n := changes(len(kept) - folders); {
	case folders == 0:
		return n
	case folders == 1:
		return n + ", and a new folder"
	default:
		return fmt.Sprintf("%s, and %d new folders", n, folders)
	}
}

func (m *model) reload() tea.Cmd {
	return func() tea.Msg {
		diff, err := m.run.Diff(m.ctx, proofbox.DiffRequest{Stat: true})
		return listed{diff, err}
	}
}

// View implements [tea.Model].
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.screen(), "\n"))
	v.AltScreen = true
	return v
}

// screen gives the lines of the screen, as many as it has.
func (m *model) screen() []string {
	var body []string
	height := max(1, m.height-3)
	title, keys := m.title(), "enter open  y keep  n discard  u undecide  / find  f filter  a apply  ? help"
	switch {
	case m.ask != nil:
		body, keys = wrap(m.ask.lines, m.width), "y yes  any other key no"
		if m.ask.yes == nil {
			keys = ""
		}
	case m.text != nil:
		body, keys = wrap(m.text, m.width), "any key goes on"
	case m.help:
		body, keys = strings.Split(help, "\n"), "any key goes on"
	case m.file != nil:
		body, keys = m.file.lines(m.width, height), m.file.keys()
	default:
		body = m.list.lines(m.diff.Changes, m.width, height)
	}
	if len(body) > height {
		body = append(slices.Clone(body[:height-1]), "…")
	}
	for len(body) < height {
		body = append(body, "")
	}
	status := m.status
	if status == "" && m.file == nil {
		status = m.list.narrowed()
	}
	if status == "" && m.file == nil {
		status = m.held()
	}
	if m.search != nil {
		status, keys = "/"+terminal.Escape(*m.search)+"▏", "enter goes to what is found  esc shows all again"
	}
	screen := append([]string{bar(title, m.width)}, body...)
	return append(screen, fit(status, m.width), faint(fit(keys, m.width)))
}

// held says what else of the run waits for a person.
func (m *model) held() string {
	n := 0
	for _, s := range m.diff.Staged {
		if s.State == proofbox.Held {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return "a request is held, too: see `proofbox diff " + m.diff.Run + "` and `proofbox send`"
	}
	return fmt.Sprintf("%d requests are held, too: see `proofbox diff %s` and `proofbox send`", n, m.diff.Run)
}

// counts says how far one is.
type counts struct{ open, take, drop, done, hazards int }

// count counts the changes again once something about them has changed: there may be
// a million, and a key must not wait for them.
func (m *model) count() counts {
	if m.counted != nil {
		return *m.counted
	}
	n := counts{}
	for i := range m.diff.Changes {
		c := &m.diff.Changes[i]
		switch {
		case c.Kept:
			n.done++
		case c.Choice == proofbox.Take || c.Partly:
			n.take++
		case c.Choice == proofbox.Drop:
			n.drop++
		default:
			n.open++
		}
		if len(c.Hazards) > 0 && !c.Kept {
			n.hazards++
		}
	}
	m.counted = &n
	return n
}

// title says where one is, and how far.
func (m *model) title() string {
	n := m.count()
	text := fmt.Sprintf(" run %s: %s, %d keep, %d discard, %d open", m.diff.Run, changes(len(m.diff.Changes)), n.take, n.drop, n.open)
	if n.done > 0 {
		text += fmt.Sprintf(", %d kept", n.done)
	}
	if n.hazards > 0 {
		text += fmt.Sprintf(", %d !", n.hazards)
	}
	return text
}

const help = `In the list                    ↑ ↓ PgUp PgDn g G  move
  enter →    open a change; close or open a folder
  y n u      keep, discard, undecide: a change, or all in a folder
  /          search in the paths
  f          list all, what would run here or hides text, or what is open
In a change
  tab  shift+tab  the next hunk, the one before
  y n u      keep, discard, undecide the hunk, or the lines of a range
  Y N U      the whole change
  v          begin a range of lines, which ends at the cursor
  b          make a range of the changed lines around the cursor
  s          old and new side by side, or one below the other
  o          show or hide a hunk; one that was discarded before is hidden
  > <        show what is further right, or left, in long lines; esc ← back
Everywhere   a  apply what was decided      q  leave; decisions stay

[y] keep  [n] discard  [~] keep some hunks or lines  [ ] open
[k] kept  [p] some of it is kept  [x] never kept
!   would run on this machine or hides text: wants a yes of its own
A added  M modified  D deleted  +12 -3 lines that come and go`
