package check

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Rust keeps the tests of a module in the module: they are put into the parent's
// without the implementation, and seen to fail there.
func TestRustCandidates(t *testing.T) {
	if _, err := exec.LookPath("cargo"); err != nil {
		t.Fatalf("%v: run tools/runners.sh", err)
	}
	rustup := cmp.Or(os.Getenv("RUSTUP_HOME"), filepath.Join(os.Getenv("HOME"), ".rustup"))
	const head, foot = "#[cfg(test)]\nmod tests {\n    use super::*;\n    #[test]\n    fn ones() {\n        assert_eq!(one(), 1);\n    }\n", "}\n"
	const one, two = "pub fn one() -> i32 {\n    1\n}\n", "pub fn two() -> i32 {\n    2\n}\n"
	parent := tree{"Cargo.toml": "[package]\nname = \"notes\"\nversion = \"0.1.0\"\nedition = \"2021\"\n", "Cargo.lock": "version = 3\n\n[[package]]\nname = \"notes\"\nversion = \"0.1.0\"\n", ".gitignore": "target\n", "src/lib.rs": one + head + foot}
	for _, tt := range []struct {
		name, lib  string
		want       runner.Outcome
		gate, says string
	}{
		{"tests and implementation", one + two + head + "    #[test]\n    fn twos() {\n        assert_eq!(two(), 2);\n    }\n" + foot, runner.Verified, "revert", "fails without the feature"},
		{"no test", one + two + head + foot, runner.Failed, "red", "No test file was added or changed"},
		{"a test of what was there", one + two + head + "    #[test]\n    fn again() {\n        assert_eq!(one(), 1);\n    }\n" + foot, runner.Failed, "red", "although the feature is not there"},
	} {
		w := newWorld(t, func(o *Options) { o.E2E, o.Env = E2EOff, append(o.Env, "RUSTUP_HOME="+rustup) })
		v := w.judge(runner.Implement, parent, parent.with(tree{"src/lib.rs": tt.lib}), runner.Row{ID: "two"})
		want(t, v, tt.want, tt.gate, tt.says)
	}
}
