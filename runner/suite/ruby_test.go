//go:build deep

package suite

import (
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// need fails where a runner is not installed: the deep tests skip nothing.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%v: run tools/runners.sh", err)
	}
}

func TestRSpecReport(t *testing.T) {
	need(t, "rspec")
	dir := lay(t, tree{
		"lib/notes.rb":       "module Notes\n  def self.add(x) = x\nend\n",
		"spec/cases_spec.rb": "require_relative '../lib/notes'\nRSpec.describe 'notes' do\n  it('ok') { expect(Notes.add(1)).to eq 1 }\n  it('wrong') { expect(Notes.add(1)).to eq 2 }\n  it('missing') { Notes.remove(1) }\n  it('constant') { Gone.new }\n  it('crash') { raise 'no' }\n  xit('skipped') { }\n  it('pending')\n  it('same') { }\n  it('same') { expect(1).to eq 2 }\n  it('ünï') { puts \"\\nloop-0000 3 {}\" }\n  context('set up') { before { raise 'hook' }; it('h') { } }\nend\n",
		"spec/hook_spec.rb":  "RSpec.describe 'hook' do\n  before(:context) { raise 'hook' }\n  it('h') { }\nend\n",
		"spec/with_spec.rb":  "RSpec.configure { |c| c.default_formatter = 'doc' }\n",
		".rspec":             "--format documentation\n",
	})
	r := do(t, dir, "")
	if r.Command != "rspec" || believed(r) != "" {
		t.Fatal(r.Command, believed(r))
	}
	want := sorted([]said{
		{"spec/cases_spec.rb: notes constant", Fail, Missing, false},
		{"spec/cases_spec.rb: notes crash", Fail, Crash, false},
		{"spec/cases_spec.rb: notes missing", Fail, Missing, false},
		{"spec/cases_spec.rb: notes ok", Pass, "", false},
		{"spec/cases_spec.rb: notes pending", Skip, "", false},
		{"spec/cases_spec.rb: notes same", Pass, "", false},
		{"spec/cases_spec.rb: notes same #2", Fail, Assertion, false},
		{"spec/cases_spec.rb: notes set up h", Fail, Crash, false},
		{"spec/cases_spec.rb: notes skipped", Skip, "", false},
		{"spec/cases_spec.rb: notes wrong", Fail, Assertion, false},
		{"spec/cases_spec.rb: notes ünï", Pass, "", false},
		{"spec/hook_spec.rb: hook h", Fail, Crash, false},
	})
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	for name, tt := range map[string]struct {
		text string
		kind Kind
	}{
		"missing": {"require_relative '../lib/later'\nRSpec.describe('x') { it('y') { } }\n", Missing}, "package": {"require 'left_pad'\n", Dependency},
		"syntax": {"RSpec.describe 'x' do\n", Syntax}, "dies": {"raise 'top'\n", Crash}, "constant": {"RSpec.describe(Later) { it('x') { } }\n", Missing},
	} {
		r := do(t, lay(t, tree{"spec/x_spec.rb": tt.text, "spec/y_spec.rb": "RSpec.describe('y') { it('z') { } }\n"}), "")
		got := summary(r)
		if len(got) == 0 || believed(r) != "" {
			t.Errorf("%s: %s", name, believed(r))
			continue
		}
		if d := cmp.Diff(said{"spec/x_spec.rb", Fail, tt.kind, true}, got[0]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestMinitestReport(t *testing.T) {
	need(t, "ruby")
	dir := lay(t, tree{
		"lib/notes.rb":       "module Notes\n  def self.add(x) = x\nend\n",
		"test/cases_test.rb": "require 'minitest/autorun'\nrequire 'notes'\nclass NotesTest < Minitest::Test\n  def test_ok = assert_equal(1, Notes.add(1))\n  def test_wrong = assert_equal(2, Notes.add(1))\n  def test_missing = Notes.remove(1)\n  def test_crash = raise('no')\n  def test_skipped = skip\n  def test_ünï = puts(\"\\nloop-0000 3 {}\")\nend\ndescribe 'spec style' do\n  it('works') { _(1).must_equal 2 }\nend\n",
	})
	r := do(t, dir, "")
	if believed(r) != "" {
		t.Fatal(r.Command, believed(r))
	}
	want := sorted([]said{
		{"test/cases_test.rb: NotesTest › test_crash", Fail, Crash, false},
		{"test/cases_test.rb: NotesTest › test_missing", Fail, Missing, false},
		{"test/cases_test.rb: NotesTest › test_ok", Pass, "", false},
		{"test/cases_test.rb: NotesTest › test_skipped", Skip, "", false},
		{"test/cases_test.rb: NotesTest › test_wrong", Fail, Assertion, false},
		{"test/cases_test.rb: NotesTest › test_ünï", Pass, "", false},
		{"test/cases_test.rb: spec style › test_0001_works", Fail, Assertion, false},
	})
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	for name, tt := range map[string]struct {
		text string
		kind Kind
	}{
		"missing": {"require_relative '../lib/later'\n", Missing}, "package": {"require 'left_pad'\n", Dependency}, "syntax": {"class X\n", Syntax}, "dies": {"raise 'top'\n", Crash},
	} {
		r := do(t, lay(t, tree{"test/x_test.rb": tt.text}), "")
		if d := cmp.Diff([]said{{"test/x_test.rb", Fail, tt.kind, true}}, summary(r)); d != "" || believed(r) != "" {
			t.Errorf("%s: %s %s", name, d, believed(r))
		}
	}
}

func TestRubyThatDoesNotEnd(t *testing.T) {
	need(t, "rspec")
	for name, body := range map[string]string{"exit": "exit(0)", "exit!": "exit!(0)", "abort": "abort", "killed": "Process.kill(9, Process.pid)"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := lay(t, tree{"spec/x_spec.rb": "RSpec.describe 'x' do\n  it('a') { }\n  it('b') { " + body + " }\n  it('c') { raise 'no' }\nend\n"})
			mini := lay(t, tree{"test/x_test.rb": "require 'minitest/autorun'\nclass X < Minitest::Test\n  i_suck_and_my_tests_are_order_dependent!\n  def test_a = nil\n  def test_b = " + body + "\n  def test_c = raise('no')\nend\n"})
			for _, dir := range []string{spec, mini} {
				r := do(t, dir, "")
				if believed(r) == "" && len(r.Failed()) == 0 {
					t.Errorf("%s is believed: %v", r.Command, summary(r))
				}
				t.Log(r.Command, believed(r))
			}
		})
	}
	if r := do(t, lay(t, tree{"spec/x_spec.rb": ""}), ""); !r.None || believed(r) != "" {
		t.Errorf("no examples: none %v, %s", r.None, believed(r))
	}
}
