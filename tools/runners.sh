#!/bin/sh
# Gets the runners of tests that package suite is tried with: for every day
# pytest; with the argument "all" also those of Ruby, PHP, Java and bats. Rust's is
# taken as it is found. It can be run again at any time and then does nothing.
# Jest, Vitest and Mocha are installed by the tests that need them.
set -eu

want=
if ! python3 -c 'import pytest' 2>/dev/null && ! /usr/bin/python3 -c 'import pytest' 2>/dev/null; then
	want=python3-pytest
fi
if [ "${1:-}" = all ]; then
	command -v rspec >/dev/null || want="$want ruby ruby-rspec"
	ruby -e 'require "minitest"' 2>/dev/null || want="$want ruby ruby-minitest"
	command -v phpunit >/dev/null || want="$want phpunit"
	command -v cargo >/dev/null || want="$want cargo"
	command -v bats >/dev/null || want="$want bats"
	maven=/usr/share/maven-repo
	[ -d $maven/org/apache/maven/plugins/maven-surefire-plugin ] || want="$want maven libsurefire-java"
	[ -d $maven/org/apache/maven/plugins/maven-compiler-plugin ] || want="$want libmaven-compiler-plugin-java"
	[ -d $maven/org/apache/maven/plugins/maven-resources-plugin ] || want="$want libmaven-resources-plugin-java"
	[ -d $maven/junit/junit/4.x ] || want="$want junit4"
	command -v javac >/dev/null || want="$want default-jdk-headless"
fi
[ -n "$want" ] || exit 0
if ! command -v apt-get >/dev/null; then
	echo "runners: missing: $want" >&2
	echo "runners: install what your system calls so" >&2
	exit 1
fi
sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "runners: installing $want needs root" >&2; exit 1; }
	sudo=sudo
fi
echo "runners: apt-get install $want"
$sudo apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of names
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $want >/dev/null
