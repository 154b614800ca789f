#!/bin/sh
# Runs go test with the given arguments and closes with the number of tests that
# ran, so that a run without any is seen to be one.
set -u
out=$(mktemp)
trap 'rm -f "$out"' EXIT
go test -json "$@" >"$out" 2>&1
code=$?
# What failed, in full; else one line for each package.
if [ $code -ne 0 ]; then
	grep -v '^{' "$out"
	go run ./tools/said <"$out"
fi
passed=$(grep -c '"Action":"pass".*"Test":' "$out")
failed=$(grep -c '"Action":"fail".*"Test":' "$out")
skipped=$(grep -c '"Action":"skip".*"Test":' "$out")
grep -o '"Action":"pass","Package":"[^"]*","Elapsed":[0-9.]*' "$out" | sed 's/"Action":"pass","Package":"\([^"]*\)","Elapsed":\(.*\)/ok   \1  \2s/'
echo "$passed passed, $failed failed, $skipped skipped"
[ "$passed" -gt 0 ] || exit 1
exit $code
