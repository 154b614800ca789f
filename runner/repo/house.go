package repo

import "slices"

// House rules are patterns that stand above every .gitignore, so that each of
// these may take them back: what a person ignores on their own machine, and
// what is generated and nobody wants in a commit, although the project's
// .gitignore does not say so yet.

// A maker is what generates a directory or file, by the name that it has.
var makers = []struct{ pattern, what string }{
	{"node_modules/", "packages of npm"},
	{"bower_components/", "packages of Bower"},
	{".venv/", "a virtual environment of Python"},
	{"__pycache__/", "compiled Python"},
	{".pytest_cache/", "a cache of pytest"},
	{".mypy_cache/", "a cache of mypy"},
	{".ruff_cache/", "a cache of Ruff"},
	{".tox/", "environments of tox"},
	{".nox/", "environments of Nox"},
	{".gradle/", "a cache of Gradle"},
	{".next/", "a build of Next.js"},
	{".nuxt/", "a build of Nuxt"},
	{".svelte-kit/", "a build of SvelteKit"},
	{".parcel-cache/", "a cache of Parcel"},
	{".turbo/", "a cache of Turborepo"},
	{".terraform/", "plugins of Terraform"},
	{".DS_Store", "a note of macOS"},
	{".env", "an environment of one machine, which may hold secrets"},
	{".env.local", "an environment of one machine, which may hold secrets"},
	{".env.*.local", "an environment of one machine, which may hold secrets"},
}

// Signs tell a generated directory whose name alone does not.
var signs = []struct{ name, sign, what string }{
	{"target", "Cargo.toml", "a build of Cargo"},
	{"target", "pom.xml", "a build of Maven"},
	{"target", "build.sbt", "a build of sbt"},
	{"target", "target/CACHEDIR.TAG", "a build of Cargo"},
	{"venv", "venv/pyvenv.cfg", "a virtual environment of Python"},
	{"env", "env/pyvenv.cfg", "a virtual environment of Python"},
}

// houseRules are those of the makers, and behind them a person's own, which are
// texts in the form of .gitignore, the last the most important.
func houseRules(personal []string) *rules {
	r := &rules{}
	for _, m := range makers {
		if p, ok := parseIgnore(m.pattern); ok {
			p.what = m.what
			r.patterns = append(r.patterns, p)
		}
	}
	for _, text := range personal {
		r.patterns = append(r.patterns, parsePatterns([]byte(text), parseIgnore)...)
	}
	return r
}

// wrote says why something new is left out that is generated, "" if it is not, or
// if somebody said that it is wanted.
func (r *rules) wrote(h handle, path, name string, isDir bool) string {
	p := r.decides(path, name, isDir)
	what := ""
	switch {
	case p != nil:
		what = p.what
	case isDir:
		i := slices.IndexFunc(signs, func(s struct{ name, sign, what string }) bool {
			if s.name != name {
				return false
			}
			_, err := h.lstat(s.sign)
			return err == nil
		})
		if i >= 0 {
			what = signs[i].what
		}
	}
	if what == "" {
		return ""
	}
	slash := ""
	if isDir {
		slash = "/"
	}
	return what + "; write " + name + slash + " into .gitignore, or !" + name + slash + " to have it committed"
}
