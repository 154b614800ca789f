package audit

import (
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var runtimeRoot = pattern.MustCompile(`^(os|sys|builtins|__builtins__|process|globalThis)\b`)

var retryCall = pattern.MustCompile(`^(jest\.retryTimes|this\.retries|vi\.retry|pytest\.mark\.(flaky|rerun\w*)|flaky|pytest\.mark\.repeat|describe\.configure|test\.describe\.configure|backoff\.on_exception|tenacity\.retry|retry)$`)

// retries finds what runs a failing test until it passes, or gives it more time.
func (a *auditor) retries(c *change, s *source, r ref) {
	if c.kind != Test || !r.call && !s.is(r.tok-1, "@") {
		return
	}
	switch {
	case retryCall.MatchString(r.name) && (strings.Contains(r.name, ".") || s.is(r.tok-1, "@")):
		if strings.HasSuffix(r.name, "configure") && !strings.Contains(s.text(r.args[0], r.args[1]), "retries") {
			return
		}
		a.find("retries", Failed, c, r.line, "A test that is run until it passes proves nothing. Take the retries out and mend what is flaky.")
	case r.name == "jest.setTimeout" || r.name == "this.timeout" || r.name == "vi.setConfig" || r.name == "pytest.mark.timeout" || r.name == "test.setTimeout":
		a.timeout(c, r.line, s.at(r.args[0]).text)
	}
}

// timeout judges a time limit: much or none hides what hangs.
func (a *auditor) timeout(c *change, line int, value string) {
	n := 0
	for _, d := range strings.ReplaceAll(value, "_", "") {
		if d < '0' || d > '9' {
			break
		}
		n = min(n*10+int(d-'0'), 1<<40)
	}
	if value == "0" || value == "Infinity" || value == "None" || n > 600_000 {
		a.find("timeout", Failed, c, line, "Without a time limit that means something a test that hangs is never seen. Set a limit of less than ten minutes.")
		return
	}
	a.find("timeout", Note, c, line, "A time limit of tests is set.")
}

var (
	evals   = pattern.MustCompile(`^(eval|Function|exec|execfile|compile|vm\.(runInThisContext|runInNewContext|Script)|instance_eval|class_eval|execScript)$`)
	decodes = pattern.MustCompile(`atob|Buffer \. from|base64|b64decode|fromCharCode|codecs|unhexlify|fromhex|rot13|unescape|decodeURIComponent|zlib|marshal|\. reverse|chr \(`)
	shells  = pattern.MustCompile(`^(child_process\.(exec|execSync|spawn|spawnSync|execFile|execFileSync|fork)|subprocess\.(run|call|Popen|check_call|check_output)|os\.(system|popen|execv|execvp|spawnl)|exec\.Command|exec\.CommandContext|system)$`)
	fetches = pattern.MustCompile(`^(fetch|axios(\.\w+)?|got(\.\w+)?|http\.(get|request|Get|Post|Head)|https\.(get|request)|requests\.\w+|urllib\.request\.\w+|urlopen|httpx\.\w+|net\.(connect|createConnection|Dial)|socket\.create_connection|Net\.HTTP\.\w+|new WebSocket|WebSocket)$`)
	away    = pattern.MustCompile(`^(https?|wss?)://([^/:?#]+)`)
)

// reaches finds what reaches beyond the program.
func (a *auditor) reaches(c *change, s *source, r ref) {
	if !r.call {
		return
	}
	args := s.text(r.args[0], r.args[1])
	switch {
	case evals.MatchString(r.name) && !(r.name == "compile" && strings.HasPrefix(args, "r")) && !s.is(r.tok-1, "def", "function", "func", "."):
		switch {
		case decodes.MatchString(args):
			a.find("disguise", Failed, c, r.line, "Code that is decoded and run cannot be read by anyone. Write it down plainly.")
		case r.name == "eval" || r.name == "Function" || s.lang == python && r.name == "exec":
			a.find("disguise", Note, c, r.line, "Text is run as code here.")
		}
	case (r.name == "getattr" || r.name == "Reflect.get") && runtimeRoot.MatchString(args) && (strings.Contains(args, "+") || decodes.MatchString(args) || strings.Contains(args, "join")):
		a.find("disguise", Failed, c, r.line, "The name of what is called here is put together, so that nobody can read it. Write it down plainly.")
	case c.kind == Test && fetches.MatchString(r.name) && s.at(r.args[0]).kind == str:
		if m := away.FindStringSubmatch(s.at(r.args[0]).text); m != nil && !local(m[2]) {
			a.find("network", Note, c, r.line, "The test asks %s, which is not there when it is judged, unless something stands in for it.", m[2])
		}
	case shells.MatchString(r.name) && strings.Contains(args, `"git`) || shells.MatchString(r.name) && strings.Contains(args, "core.hooksPath"):
		sev := Note
		if strings.Contains(args, "hooksPath") || strings.Contains(args, "config") && strings.Contains(args, "filter.") {
			sev = Invalid
		}
		a.find("harness", sev, c, r.line, "git is run here; the history is no input of a program or its tests.")
	}
}

func local(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "127.") || host == "0.0.0.0" || host == "[" || host == "" ||
		strings.HasSuffix(host, ".test") || strings.HasSuffix(host, ".example") || strings.HasSuffix(host, ".invalid") || strings.HasSuffix(host, ".localhost") ||
		strings.HasSuffix(host, "example.com") || strings.HasSuffix(host, "example.org") || strings.HasSuffix(host, "example.net")
}

