#!/bin/sh
# Gets what the browser checks need on Debian or Ubuntu: Chromium, Node.js and
# Playwright's driver in exactly the version that go.mod's playwright-go wants.
# Run it as root, or with sudo at hand. It can be run again at any time and then
# does nothing. It writes nothing into the repository but build/env, where it
# leaves the paths for the Makefile and the tests.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
env=build/env
want_chromium=${AUTONOMOUS_LOOP_CHROMIUM:-}
want_node=${AUTONOMOUS_LOOP_NODE:-}
want_driver=${AUTONOMOUS_LOOP_DRIVER:-}

# There is nothing to do if the last run's paths still hold, and were found for
# this go.mod by this script.
if [ -f $env ] && [ -n "$(find $env -newer go.mod -newer tools/setup.sh)" ]; then
	. ./$env
	if [ -x "$AUTONOMOUS_LOOP_CHROMIUM" ] && [ -x "$AUTONOMOUS_LOOP_NODE" ] && [ -f "$AUTONOMOUS_LOOP_DRIVER/prepared" ] &&
		[ "${want_chromium:-$AUTONOMOUS_LOOP_CHROMIUM}" = "$AUTONOMOUS_LOOP_CHROMIUM" ] &&
		[ "${want_node:-$AUTONOMOUS_LOOP_NODE}" = "$AUTONOMOUS_LOOP_NODE" ] &&
		[ "${want_driver:-$AUTONOMOUS_LOOP_DRIVER}" = "$AUTONOMOUS_LOOP_DRIVER" ] &&
		case ${AUTONOMOUS_LOOP_CACHE:-} in '') ;; *) case $AUTONOMOUS_LOOP_DRIVER in "$AUTONOMOUS_LOOP_CACHE"/*) ;; *) [ -n "$want_driver" ] ;; esac ;; esac
	then
		exit 0
	fi
fi

say() { echo "setup: $*"; }

# die WHAT HOW
die() {
	echo "setup: $1" >&2
	echo "setup: $2" >&2
	exit 1
}

# The package manager, if this is a system that has it.
system=other
if [ -r /etc/os-release ] && command -v apt-get >/dev/null; then
	system=$(. /etc/os-release && echo "${ID:-other}")
fi

# apt PACKAGE...
apt() {
	sudo=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "installing $* needs root" "run this script as root, or: apt-get install --no-install-recommends $*"
		sudo=sudo
	fi
	say "apt-get install $*"
	$sudo apt-get update -q >/dev/null || die "apt-get update does not work" "look at its message above"
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >/dev/null ||
		die "apt-get install $* does not work" "look at its message above"
}

if [ -n "${AUTONOMOUS_LOOP_CACHE:-}" ]; then
	cache=$AUTONOMOUS_LOOP_CACHE
elif [ "$(id -u)" = 0 ]; then
	cache=/opt/autonomous-loop # the sandbox's user cannot read root's home
else
	cache=$HOME/.cache/autonomous-loop
fi
case $cache in
/*) ;;
*) die "AUTONOMOUS_LOOP_CACHE=$cache is not an absolute path" "name one that is" ;;
esac

# Node.js

node=$want_node
[ -n "$node" ] || node=$(command -v node) || {
	case $system in
	debian | ubuntu) apt nodejs ;;
	*) die "Node.js is missing" "install Node.js 18 or newer, so that node is in PATH" ;;
	esac
	node=$(command -v node) || die "Node.js is not in PATH after it was installed" "set AUTONOMOUS_LOOP_NODE to its path"
}
major=$("$node" -p 'process.versions.node.split(".")[0]' 2>/dev/null) || die "$node does not run" "install Node.js 18 or newer"
[ "$major" -ge 18 ] || die "$node is Node.js $major, too old" "install Node.js 18 or newer, or set AUTONOMOUS_LOOP_NODE"

# Playwright's driver

driver=$want_driver
if [ -z "$driver" ]; then
	module=github.com/playwright-community/playwright-go
	command -v go >/dev/null || die "Go is missing" "install the version that go.mod names, from https://go.dev/dl/"
	dir=$(go list -m -f '{{.Dir}}' $module)
	if [ -z "$dir" ]; then
		go mod download $module || die "$module cannot be downloaded" "look at go's message above"
		dir=$(go list -m -f '{{.Dir}}' $module)
	fi
	version=$(sed -n 's/^const playwrightCliVersion = "\([0-9.]*\)"$/\1/p' "$dir/run.go")
	[ -n "$version" ] || die "$dir/run.go no longer says which driver it wants" "mend tools/setup.sh"
	driver=$cache/driver-$version
fi
if [ ! -f "$driver/prepared" ]; then
	[ -z "$want_driver" ] || die "$driver is not a prepared driver" "unset AUTONOMOUS_LOOP_DRIVER, or: go run ./tools/driver $driver $node"
	if ! command -v npm >/dev/null; then
		case $system in
		debian | ubuntu) apt npm ;;
		*) die "npm is missing, and the driver comes from npm" "install Node.js from https://nodejs.org, which brings it" ;;
		esac
	fi
	say "npm pack playwright-core@$version to $driver"
	mkdir -p "$cache" || die "$cache cannot be made" "set AUTONOMOUS_LOOP_CACHE to a directory of yours"
	new=$(mktemp -d "$cache/new.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	npm pack --silent --pack-destination "$new" "playwright-core@$version" >/dev/null ||
		die "npm cannot fetch playwright-core@$version" "look at its message above; it needs the network once"
	tar -xzf "$new"/playwright-core-*.tgz -C "$new"
	rm "$new"/playwright-core-*.tgz
	say "patch the driver for playwright-go"
	go run ./tools/driver "$new" "$node" || die "the driver cannot be prepared" "look at the message above"
	chmod -R a+rX "$cache"
	rm -rf "$driver"
	mv "$new" "$driver" # at once: what is there is whole
	trap - EXIT
fi

# axe-core, which looks for what keeps people out of a page. It lies beside the
# driver and comes with it into the image. It can be done without, so a machine
# that cannot fetch it is only told.

axe=4.14.1
if [ ! -f "$driver/axe-$axe.min.js" ] && [ -z "$want_driver" ]; then
	say "npm pack axe-core@$axe to $driver"
	new=$(mktemp -d "$cache/new.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	if npm pack --silent --pack-destination "$new" "axe-core@$axe" >/dev/null && tar -xzf "$new"/axe-core-*.tgz -C "$new"; then
		chmod a+r "$new/package/axe.min.js"
		mv "$new/package/axe.min.js" "$driver/axe-$axe.min.js"
	else
		say "axe-core cannot be fetched; pages are not looked at for accessibility until it is"
	fi
	rm -rf "$new"
	trap - EXIT
fi

# Chromium

chromium=$want_chromium
look() {
	for c in "$cache/chromium" \
		/usr/lib/chromium/chromium-headless-shell \
		/usr/lib/chromium/chromium \
		/opt/google/chrome/chrome \
		/usr/bin/chromium-headless-shell \
		/usr/bin/chromium \
		/usr/bin/google-chrome-stable \
		/usr/bin/google-chrome; do
		# Ubuntu has a script there that starts a snap, which cannot be driven.
		if [ -x "$c" ] && ! head -c 4096 "$c" | grep -aq '/snap/'; then
			chromium=$c
			return
		fi
	done
}
[ -n "$chromium" ] || look
if [ -z "$chromium" ]; then
	case $system in
	debian) apt chromium-headless-shell fonts-liberation ;;
	ubuntu)
		say "download Chromium for Playwright to $cache/browsers"
		sudo=
		[ "$(id -u)" = 0 ] || ! command -v sudo >/dev/null || sudo=sudo
		$sudo "$node" "$driver/package/cli.js" install-deps chromium-headless-shell >/dev/null ||
			die "Chromium's libraries cannot be installed" "run this script as root"
		PLAYWRIGHT_BROWSERS_PATH=$cache/browsers "$node" "$driver/package/cli.js" install chromium-headless-shell >/dev/null ||
			die "Chromium cannot be downloaded" "look at the message above; it needs the network once"
		shell=$(find "$cache/browsers" -type f \( -name headless_shell -o -name chrome-headless-shell \) | head -n 1)
		[ -n "$shell" ] || die "Playwright left no Chromium in $cache/browsers" "set AUTONOMOUS_LOOP_CHROMIUM to one"
		ln -sfn "$shell" "$cache/chromium"
		chmod -R a+rX "$cache"
		;;
	*) die "Chromium is missing" "install Chromium or Chrome, or set AUTONOMOUS_LOOP_CHROMIUM to its path" ;;
	esac
	look
fi
[ -n "$chromium" ] || die "Chromium is not where it should be after it was installed" "set AUTONOMOUS_LOOP_CHROMIUM to its path"
"$chromium" --version >/dev/null 2>&1 || die "$chromium does not run" "run $chromium --version to see why"

case $chromium$node$driver in
*[!A-Za-z0-9_./+:@-]*) die "a path has a character that make cannot read: $chromium $node $driver" "choose another AUTONOMOUS_LOOP_CACHE" ;;
esac
# ripgrep, which searches are measured against and which they use where it is. All
# works without it.
if ! command -v rg >/dev/null; then
	case $system in
	debian | ubuntu) (apt ripgrep) || say "searches do without ripgrep" ;;
	*) say "ripgrep (rg) is not in PATH: searches do without it, and tests and benchmarks against it are left out" ;;
	esac
fi

mkdir -p build
cat >$env.new <<END
AUTONOMOUS_LOOP_CHROMIUM=$chromium
AUTONOMOUS_LOOP_DRIVER=$driver
AUTONOMOUS_LOOP_NODE=$node
END
mv $env.new $env
say "ready: $env"
