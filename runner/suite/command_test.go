package suite

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Projects say in many ways how they are tested.
func TestCommandsAreUnderstood(t *testing.T) {
	type row struct{ Tool, Dir, Head, Call, Args string }
	files := tree{
		"package.json":     `{"scripts": {"test": "run-s lint unit", "lint": "eslint .", "unit": "jest --coverage --watch", "ci": "npm run lint && npm run unit"}}`,
		"web/package.json": `{"scripts": {"test": "vitest"}}`,
		"composer.json":    `{"scripts": {"test": ["@lint", "phpunit --colors=always tests"], "lint": "pint"}}`,
		"Makefile":         "PY = python3\n.PHONY: test\ntest: build\n\t@go test ./...\n\tcd web && npm test\nbuild:\n\tgo build\nvars:\n\t$(PY) -m pytest\nmaybe:\n\t-pytest\nloop:\n\tmake loop\n",
	}
	for command, want := range map[string][]row{
		"pytest -q tests":                                          {{pytest, "", "", "pytest", "-q tests"}},
		"python3 -m pytest":                                        {{pytest, "", "", "python3 -m pytest", ""}},
		".venv/bin/python -m pytest -x":                            {{pytest, "", "", ".venv/bin/python -m pytest", "-x"}},
		"poetry run pytest -k a":                                   {{pytest, "", "poetry run ", "pytest", "-k a"}},
		"CI=1 uv run pytest":                                       {{pytest, "", "CI=1 uv run ", "pytest", ""}},
		"python -m unittest discover -s t":                         {{unittest, "", "", "python -m unittest", "discover -s t"}},
		"go test ./... && npm run unit":                            {{goTest, "", "", "go test", "./..."}, {jest, "", "", "jest", "--coverage"}},
		"npm run ci":                                               {{plain, "", "", "", ""}, {jest, "", "", "jest", "--coverage"}},
		"cd web && npm test":                                       {{vitest, "web", "", "vitest run", ""}},
		"(cd web && npm test) && go test ./...":                    {{vitest, "web", "", "vitest run", ""}, {goTest, "", "", "go test", "./..."}},
		"npm --prefix web test":                                    {{vitest, "web", "", "vitest run", ""}},
		"go -C tools test ./...":                                   {{goTest, "tools", "", "go test", "./..."}},
		"npx --yes vitest --reporter=verbose":                      {{vitest, "", "npx --yes ", "vitest run", ""}},
		"c8 mocha -R spec test/*.js":                               {{mocha, "", "c8 ", "mocha", "test/*.js"}},
		"cross-env NODE_ENV=test jest":                             {{jest, "", "cross-env NODE_ENV=test ", "jest", ""}},
		"node --experimental-vm-modules node_modules/.bin/jest -i": {{jest, "", "", "node --experimental-vm-modules node_modules/.bin/jest", "-i"}},
		"bundle exec rspec --format doc":                           {{rspec, "", "bundle exec ", "rspec", ""}},
		"bin/rails test":                                           {{minitest, "", "", "bin/rails test", ""}},
		"bundle exec rake test":                                    {{minitest, "", "bundle exec ", "rake test", ""}},
		"cargo test --workspace -q":                                {{cargo, "", "", "cargo test", "--workspace"}},
		"./mvnw -B verify":                                         {{maven, "", "", "./mvnw", "-B verify"}},
		"mvn compile":                                              {{plain, "", "", "", ""}},
		"./gradlew check":                                          {{gradle, "", "", "./gradlew", "check"}},
		"vendor/bin/phpunit --testdox":                             {{phpunit, "", "", "vendor/bin/phpunit", ""}},
		"composer test":                                            {{plain, "", "", "", ""}, {phpunit, "", "", "phpunit", "tests"}},
		"dotnet test -c Release --logger trx":                      {{dotnet, "", "", "dotnet test", "-c Release"}},
		"bats -p test":                                             {{tap, "", "", "bats", "test"}},
		"make test":                                                {{plain, "", "", "", ""}, {goTest, "", "", "go test", "./..."}, {vitest, "web", "", "vitest run", ""}},
		"make vars":                                                {{plain, "", "", "", ""}},
		"make maybe":                                               {{plain, "", "", "", ""}},
		"make loop":                                                {{plain, "", "", "", ""}},
		"pytest || true":                                           {{plain, "", "", "", ""}},
		"pytest; true":                                             {{plain, "", "", "", ""}},
		"pytest | tee log":                                         {{plain, "", "", "", ""}},
		"! pytest":                                                 {{plain, "", "", "", ""}},
		"echo pytest":                                              {{plain, "", "", "", ""}},
		"npx cypress run # junit: out/*.xml":                       {{"junit report", "", "", "npx cypress run", ""}},
		"./run-tests --all # tap":                                  {{"tap report", "", "", "./run-tests --all", ""}},
		"go test ./...\n# and\npytest":                             {{goTest, "", "", "go test", "./..."}, {pytest, "", "", "pytest", ""}},
		"npm test":                                                 {{plain, "", "", "", ""}},
	} {
		root, err := os.OpenRoot(lay(t, files))
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		all, err := Find(root, command)
		if err != nil {
			t.Fatal(err)
		}
		var got []row
		for _, s := range all {
			got = append(got, row{s.tool, s.Dir, s.head, s.call, s.args})
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", command, d)
		}
	}
}

