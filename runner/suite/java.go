package suite

import (
	"path"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

const (
	maven  = "Maven"
	gradle = "Gradle"
)

var (
	mavenForm    = caller(`(?:\S*/)?mvnw?`)
	gradleForm   = caller(`(?:\S*/)?gradlew?`)
	mavenPhase   = pattern.MustCompile(`(^|\s)(test|verify|package|install|surefire:test|integration-test)(\s|$)`)
	gradleTask   = pattern.MustCompile(`(^|\s):?(\S+:)?(test\w*|check|build)(\s|$)`)
	surefireFile = pattern.MustCompile(`(^|/)target/(surefire|failsafe)-reports/TEST-[^/]+\.xml$`)
	gradleFile   = pattern.MustCompile(`(^|/)build/test-results/[^/]+/TEST-[^/]+\.xml$`)
)

// Surefire starts the tests in a process of their own and writes their results
// from the process above.
var mavenAdapter = adapter{
	name: maven,
	claim: func(command string) (Suite, bool) {
		s, ok := claimer(maven, mavenForm)(command)
		return s, ok && mavenPhase.MatchString(s.args)
	},
	detect: func(p place) []string {
		switch {
		case !p.has("pom.xml"):
			return nil
		case p.has("mvnw"):
			return []string{"./mvnw -B test"}
		}
		return []string{"mvn -B test"}
	},
	plan: func(s Suite, _ Kit) Plan {
		// Every module to its end; what an earlier run left is taken away first.
		args := "-Dstyle.color=never --fail-at-end"
		return Plan{Script: `find . \( -path '*/target/surefire-reports/*' -o -path '*/target/failsafe-reports/*' \) -name '*.xml' -exec rm -f {} +; ` + tell(s, args, nil).Script}
	},
	read: func(s Suite, run Run) (Report, error) { return readJava(s, run, surefireFile, mavenBuild), nil },
	only: byClass(" -Dsurefire.failIfNoSpecifiedTests=false -DfailIfNoTests=false -Dtest=", "", ""),
}

var gradleAdapter = adapter{
	name: gradle,
	claim: func(command string) (Suite, bool) {
		s, ok := claimer(gradle, gradleForm)(command)
		return s, ok && gradleTask.MatchString(s.args)
	},
	detect: func(p place) []string {
		switch {
		case !p.hasAny("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"):
			return nil
		case p.has("gradlew"):
			return []string{"./gradlew test"}
		}
		return []string{"gradle test"}
	},
	plan: func(s Suite, _ Kit) Plan {
		// A task that is up to date runs nothing.
		return Plan{Script: `find . -path '*/build/test-results/*' -name '*.xml' -exec rm -f {} +; ` + tell(s, "--console=plain --continue --no-daemon", nil).Script + " --rerun-tasks"}
	},
	read: func(s Suite, run Run) (Report, error) { return readJava(s, run, gradleFile, gradleBuild), nil },
	only: byClass(" --tests ", "*", "*"),
}

var (
	mavenBuild  = pattern.MustCompile(`COMPILATION ERROR|\[ERROR\] .*\.(?:java|kt|scala):\[?\d+`)
	gradleBuild = pattern.MustCompile(`Compilation failed|e: .*\.kts?:|\.java:\d+: error:`)
	javaPlace   = pattern.MustCompile(`(/[^\s:\[\]]+\.(?:java|kt|scala|groovy))[:\[]`)
	javaMissing = pattern.MustCompile(`cannot find symbol|package \S+ does not exist|Unresolved reference|incompatible types|cannot be applied to given types|does not override abstract|has private access|is not abstract and does not override|no suitable (method|constructor)|unreported exception|not found: value|[Uu]nresolved`)
	javaSyntax  = pattern.MustCompile(`';' expected|'\)' expected|'\}' expected|class, interface, enum, or record expected|reached end of file while parsing|illegal start of|not a statement|<identifier> expected|unclosed|expecting a|Expecting|missing return statement|already defined`)
	javaPackage = pattern.MustCompile(`package (\S+) does not exist`)
	javaNoNet   = pattern.MustCompile(`Could not resolve dependencies|Could not find artifact|Cannot access \S+ .* in offline mode|Could not transfer artifact|Could not resolve all|Plugin \S+ or one of its dependencies could not be resolved|No cached version`)
	javaNoTests = pattern.MustCompile(`No tests to run|> Task :test NO-SOURCE`)
	javaForked  = pattern.MustCompile(`The forked VM terminated without (?:properly )?saying (?:properly )?goodbye|Process 'Gradle Test Executor \d+' finished with non-zero exit value|System\.exit|ExecutionException The forked VM`)
)

func readJava(s Suite, run Run, want, build *pattern.Regexp) Report {
	var r Report
	log := Clean(Tail(run.Log, 1<<20))
	r.Cases, r.Broken = gather(run.Root, s.dir(), want.MatchString, func(data []byte) ([]Case, error) { return parseJUnit(data, run.Dir, javaKind) })
	switch {
	case javaForked.MatchString(log):
		// A System.exit in a test ends the process with results unsaid.
		r.Broken = "the process of the tests was ended before they were over (System.exit, a crash): " + head(Tail(trimPaths(log, run.Dir), 2<<10), 2<<10)
	case len(r.Cases) > 0 || run.Code == 0 && r.Broken == "":
	case build.MatchString(log):
		file := ""
		if m := javaPlace.FindStringSubmatch(log); m != nil {
			file = relative(run.Dir, m[1])
		}
		name := "the build"
		if file != "" {
			name = file
		}
		text := trimPaths(errorLines(log), run.Dir)
		r = Report{Partial: true, Cases: []Case{{File: file, Name: name, State: Fail, Load: true, Kind: javacKind(text, place{root: run.Root, dir: s.dir()}), Message: text}}}
	case javaNoNet.MatchString(log):
		r = Report{Partial: true, Cases: []Case{{Name: "the build", State: Fail, Load: true, Kind: Dependency, Message: trimPaths(errorLines(log), run.Dir)}}}
	case javaNoTests.MatchString(log):
		r.None, r.Broken = true, ""
	}
	return r
}

// errorLines are those lines of a build's log that speak of errors.
func errorLines(log string) string {
	var b strings.Builder
	near := 0
	for l := range strings.Lines(log) {
		if strings.Contains(l, "ERROR") || strings.Contains(l, "error:") || strings.HasPrefix(l, "e: ") || strings.Contains(l, "symbol:") || strings.Contains(l, "location:") {
			near = 3
		}
		if near > 0 && b.Len() < mostMessage {
			b.WriteString(l)
			near--
		}
	}
	return b.String()
}

// javacKind says why the tests did not compile.
func javacKind(text string, at place) Kind {
	if javaSyntax.MatchString(text) && !javaMissing.MatchString(text) {
		return Syntax
	}
	for _, m := range javaPackage.FindAllStringSubmatch(text, -1) {
		dir := strings.ReplaceAll(m[1], ".", "/")
		own := false
		for parts := strings.Split(dir, "/"); len(parts) > 0 && !own; parts = parts[:len(parts)-1] {
			own = len(parts) > 1 && at.hasAny("src/main/java/"+path.Join(parts...), "src/main/kotlin/"+path.Join(parts...))
		}
		if !own {
			return Dependency
		}
	}
	if javaMissing.MatchString(text) {
		return Missing
	}
	return Syntax
}

// javaKind says why a case failed. fault: it threw what is no failure of an
// assertion.
func javaKind(fault bool, kind, text string) Kind {
	name := kind[strings.LastIndexAny(kind, ".$")+1:]
	switch {
	case strings.Contains(name, "Timeout") || strings.Contains(text, "timed out after") || strings.Contains(text, "TestTimedOutException"):
		return Timeout
	case slices.Contains([]string{"AssertionError", "AssertionFailedError", "ComparisonFailure", "MultipleFailuresError", "AssertionFailure", "ConditionNotSatisfiedError", "SpockComparisonFailure"}, name):
		return Assertion
	case strings.HasPrefix(name, "NoSuchMethod") || strings.HasPrefix(name, "NoClassDefFound") || strings.HasPrefix(name, "ClassNotFound") || strings.HasPrefix(name, "NoSuchField") ||
		name == "UnsupportedOperationException" || name == "NotImplementedError":
		return Missing
	case !fault:
		return Assertion
	}
	return Crash
}
