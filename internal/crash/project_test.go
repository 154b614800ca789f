package crash

// The project of every world: a shell script and tests that print the Test
// Anything Protocol, so that a session takes a second and not ten.
var project = map[string]string{
	"SPEC.md": `# Greeter

A program that greets whoever is named: ` + "`sh greet.sh Ada`" + ` says "Hello, Ada".

A second one says goodbye: ` + "`sh bye.sh Ada`" + ` says "Goodbye, Ada".
`,
	"t/all.sh": `n=0 bad=0
for f in t/*.t; do
	n=$((n + 1))
	if out=$(sh "$f" 2>&1); then
		echo "ok $n - $f"
	else
		echo "not ok $n - $f"
		echo "# $out"
		bad=1
	fi
done
echo "1..$n"
exit $bad
`,
	"t/runs.t": "test -s SPEC.md\n",
}

const plan = `The script of the loops that are killed.
-- plan/1 say --
[
  {"id": "greet-001", "category": "functional", "description": "The program greets a name", "steps": ["Run sh greet.sh Ada", "See Hello, Ada"], "priority": 1, "acceptance": []},
  {"id": "part-001", "category": "functional", "description": "The program says goodbye to a name", "steps": ["Run sh bye.sh Ada", "See Goodbye, Ada"], "priority": 2, "acceptance": [], "depends_on": ["greet-001"]}
]
`

// attempt is what the model says in one attempt at either feature.
const attempt = `
-- greet-001/N/tests/1 write_file t/greet.t --
out=$(sh greet.sh Ada)
test "$out" = "Hello, Ada" || { echo "got $out, want Hello, Ada"; exit 1; }
-- greet-001/N/tests/1 request_verification --
the test is written
-- greet-001/N/implement/1 write_file greet.sh --
#!/bin/sh
[ -z "$1" ] || echo "Hello, $1"
-- greet-001/N/implement/1 request_verification --
it greets
-- part-001/N/tests/1 write_file t/part.t --
out=$(sh bye.sh Ada)
test "$out" = "Goodbye, Ada" || { echo "got $out, want Goodbye, Ada"; exit 1; }
-- part-001/N/tests/1 request_verification --
the test is written
-- part-001/N/implement/1 write_file bye.sh --
#!/bin/sh
[ -z "$1" ] || echo "Goodbye, $1"
-- part-001/N/implement/1 request_verification --
it says goodbye
`
