package policy

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"proofbox"
)

// egress settles where the box may connect to, what of it is opened on the way,
// and what the gateway puts into it.
func (d *decision) egress() *proofbox.Refusal {
	for _, settle := range []func() *proofbox.Refusal{d.allow, d.inspect, d.stage, d.secrets} {
		if refusal := settle(); refusal != nil {
			return refusal
		}
	}
	if d.spec.Egress.Upload < 0 {
		return refuse("egress-by-name", "give egress.upload a size above 0", "egress.upload is below 0")
	}
	d.explainEgress()
	return nil
}

func (d *decision) explainEgress() {
	actions := strings.Join(d.spec.Risk.Actions, ", ")
	if len(d.terms.Egress) == 0 {
		d.because("egress-default-deny", "no network", "nothing is allowed by name, so every connection is refused")
		if actions != "" {
			d.because("actions-cannot-leave", "actions are contained", "%s: without a network nothing of it can reach the world", actions)
		}
		return
	}
	d.terms.Upload = cmp.Or(d.spec.Egress.Upload, proofbox.DefaultUpload)
	for _, to := range d.terms.Egress {
		d.because("egress-by-name", "connections to "+to.String(), "the spec allows it; the gateway on the host decides by name and port, records every connection and lets %s be sent", d.terms.Upload)
	}
	for _, i := range d.terms.Inspect {
		d.because("inspected-by-a-ca-of-the-run", "connections to "+i.String()+" are opened", "the gateway reads each request and lets pass %s; whoever in the box trusts only certificates of its own cannot connect", i.Text())
	}
	for _, to := range d.terms.Stage {
		d.because("held-until-approved", "requests to "+to.String()+" are held where they change something", "all but GET, HEAD and OPTIONS wait for `proofbox send`; the box is answered 202, and of what they do it sees nothing")
	}
	for _, s := range d.terms.Secrets {
		d.because("secrets-stay-outside", "the secret "+s.Name+" is not in the box", "the box has a placeholder, which the gateway puts the secret in the place of, in the headers of %s to %s by HTTPS", s.Text(), s.Destination)
	}
	if actions != "" {
		d.because("actions-reach-what-is-allowed", "actions are not contained", "%s: what the box sends to an allowed host is real", actions)
	}
}

// allow settles what is connected through.
func (d *decision) allow() *proofbox.Refusal {
	for _, text := range d.spec.Egress.Allow {
		if refusal := d.destination(text, new(proofbox.Destination)); refusal != nil {
			return refusal
		}
	}
	return nil
}

// destination reads where the box may connect to, and allows it.
func (d *decision) destination(text string, to *proofbox.Destination) *proofbox.Refusal {
	var err error
	if *to, err = ParseDestination(text); err != nil {
		return refuse("egress-by-name", "write HOST or HOST:PORT, with a full name: registry.npmjs.org, *.example.com:8443", "%s", err)
	}
	if !slices.Contains(d.terms.Egress, *to) {
		d.terms.Egress = append(d.terms.Egress, *to)
	}
	return nil
}

// inspect settles what is opened.
func (d *decision) inspect() *proofbox.Refusal {
	for _, i := range d.spec.Egress.Inspect {
		made := proofbox.Inspected{Methods: i.Methods, Paths: i.Paths}
		if refusal := d.destination(i.Host, &made.Destination); refusal != nil {
			return refusal
		}
		if refusal := requests(&made, "the inspection of "+i.Host); refusal != nil {
			return refusal
		}
		if slices.ContainsFunc(d.terms.Inspect, func(o proofbox.Inspected) bool { return o.Destination == made.Destination }) {
			return refuse("inspected-once", "write one entry with all methods and paths", "%s is under egress.inspect twice", made)
		}
		d.terms.Inspect = append(d.terms.Inspect, made)
	}
	return nil
}