var (
	harnessPath = pattern.MustCompile(`^/proc/(self|\d+|1|thread-self)?(/|$)|/proc/.*(environ|cmdline|/mem|/fd)|^/github/|\.autonomous-loop\b|^/dev/mem|(^|/)\.git/(hooks|config|index|objects|refs|HEAD|info)|core\.hooksPath|^GITHUB_(ENV|PATH|OUTPUT|STEP_SUMMARY)$`)
	reportText  = pattern.MustCompile(`^\s*(--- (PASS|FAIL|SKIP): |=== RUN |ok  ?\t|PASS$|PASS\n|TAP version 1[34]|ok \d+( |$)|1\.\.\d+|# (pass|tests|fail) |Tests: +\d+ passed|=+ \d+ passed|<testsuites?\b|<testcase\b|test result: ok|OK \(\d+ tests?)|"Action": ?"(pass|run|output)"|^loop-[0-9a-f]{16}|"k": ?"(case|over|end)"`)
	reportFile  = pattern.MustCompile(`(?i)(^|/)(junit|test-results?|test-report|TEST-[\w.]+|report|results)[\w.-]*\.(xml|trx|tap)$|\.pytest_cache|surefire-reports`)
	prints      = pattern.MustCompile(`(^|\.)(log|info|print|println|printf|Println|Printf|Print|Fprintf|Fprintln|Fprint|write|writeSync|writeFile|writeFileSync|WriteString|Write|WriteFile|write_text|puts|echo|error|send)$`)
)

// page looks for scripts in pages, which are not read as programs.
func (a *auditor) page(c *change) {
	for i, l := range c.now {
		if c.kind == Implementation && c.fresh[i+1] {
			a.inPage(c, i+1, l)
		}
	}
}

func (a *auditor) inPage(c *change, line int, text string) {
	if m := inPage.FindString(text[:min(len(text), 20000)]); m != "" {
		a.find("environment", Invalid, c, line, "The page asks whether its browser is driven by a machine (`%s`). It must do the same for everyone. Take it out.", m)
	}
}

// words looks at a string that the candidate added.
func (a *auditor) words(c *change, s *source, i int32) {
	t := s.at(i)
	text := t.text
	if c.kind == Implementation {
		a.inPage(c, int(t.line)+strings.Count(text[:max(0, strings.Index(text, inPage.FindString(text)))], "\n"), text)
	}
	if len(text) > 4000 {
		text = text[:4000]
	}
	line := int(t.line)
	if m := harnessPath.FindString(text); m != "" {
		sev := Invalid
		if strings.Contains(m, ".git/") && !strings.Contains(m, "hooks") || strings.Contains(m, ".autonomous-loop") && c.kind == Config {
			sev = Note
		}
		if c.kind == Implementation && strings.HasPrefix(m, "/proc/") && !strings.Contains(text, "environ") && !strings.Contains(text, "cmdline") && !strings.Contains(text, "/mem") && !strings.Contains(text, "/fd") {
			sev = Note // a program about processes
		}
		a.find("harness", sev, c, line, "This names a place of the machine that judges (`%s`), which is none of the project's business.", m)
	}
	if m := reportText.FindString(text); m != "" {
		sev := Note
		if s.printed(i) {
			sev = Invalid
		}
		if sev == Invalid || c.kind != Test {
			a.find("forged-report", sev, c, line, "This looks like what a test runner reports (`%s`). Only the runner may say that.", strings.TrimSpace(m))
		}
	}
	if m := reportFile.FindString(text); m != "" && s.printed(i) {
		a.find("forged-report", Invalid, c, line, "This writes where test runners write their reports (`%s`).", m)
	}
}

// printed says whether the string at i is given to something that writes.
func (s *source) printed(i int32) bool {
	for n := 0; i > 0 && n < 100; n++ {
		i--
		t := s.at(i)
		if t.kind == ends || t.kind == punct && (t.text == ";" || t.text == "{" || t.text == "}") {
			return false
		}
		if t.kind == punct && t.pair >= 0 && t.pair < i {
			i = t.pair
			continue
		}
		if t.kind == punct && t.text == "(" && s.at(i-1).kind == word {
			j := i - 1
			name := s.at(j).text
			if prints.MatchString(name) {
				return true
			}
		}
	}
	return false
}
