#!/bin/sh
# Builds the action's image, as autonomous-loop:dev:
#
#	tools/image.sh          with docker or podman, where one of them works
#	tools/image.sh --bare   without an engine and without a registry of images
#	tools/image.sh --demo   the second way, and plays the demo in the image
#
# The second way is taken by itself where there is no engine. It needs root,
# buildah and debootstrap, makes stand-ins for the three base images from Debian's
# packages and this machine's Go and Node.js, and keeps everything in build/.image,
# until tools/image.sh --clean. It shows that the Dockerfile builds and that the
# image works; it is not what a release is made of.
set -eu

cd "$(dirname "$0")/.."
tag=${AUTONOMOUS_LOOP_IMAGE:-autonomous-loop:dev}

say() { echo "image: $*"; }

# die WHAT HOW
die() {
	echo "image: $1" >&2
	echo "image: $2" >&2
	exit 1
}

# The first engine that answers and can fetch the base images.
engine=
if [ -z "${1:-}" ]; then
	for e in docker podman; do
		command -v $e >/dev/null && $e info >/dev/null 2>&1 || continue
		if $e pull -q docker.io/library/debian:bookworm-slim >/dev/null 2>&1; then
			engine=$e
			break
		fi
		say "$e answers, but cannot fetch debian:bookworm-slim"
	done
fi
if [ -n "$engine" ]; then
	$engine build -t "$tag" .
	$engine run --rm "$tag" help >/dev/null || die "the image does not run" "try: $engine run --rm $tag help"
	say "$tag is built; try: $engine run --rm $tag demo"
	exit 0
fi

[ "$(id -u)" = 0 ] || die "there is no engine that works, and doing without one needs root" "start docker or podman, or run this as root"
for p in buildah debootstrap; do
	command -v $p >/dev/null || die "there is no engine that works, and $p is missing" \
		"start docker or podman, or: apt-get install --no-install-recommends buildah debootstrap"
done
for p in go node npm; do
	command -v $p >/dev/null || die "$p is missing" "install it: the stand-ins are made of this machine's"
done

# Nothing of this machine's own storage and configuration is used or touched. The
# dot keeps Go from looking for packages in the image's files.
mkdir -p build/.image
dir=$(cd build/.image && pwd)
printf 'unqualified-search-registries = ["docker.io"]\n' >"$dir/registries.conf"
export CONTAINERS_REGISTRIES_CONF="$dir/registries.conf" BUILDAH_ISOLATION=chroot
b() { buildah --root "$dir/storage" --runroot "$dir/run" "$@"; }

if [ "${1:-}" = --clean ]; then
	b rm --all >/dev/null
	b rmi --all --force >/dev/null
	umount "$dir/storage/overlay" 2>/dev/null || true
	rm -rf "$dir"
	exit 0
fi

# This machine's certificates, which may know more than Debian's, for the stages
# that fetch something. They do not get into the image.
certificates=/etc/ssl/certs/ca-certificates.crt
[ -r $certificates ] || die "$certificates is missing" "apt-get install ca-certificates"
seen=/run/host-certificates.crt

if ! b inspect --type image docker.io/library/debian:bookworm-slim >/dev/null 2>&1; then
	say "debootstrap, as debian:bookworm-slim"
	rm -rf "$dir/debian"
	debootstrap --variant=minbase bookworm "$dir/debian" >"$dir/debootstrap.log" 2>&1 || {
		tail -n 5 "$dir/debootstrap.log" >&2
		die "debootstrap does not work" "its log is $dir/debootstrap.log"
	}
	# As in the real one: apt takes security updates and keeps nothing.
	if [ -r /etc/apt/sources.list.d/debian.sources ]; then
		cp /etc/apt/sources.list.d/debian.sources "$dir/debian/etc/apt/sources.list.d/"
		: >"$dir/debian/etc/apt/sources.list"
	fi
	cat >"$dir/debian/etc/apt/apt.conf.d/stand-in" <<-'END'
		DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
		Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
	END
	rm -rf "$dir"/debian/var/cache/apt/archives/*.deb "$dir"/debian/var/lib/apt/lists/*
	c=$(b from scratch)
	b add -q "$c" "$dir/debian" / >/dev/null
	b commit -q --rm "$c" docker.io/library/debian:bookworm-slim >/dev/null
	rm -rf "$dir/debian"
fi

if ! b inspect --type image docker.io/library/node:24-bookworm-slim >/dev/null 2>&1; then
	say "this machine's Node.js $(node -v), as node:24-bookworm-slim"
	c=$(b from --pull-never docker.io/library/debian:bookworm-slim)
	b add -q "$c" "$(node -p process.execPath)" /usr/local/bin/node >/dev/null
	b add -q "$c" "$(npm root -g)/npm" /usr/local/lib/node_modules/npm >/dev/null
	b commit -q --rm "$c" docker.io/library/node:24-bookworm-slim >/dev/null
fi
if ! b inspect --type image docker.io/library/golang:1.26-bookworm >/dev/null 2>&1; then
	say "this machine's $(go env GOVERSION), as golang:1.26-bookworm"
	c=$(b from --pull-never docker.io/library/debian:bookworm-slim)
	b add -q "$c" "$(go env GOROOT)" /usr/local/go >/dev/null
	b config --env PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --env GOPATH=/go --env GOTOOLCHAIN=local \
		--env SSL_CERT_FILE=$seen --env NODE_EXTRA_CA_CERTS=$seen "$c"
	b commit -q --rm "$c" docker.io/library/golang:1.26-bookworm >/dev/null
fi

b bud --network host --pull-never --layers -v $certificates:$seen:ro -t "$tag" . || die "the image cannot be built" "look at the message above"

c=$(b from --pull-never "$tag")
trap 'b rm "$c" >/dev/null' EXIT
b run "$c" -- /usr/local/bin/autonomous-loop help >/dev/null || die "the image does not run" "look at the message above"
say "$tag is built, $(b images --format '{{.Size}}' "$tag") unpacked"
if [ "${1:-}" = --demo ]; then
	b run "$c" -- /usr/local/bin/autonomous-loop demo
fi