// stage settles where requests that change something are held.
func (d *decision) stage() *proofbox.Refusal {
	for _, text := range d.spec.Egress.Stage {
		var to proofbox.Destination
		if refusal := d.destination(text, &to); refusal != nil {
			return refusal
		}
		if !slices.Contains(d.terms.Stage, to) {
			d.terms.Stage = append(d.terms.Stage, to)
		}
		d.open(to)
	}
	return nil
}

// open has the connections to a destination opened.
func (d *decision) open(to proofbox.Destination) {
	if !slices.ContainsFunc(d.terms.Inspect, func(i proofbox.Inspected) bool { return i.Covers(to) || i.Destination == to }) {
		d.terms.Inspect = append(d.terms.Inspect, proofbox.Inspected{Destination: to})
	}
}

// Words of HTTP's requests, and of an environment.
var (
	method   = regexp.MustCompile(`^[A-Z][A-Z-]{0,31}$`)
	pattern  = regexp.MustCompile(`^/[!-)+->@-~]*\*?$`) // printable, without "?", and "*" at the end alone
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
)

// requests checks what requests are listed by, and takes methods in upper case.
func requests(i *proofbox.Inspected, what string) *proofbox.Refusal {
	methods := make([]string, len(i.Methods))
	for n, m := range i.Methods {
		if methods[n] = strings.ToUpper(m); !method.MatchString(methods[n]) {
			return refuse("requests-by-method-and-path", "write methods of HTTP: GET, POST", "%s names %q, which is no method", what, m)
		}
	}
	i.Methods = methods
	for _, p := range i.Paths {
		if !pattern.MatchString(p) || !Plain(strings.TrimSuffix(p, "*")) {
			return refuse("requests-by-method-and-path", `write a path from its "/" on, as it is sent, or its beginning with a "*" at the end: /v1/items, /v1/*`, "%s names %q, which is no path", what, p)
		}
	}
	return nil
}

// Plain says whether a path has one reading: nothing in it is encoded, empty or
// leads upwards, so that no server finds another meaning in it.
func Plain(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, `%;\`) {
		return false
	}
	parts := strings.Split(path[1:], "/")
	for n, part := range parts {
		if part == "." || part == ".." || part == "" && n < len(parts)-1 {
			return false
		}
	}
	return true
}

// secrets settles what the gateway puts into which requests.
func (d *decision) secrets() *proofbox.Refusal {
	names := map[string]bool{}
	for _, s := range d.spec.Secrets {
		_, set := d.spec.Env[s.Name]
		if !variable.MatchString(s.Name) || names[s.Name] || set {
			return refuse("secrets-by-name", "give each secret the name of a variable that has it where proofbox is started, once, and take it out of env", "the secret %q has no such name, or it is there twice", s.Name)
		}
		names[s.Name] = true
		if refusal := d.secret(s); refusal != nil {
			return refusal
		}
	}
	return nil
}

func (d *decision) secret(s proofbox.Secret) *proofbox.Refusal {
	use := proofbox.SecretUse{Name: s.Name, Inspected: proofbox.Inspected{Methods: s.Methods, Paths: s.Paths}}
	to, err := ParseDestination(s.Host)
	if err != nil || strings.HasPrefix(to.Host, "*.") || to.Port == 80 {
		return refuse("secrets-for-one-host", "name one host, which speaks HTTPS: api.example.com", "the host %q of the secret %s is none that a secret can be for", s.Host, s.Name)
	}
	if _, ok := Allowed(d.terms.Egress, to.Host, to.Port); !ok {
		return refuse("secrets-for-allowed-hosts", "name "+to.String()+" under egress.allow or egress.inspect, too", "the secret %s is for %s, where the box may not connect to", s.Name, to)
	}
	use.Destination = to
	if len(use.Methods) == 0 {
		use.Methods = []string{"GET", "HEAD"}
	}
	if refusal := requests(&use.Inspected, "the secret "+s.Name); refusal != nil {
		return refusal
	}
	d.terms.Secrets = append(d.terms.Secrets, use)
	d.open(to)
	return nil
}
