package hazard

// rules are tried in order; the first that matches a path decides.
var rules = []rule{
	// git, outside its own folder
	{"git-attributes", "chooses which programs git runs as filters, and hides files from `git diff`", []string{".gitattributes"}, nil},
	{"git-modules", "says what the next `git submodule update` fetches and where it puts it", []string{".gitmodules"}, nil},
	{"git-config", "is read by git, and can name programs that it runs", []string{".gitconfig", ".lfsconfig", ".git-blame-ignore-revs/"}, nil},
	{"git-hook", "runs on the next `git commit`", []string{
		".husky/", ".githooks/", "githooks/", ".pre-commit-config.yaml", ".pre-commit-config.yml", ".pre-commit-hooks.yaml", "lefthook*.yml", "lefthook*.yaml",
		"lefthook*.toml", "lefthook*.json", ".lefthook/", ".lintstagedrc*", ".overcommit.yml", ".simple-git-hooks.*", ".huskyrc*", "commitlint.config.*", ".commitlintrc*",
	}, nil},
	{"other-vcs", "is read by the next command of another version control, and can name programs that it runs", []string{".hg/", ".svn/", ".bzr/", ".jj/", ".hgrc", ".hgsub", ".arcconfig"}, nil},

	// what opens by itself
	{"ci", "runs in CI on the next push", []string{
		".github/workflows/", ".github/actions/", "action.yml", "action.yaml", ".github/dependabot.yml", ".gitlab-ci.yml", ".gitlab-ci.yaml", ".gitlab/", ".circleci/",
		"azure-pipelines*.yml", ".azure-pipelines/", ".travis.yml", "appveyor.yml", ".appveyor.yml", "bitbucket-pipelines.yml", ".drone.yml", ".woodpecker/", ".woodpecker.yml",
		".buildkite/", "buildspec.yml", "buildspec.yaml", "cloudbuild.yaml", "cloudbuild.yml", ".ci/", ".forgejo/", ".gitea/", "jenkinsfile*", "renovate.json", ".renovaterc*",
		"netlify.toml", "vercel.json", ".teamcity/", ".semaphore/", "codemagic.yaml", ".cirrus.yml", "wercker.yml", ".goreleaser.y*ml", ".builds/", ".tekton/",
	}, nil},
	{"agent", "is read by the next coding agent, as settings or instructions", []string{
		".claude/", ".codex/", ".gemini/", ".cursor/", ".windsurf/", ".roo/", ".kiro/", ".continue/", ".opencode/", ".junie/", ".amazonq/", ".qwen/", ".agents/", ".factory/", ".augment/",
		".mcp.json", "mcp.json", "agents.md", "agents.override.md", "claude.md", "claude.local.md", "gemini.md", "qwen.md", "skill.md", "copilot-instructions.md", ".github/instructions/",
		".github/prompts/", ".github/chatmodes/", ".cursorrules", ".windsurfrules", ".clinerules", ".clinerules/", ".rules", ".aider*", ".goosehints", "opencode.json*", "crush.json", ".crush/", "llms.txt",
	}, nil},
	{"editor", "runs when the folder is opened in an editor", []string{
		".vscode/", "*.code-workspace", ".idea/", "*.iml", ".fleet/", ".zed/", ".vs/", ".exrc", ".nvimrc", ".nvim.lua", ".vimrc", ".gvimrc", "_vimrc", ".lvimrc", ".lnvim.lua", ".dir-locals.el", ".dir-locals-2.el",
		".emacs", ".emacs.d/", "*.sublime-project", "*.sublime-workspace", ".theia/", ".project", ".settings/", ".kakrc", ".helix/", "*.code-snippets", ".run/",
	}, nil},
	{"editorconfig", "changes how editors write files", []string{".editorconfig"}, nil},
	{"dev-container", "runs on this machine when the folder is opened in a container", []string{".devcontainer/", "devcontainer.json", ".devcontainer.json", ".gitpod.yml", ".gitpod.dockerfile", "devfile.yaml", ".daytona/"}, nil},
	{"environment", "is loaded when a shell enters the folder", []string{
		".envrc", ".envrc.*", ".direnv/", ".autoenv*", ".env", ".env.*", ".flaskenv", ".mise.toml", ".mise.*.toml", "mise.toml", "mise.*.toml", ".mise/", "mise/", ".config/mise/", ".config/mise.toml", ".rtx.toml", ".tool-versions", ".asdfrc",
		".nvmrc", ".node-version", ".ruby-version", ".python-version", ".java-version", ".sdkmanrc", ".terraform-version", "devbox.json", "devenv.nix", "devenv.yaml", ".devenv/", ".proto/", ".prototools",
	}, nil},
	{"shell", "runs when a shell or a tool of its owner starts", []string{
		".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile", ".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".login", ".cshrc", ".tcshrc", ".kshrc",
		".inputrc", "config.fish", ".config/fish/", ".xinitrc", ".xprofile", ".xsession", ".xsessionrc", ".tmux.conf", ".screenrc", ".gdbinit", ".lldbinit", ".curlrc", ".wgetrc", ".netrc", "_netrc", ".ssh/", ".gnupg/",
		".forward", ".procmailrc", ".pam_environment", ".config/autostart/", ".config/systemd/", "crontab", ".crontab", ".pythonrc", ".pythonrc.py", ".pdbrc", ".pdbrc.py", ".irbrc", ".pryrc", ".psqlrc", ".sqliterc", ".my.cnf",
		".docker/", ".kube/", ".aws/", ".config/gh/", ".rprofile", ".renviron", ".ghci", ".octaverc", ".guile", ".sbclrc", ".clisprc*", ".byebugrc", ".ackrc", ".rgrc", ".hushlogin", "authorized_keys",
	}, nil},
	{"desktop", "runs when it is opened", []string{
		"*.desktop", "*.url", "*.webloc", "*.lnk", "autorun.inf", "desktop.ini", "*.command", "*.scpt", "*.applescript", "*.workflow/", "*.app/", "*.service", "*.timer", "*.plist", "*.reg", "*.hta", "*.vbs", "*.wsf", "*.scr",
		"*.bat", "*.cmd", "*.com", "*.exe", "*.msi", "*.docm", "*.xlsm", "*.pptm", "*.dotm", "*.xltm", "*.xlam", "*.jnlp", "*.appimage", "*.deb", "*.rpm", "*.pkg", "*.dmg", "*.scf", "*.library-ms", "*.settingcontent-ms",
	}, nil},

	// packages
	{"package-scripts", "has scripts that run on the next `npm install` or `npm test`", []string{"package.json", "package.json5", "package.yaml"}, packageJSON},
	{"package-scripts", "has scripts that run on the next `composer install`", []string{"composer.json"}, packageJSON},
	{"package-manager", "says what the next `npm install` runs and where it fetches from", []string{
		".npmrc", ".yarnrc", ".yarnrc.yml", ".yarn/", ".pnp.cjs", ".pnp.js", ".pnp.loader.mjs", ".pnpmfile.cjs", ".pnpmfile.mjs", "pnpmfile.js", "pnpm-workspace.yaml", "bunfig.toml", "binding.gyp", "*.gypi", "deno.json", "deno.jsonc", "lerna.json",
		"nx.json", "turbo.json", "rush.json", "bower.json", ".bowerrc",
	}, nil},
	{"package-manager", "says what the next `pip install` runs and where it fetches from", []string{
		"pip.conf", "pip.ini", ".pypirc", "pyproject.toml", "setup.py", "setup.cfg", "pipfile", "poetry.toml", "uv.toml", "hatch_build.py", "hatch.toml", "pdm.toml", ".condarc", "environment.yml", "environment.yaml", "conda-lock.yml", "meta.yaml", "build_backend.py",
	}, nil},
	{"requirements", "", []string{"requirements*.txt", "requirements/*.txt", "constraints*.txt", "requirements*.in"}, sources},
	{"lockfile", "", []string{
		"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "go.sum", "cargo.lock", "poetry.lock", "uv.lock", "pdm.lock", "pipfile.lock", "composer.lock", "gemfile.lock", "mix.lock", "flake.lock", "pubspec.lock",
		"packages.lock.json", "gradle.lockfile", "podfile.lock", "package.resolved", "deno.lock", ".terraform.lock.hcl", "module.bazel.lock", "rebar.lock", "pixi.lock",
	}, lockfile},

	// tests, which run before anybody reads them
	{"test-setup", "runs on the next `pytest`", []string{"conftest.py", "pytest.ini", "tox.ini", "noxfile.py", ".coveragerc", ".noserc", "nose.cfg"}, nil},
	{"python-start", "runs whenever Python starts", []string{"sitecustomize.py", "usercustomize.py", "*.pth", "pyvenv.cfg"}, nil},
	{"tool-config", "is a program that a build or test tool runs as its configuration", []string{
		"*.config.js", "*.config.cjs", "*.config.mjs", "*.config.ts", "*.config.mts", "*.config.cts", ".eslintrc*", ".prettierrc*", ".babelrc*", "babel.config*", ".stylelintrc*", ".mocharc*", ".swcrc", ".huskyrc*", ".nycrc*", ".releaserc*", ".rspec",
		".rubocop.yml", "gulpfile.*", "gruntfile.*", "jakefile*", "karma.conf.*", "protractor.conf.*", "wdio.conf.*", "jest.setup.*", "vitest.setup.*", "setuptests.*", ".storybook/", "metro.config*", "cypress.json", "cypress/plugins/", "cypress/support/", "playwright.config*",
		"docusaurus.config*", "phpunit.xml*", ".php-cs-fixer*.php", "rector.php", "phpstan.neon*", ".pylintrc", "pylintrc", "mypy.ini", ".flake8", ".golangci.*", ".credo.exs", ".formatter.exs", ".air.toml", "nodemon.json", ".nodemonrc*",
	}, nil},

	// builds
	{"build", "runs on the next `make`", []string{"makefile", "gnumakefile", "makefile.*", "*.mk", "*.mak", "makefile.am", "makefile.in", "bsdmakefile"}, nil},
	{"build", "runs on the next `cmake` or `configure`", []string{"cmakelists.txt", "*.cmake", "cmakepresets.json", "cmakeuserpresets.json", "configure", "configure.ac", "configure.in", "autogen.sh", "bootstrap.sh", "*.m4", "meson.build", "meson_options.txt", "meson.options", "wscript", "sconstruct", "sconscript", "xmake.lua", "premake*.lua", "conanfile.*", "vcpkg.json", "*.pro", "*.ninja", "build.zig", "build.zig.zon"}, nil},
	{"build", "runs on the next build", []string{
		"justfile", ".justfile", "*.just", "taskfile.y*ml", "taskfile.dist.y*ml", ".taskrc.yml", "mage*.go", "magefiles/", "earthfile", "tiltfile", "skaffold.yaml", "build", "build.bazel", "workspace", "workspace.bazel", "module.bazel", ".bazelrc", "*.bazelrc", "*.bzl", ".bazelversion", "tools/bazel", "buck", "buck2", ".buckconfig",
		"pants.toml", "pants", "please", ".plzconfig", "flake.nix", "shell.nix", "default.nix", "*.nix", "guix.scm", "manifest.scm", "procfile*", "dodo.py", "tasks.py", "fabfile.py", "waf", "snakefile", "nextflow.config", "bitbake", "*.bb", "*.bbappend", "build.sh", "build.py", "pkgbuild", "*.ebuild", "*.spec", "debian/", "snapcraft.yaml",
	}, nil},
	{"build", "runs on the next Gradle or Maven build", []string{
		"*.gradle", "*.gradle.kts", "gradlew", "gradlew.bat", "gradle-wrapper.jar", "gradle-wrapper.properties", "gradle.properties", "gradle/", "buildsrc/", "pom.xml", "mvnw", "mvnw.cmd", ".mvn/", "build.xml", "ivy.xml", "ivysettings.xml", "*.sbt", "project/*.scala", "project/build.properties", "build.sc", "build.mill", "local.properties",
	}, nil},
	{"build", "runs on the next `dotnet` command", []string{"*.csproj", "*.fsproj", "*.vbproj", "*.vcxproj", "*.vcxproj.filters", "*.sln", "*.slnx", "*.proj", "*.props", "*.targets", "*.tasks", "nuget.config", "global.json", "dotnet-tools.json", "packages.config", "*.nuspec", "*.rsp", "*.user", "*.dotsettings"}, nil},
	{"build", "runs on the next `cargo build`", []string{"build.rs", "cargo.toml", ".cargo/", "rust-toolchain", "rust-toolchain.toml"}, nil},
	{"build", "runs on the next `rake`, `bundle` or a tool beside them", []string{"rakefile*", "*.rake", "gemfile", "gems.rb", "*.gemspec", "guardfile", "capfile", "podfile", "fastfile", "fastlane/", "dangerfile", "brewfile", "thorfile", ".bundle/", "extconf.rb", "berksfile", "appraisals"}, nil},
	{"build", "runs on the next build with its language's tool", []string{"mix.exs", "rebar.config*", "makefile.pl", "build.pl", "cpanfile", "setup.hs", "setup.lhs", "*.cabal", "cabal.project*", "stack.yaml", "package.swift", "*.xcodeproj/", "*.pbxproj", "*.xcscheme", "*.xcconfig", "dune", "dune-project", "dune-workspace", "*.opam", "*.rockspec", "build.yaml", "pubspec.yaml", "project.clj", "deps.edn", "bb.edn", "shadow-cljs.edn", "build.boot", "*.nimble", "nim.cfg", "config.nims", "*.nims", "shard.yml", "elm.json", "spago.*", "project.toml", "*.jl.mem"}, nil},
	{"go-module", "", []string{"go.mod", "go.work"}, goModule},
	{"go-tools", "names programs that the next `go install` of the module's tools builds", []string{"tools.go"}, nil},
	{"go-generate", "", []string{"*.go"}, goSource},
	{"container", "says what the next container build or start runs, and what of this machine it sees", []string{"dockerfile", "dockerfile.*", "*.dockerfile", "containerfile*", "docker-compose*.y*ml", "compose*.y*ml", ".dockerignore", "docker-bake.*", "vagrantfile", "*.pkr.hcl", "kustomization.y*ml", "helmfile.y*ml", "chart.yaml", "*.nomad"}, nil},
	{"infrastructure", "runs on the next `terraform` or `ansible` command", []string{"*.tf", "*.tofu", "*.tfvars", "*.tf.json", "terragrunt.hcl", ".terraformrc", ".terraform/", "ansible.cfg", "playbook*.y*ml", "pulumi.yaml", "cdk.json", "serverless.y*ml", "samconfig.toml"}, nil},

	// programs that nobody can read
	{"program", "is compiled, and runs with what loads it", []string{"*.jar", "*.war", "*.so", "*.so.*", "*.dll", "*.dylib", "*.a", "*.o", "*.obj", "*.lib", "*.pyc", "*.pyo", "*.pyd", "*.class", "*.wasm", "*.node", "*.whl", "*.egg", "*.gem", "*.crate", "*.nupkg", "*.vsix", "*.ko", "*.efi", "*.bin", "*.pickle", "*.pkl", "*.pt", "*.joblib"}, nil},
	{"notebook", "", []string{"*.ipynb"}, notebook},
}
