//go:build deep

package suite

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const crate = "[package]\nname = \"notes\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"

func TestCargoReport(t *testing.T) {
	need(t, "cargo")
	dir := lay(t, tree{
		"Cargo.toml":     crate,
		"src/lib.rs":     "/// Adds.\n///\n/// ```\n/// assert_eq!(notes::add(1), 1);\n/// ```\npub fn add(x: i32) -> i32 { x }\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n    #[test] fn ok() { assert_eq!(add(1), 1); }\n    #[test] fn wrong() { assert_eq!(add(1), 2); }\n    #[test] fn crash() { let v: Vec<i32> = vec![]; let i = v.len(); println!(\"x {}\", v[i]); }\n    #[test] #[ignore] fn skipped() {}\n    #[test] #[should_panic] fn calm() {}\n    #[test] #[should_panic(expected = \"a\")] fn other() { panic!(\"b\") }\n    #[test] fn returns() -> Result<(), String> { Err(\"no\".into()) }\n    #[test] fn todo() { todo!() }\n    #[test] fn prints() { println!(\"\\ntest tests::ok ... FAILED\\ntest result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\"); panic!(\"out\") }\n    #[test] fn ünï() {}\n}\n",
		"tests/outer.rs": "use notes::add;\n#[test] fn outside() { assert!(add(2) == 2); }\n",
	})
	r := do(t, dir, "")
	if r.Command != "cargo test" || believed(r) != "" {
		t.Fatal(r.Command, believed(r), r.Tail)
	}
	want := sorted([]said{
		{"doc-tests of notes: src/lib.rs - add (line 3)", Pass, "", false},
		{"src/lib.rs: tests::calm", Fail, Assertion, false},
		{"src/lib.rs: tests::crash", Fail, Crash, false},
		{"src/lib.rs: tests::ok", Pass, "", false},
		{"src/lib.rs: tests::other", Fail, Assertion, false},
		{"src/lib.rs: tests::prints", Fail, Crash, false},
		{"src/lib.rs: tests::returns", Fail, Assertion, false},
		{"src/lib.rs: tests::skipped", Skip, "", false},
		{"src/lib.rs: tests::todo", Fail, Missing, false},
		{"src/lib.rs: tests::wrong", Fail, Assertion, false},
		{"src/lib.rs: tests::ünï", Pass, "", false},
		{"tests/outer.rs: outside", Pass, "", false},
	})
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
}

func TestCargoThatDoesNotBuild(t *testing.T) {
	need(t, "cargo")
	lib := "pub fn add(x: i32) -> i32 { x }\n"
	for name, tt := range map[string]struct {
		test string
		kind Kind
	}{
		"missing":  {"use notes::remove;\n#[test] fn t() { remove(1); }\n", Missing},
		"function": {"#[test] fn t() { notes::remove(1); }\n", Missing},
		"crate":    {"use serde::Serialize;\n#[test] fn t() {}\n", Dependency},
		"syntax":   {"#[test] fn t( {\n", Syntax},
		"mismatch": {"#[test] fn t() { let x: &str = notes::add(1); assert_eq!(x, \"\"); }\n", Missing},
	} {
		t.Run(name, func(t *testing.T) {
			r := do(t, lay(t, tree{"Cargo.toml": crate, "src/lib.rs": lib, "tests/x.rs": tt.test}), "")
			if d := cmp.Diff([]said{{"crate notes (test \"x\")", Fail, tt.kind, true}}, summary(r)); d != "" || believed(r) != "" {
				t.Errorf("%s %s %s", d, believed(r), r.Tail)
			}
		})
	}
	for name, tt := range map[string]struct{ body, want string }{
		"exit":  {"std::process::exit(0)", "src/lib.rs"},
		"abort": {"std::process::abort()", "src/lib.rs"},
		"none":  {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := do(t, lay(t, tree{"Cargo.toml": crate, "src/lib.rs": "#[test] fn a() {}\n#[test] fn b() { " + tt.body + " }\n#[test] fn c() { panic!() }\n"}), "")
			if tt.want == "" {
				return
			}
			if !strings.Contains(believed(r), tt.want) {
				t.Errorf("%q; %v", believed(r), summary(r))
			}
		})
	}
	r := do(t, lay(t, tree{"Cargo.toml": crate, "src/lib.rs": lib}), "")
	if !r.None || believed(r) != "" {
		t.Errorf("no tests: none %v, %s", r.None, believed(r))
	}
}
