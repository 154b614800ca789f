//go:build deep

package suite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// debian is how Maven works with what Debian's packages have brought and nothing
// else: tools/runners.sh installs them.
const debian = "mvn -B -o -Dmaven.repo.local=/usr/share/maven-repo test"

// pom names the versions that are installed.
func pom(t *testing.T) string {
	t.Helper()
	need(t, "mvn")
	version := func(plugin string) string {
		all, _ := filepath.Glob("/usr/share/maven-repo/org/apache/maven/plugins/" + plugin + "/[0-9]*")
		if len(all) == 0 {
			t.Fatalf("%s is missing: run tools/runners.sh", plugin)
		}
		return filepath.Base(all[len(all)-1])
	}
	plugins := ""
	for _, p := range []string{"maven-surefire-plugin", "maven-compiler-plugin", "maven-resources-plugin"} {
		plugins += "<plugin><groupId>org.apache.maven.plugins</groupId><artifactId>" + p + "</artifactId><version>" + version(p) + "</version></plugin>"
	}
	return `<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>notes</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.x</version><scope>test</scope></dependency></dependencies>
<build><plugins>` + plugins + `</plugins></build></project>
`
}

func TestMavenReport(t *testing.T) {
	if _, err := os.Stat("/usr/share/maven-repo/junit/junit/4.x"); err != nil {
		t.Fatalf("%v: run tools/runners.sh", err)
	}
	const head = "package notes;\nimport org.junit.*;\nimport static org.junit.Assert.*;\n"
	main := "package notes;\npublic class Notes { public static int add(int x) { return x; } }\n"
	dir := lay(t, tree{
		"pom.xml":                              pom(t),
		"src/main/java/notes/Notes.java":       main,
		"src/test/java/notes/NotesTest.java":   head + "public class NotesTest {\n  @Test public void ok() { assertEquals(1, Notes.add(1)); }\n  @Test public void wrong() { assertEquals(2, Notes.add(1)); }\n  @Test public void crash() { throw new IllegalStateException(\"no\"); }\n  @Test public void unfinished() { throw new UnsupportedOperationException(); }\n  @Test(timeout = 50) public void slow() throws Exception { Thread.sleep(5000); }\n  @Test @Ignore public void skipped() { }\n}\n",
		"target/surefire-reports/TEST-old.xml": "<testsuite><testcase name=\"stale\"/></testsuite>",
	})
	r := do(t, dir, debian)
	if believed(r) != "" {
		t.Fatal(believed(r), r.Tail)
	}
	want := sorted([]said{
		{"src/test/java/notes/NotesTest.java: notes.NotesTest › crash", Fail, Crash, false},
		{"src/test/java/notes/NotesTest.java: notes.NotesTest › ok", Pass, "", false},
		{"src/test/java/notes/NotesTest.java: notes.NotesTest › skipped", Skip, "", false},
		{"src/test/java/notes/NotesTest.java: notes.NotesTest › slow", Fail, Timeout, false},
		{"src/test/java/notes/NotesTest.java: notes.NotesTest › unfinished", Fail, Missing, false},
		{"src/test/java/notes/NotesTest.java: notes.NotesTest › wrong", Fail, Assertion, false},
	})
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	for name, tt := range map[string]struct {
		body string
		kind Kind
	}{
		"missing": {"public class XTest { @Test public void x() { Notes.remove(1); } }\n", Missing},
		"class":   {"public class XTest { @Test public void x() { new Later(); } }\n", Missing},
		"syntax":  {"public class XTest { @Test public void x() { int i = ; } }\n", Syntax},
		"package": {"import com.example.*;\npublic class XTest { @Test public void x() { } }\n", Dependency},
	} {
		r := do(t, lay(t, tree{"pom.xml": pom(t), "src/main/java/notes/Notes.java": main, "src/test/java/notes/XTest.java": head + tt.body}), debian)
		if d := cmp.Diff([]said{{"src/test/java/notes/XTest.java", Fail, tt.kind, true}}, summary(r)); d != "" || believed(r) != "" {
			t.Errorf("%s: %s %s %s", name, d, believed(r), r.Tail)
		}
	}
	r = do(t, lay(t, tree{"pom.xml": pom(t), "src/test/java/notes/XTest.java": head + "public class XTest { @Test public void a() { } @Test public void b() { System.exit(0); } @Test public void c() { fail(); } }\n"}), debian)
	if !strings.Contains(believed(r), "ended before they were over") {
		t.Errorf("System.exit: %q %v %s", believed(r), summary(r), r.Tail)
	}
	if r = do(t, lay(t, tree{"pom.xml": pom(t)}), debian); !r.None || believed(r) != "" {
		t.Errorf("no tests: none %v, %q, %s", r.None, believed(r), r.Tail)
	}
}
