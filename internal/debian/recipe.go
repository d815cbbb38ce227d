package debian

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Recipe says what a base is made of.
type Recipe struct {
	Suite string `json:"suite"` // of Debian
	// Kernel is the package that depends on the newest kernel.
	Kernel string `json:"kernel"`
	// Variant is what the root begins with, see mmdebstrap(1); Packages are
	// added to it, and what Leave matches is left out of them.
	Variant  string   `json:"variant"`
	Packages []string `json:"packages"`
	Leave    []string `json:"leave"`
	// Drop lists what is made while packages are installed and left out again,
	// because it differs each time or tells of this host, as patterns of tar(1).
	Drop []string `json:"drop"`
}

// recipe is the base of this version. Whoever works in a box without a network
// can add nothing to it, so it has what agents and generated code reach for: a
// shell, Python, git, make and a C compiler. What is left out is documentation
// and the parts of the compiler for whole-program optimization and sanitizers,
// a third of it all.
var recipe = Recipe{
	Suite:   "bookworm",
	Kernel:  "linux-image-cloud-amd64",
	Variant: "essential",
	Packages: []string{
		"python3", "git", "gcc", "libc6-dev", "make", "patch", "procps", "less", "file", "xz-utils",
	},
	Leave: []string{
		"/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/bash-completion/*",
		"/usr/share/gitweb/*", "/usr/share/lintian/*", "/usr/share/perl/*/pod/*", "/usr/share/perl/*/unicore/*.txt",
		"/usr/lib/gcc/*/*/lto1", "/usr/bin/*lto-dump*", "/usr/lib/x86_64-linux-gnu/perl/*/CORE/*",
		"/usr/lib/x86_64-linux-gnu/libgprofng*", "/usr/bin/*gprofng*",
		"/usr/lib/x86_64-linux-gnu/libasan*", "/usr/lib/x86_64-linux-gnu/libtsan*", "/usr/lib/x86_64-linux-gnu/libubsan*",
		"/usr/lib/x86_64-linux-gnu/liblsan*", "/usr/lib/gcc/*/*/lib*san*", "/usr/bin/*-dwp", "/usr/bin/dwp",
	},
	Drop: []string{"./dev/*", "./usr/share/python3/*/__pycache__", "./var/cache/ldconfig", "./var/log/*", "./etc/apt/*", "./etc/hostname", "./etc/resolv.conf"},
}

// digest names the recipe.
func (r Recipe) digest() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("debian: encoding a recipe of strings: %v", err))
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}