// What a project does not say is found in its manifests and files.
func TestProjectsAreDetected(t *testing.T) {
	for name, tt := range map[string]struct {
		files tree
		want  []string
	}{
		"nothing":                  {tree{"README.md": ""}, nil},
		"pytest by configuration":  {tree{"pyproject.toml": "[tool.pytest.ini_options]\n"}, []string{"python3 -m pytest"}},
		"pytest by a test":         {tree{"tests/test_a.py": "def test_a(): pass\n"}, []string{"python3 -m pytest"}},
		"pytest of the project":    {tree{"tests/test_a.py": "import pytest\n", ".venv/bin/python": ""}, []string{".venv/bin/python -m pytest"}},
		"pytest with uv":           {tree{"conftest.py": "", "uv.lock": ""}, []string{"uv run python -m pytest"}},
		"unittest":                 {tree{"test_a.py": "import unittest\n"}, []string{"python3 -m unittest"}},
		"unittest in a directory":  {tree{"tests/test_a.py": "import unittest\n"}, []string{"python3 -m unittest discover -s tests"}},
		"unittest in a package":    {tree{"tests/test_a.py": "import unittest\n", "tests/__init__.py": ""}, []string{"python3 -m unittest"}},
		"python without tests":     {tree{"pyproject.toml": "[project]\n", "a.py": ""}, nil},
		"jest installed":           {tree{"package.json": `{"devDependencies": {"jest": "1"}}`}, []string{"jest"}},
		"vitest by configuration":  {tree{"package.json": `{}`, "vitest.config.ts": ""}, []string{"vitest run"}},
		"mocha beside node tests":  {tree{"package.json": `{"devDependencies": {"mocha": "1"}}`, "test/a.js": ""}, []string{"mocha"}},
		"rspec":                    {tree{"spec/a_spec.rb": "", "Gemfile": "gem 'rspec'\n"}, []string{"bundle exec rspec"}},
		"rails with rspec":         {tree{"spec/a_spec.rb": "", "test/a_test.rb": "", "bin/rails": "", "Gemfile": ""}, []string{"bundle exec rspec", "bin/rails test"}},
		"rake":                     {tree{"test/test_a.rb": "", "Rakefile": "Rake::TestTask.new\n"}, []string{"rake test"}},
		"rust workspace":           {tree{"Cargo.toml": "[workspace]\n", "a/Cargo.toml": "[package]\n"}, []string{"cargo test --workspace"}},
		"maven":                    {tree{"pom.xml": "", "mvnw": ""}, []string{"./mvnw -B test"}},
		"gradle":                   {tree{"build.gradle.kts": ""}, []string{"gradle test"}},
		"phpunit":                  {tree{"phpunit.xml.dist": "", "vendor/bin/phpunit": ""}, []string{"vendor/bin/phpunit"}},
		"dotnet":                   {tree{"A.sln": "", "A.Tests/A.Tests.csproj": ""}, []string{"dotnet test"}},
		"perl":                     {tree{"t/a.t": ""}, []string{"prove -r -l t"}},
		"bats":                     {tree{"test/a.bats": ""}, []string{"bats -r 'test'"}},
		"makefile":                 {tree{"Makefile": "test:\n\t./run.sh\n"}, []string{"./run.sh"}},
		"makefile beside go":       {tree{"Makefile": "test:\n\t./run.sh\n", "go.mod": "module x\n"}, []string{"go test ./..."}},
		"two languages at the top": {tree{"go.mod": "module x\n", "package.json": `{"scripts": {"test": "jest"}}`}, []string{"jest", "go test ./..."}},
		"two languages in directories": {
			tree{"server/go.mod": "module x\n", "web/package.json": `{"scripts": {"test": "vitest run"}}`, "web/node_modules/x/package.json": `{"scripts": {"test": "jest"}}`},
			[]string{"server: go test ./...", "web: vitest run"},
		},
		"below a manifest of its kind": {tree{"go.mod": "module x\n", "tools/go.mod": "module y\n", "ml/pyproject.toml": "[tool.pytest.ini_options]\n"}, []string{"go test ./...", "ml: python3 -m pytest"}},
		"examples are not its own":     {tree{"examples/a/go.mod": "module x\n", "docs/package.json": `{"scripts": {"test": "jest"}}`, "testdata/b/Cargo.toml": ""}, nil},
	} {
		root, err := os.OpenRoot(lay(t, tt.files))
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		all, err := Find(root, "")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range all {
			got = append(got, strings.TrimPrefix(s.Dir+": "+s.Command, ": "))
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Two suites in two directories are one report, with paths of the project.
func TestPolyglotReport(t *testing.T) {
	dir := lay(t, tree{
		"server/go.mod":      "module example.test/server\n\ngo 1.21\n",
		"server/a_test.go":   "package server\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) {}\n",
		"server/b/b_test.go": "package b\n\nimport \"testing\"\n\nfunc TestB(t *testing.T) { New() }\n",
		"web/package.json":   `{"type": "module", "scripts": {"test": "node --test"}}`,
		"web/a.test.js":      "import test from 'node:test';\ntest('a', () => {});\n",
	})
	r := do(t, dir, "")
	if r.Broken != "" || len(r.Early) > 0 {
		t.Fatal(r.Broken, r.Early)
	}
	want := []said{{"package server/b", Fail, Missing, true}, {"server: TestA", Pass, "", false}, {"web/a.test.js: a", Pass, "", false}}
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	if r.Command != "cd server && go test ./... && cd web && node --test" {
		t.Error(r.Command)
	}
}
