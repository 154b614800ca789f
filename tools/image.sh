#!/bin/sh
# Builds the action's image as autonomous-loop:dev. Where a Docker engine
# answers, it does the work. Elsewhere, as root on Debian, buildah builds
# it without a daemon, on bases that debootstrap makes from the distribution.
set -eu
cd "$(dirname "$0")/.."
tag=autonomous-loop:dev

if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
	exec docker build -t $tag .
fi

[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || {
	echo "image: no Docker engine answers here; start one, or run this as root on Debian" >&2
	exit 1
}
export DEBIAN_FRONTEND=noninteractive
for tool in buildah debootstrap; do
	command -v $tool >/dev/null || apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends buildah debootstrap uidmap >/dev/null
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ca=/etc/ssl/certs/ca-certificates.crt
echo 'unqualified-search-registries = ["docker.io"]' >"$work/registries.conf"
export CONTAINERS_REGISTRIES_CONF="$work/registries.conf" BUILDAH_ISOLATION=chroot
if [ -z "$(buildah images -q docker.io/library/golang:1.26-bookworm 2>/dev/null)" ]; then
	echo "image: making golang:1.26-bookworm from Debian and the Go that is here"
	mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources | head -n 1)
	debootstrap --variant=minbase --include=ca-certificates,git bookworm "$work/rootfs" "$mirror" >"$work/log" 2>&1 || {
		tail "$work/log" >&2
		exit 1
	}
	cp /etc/apt/sources.list.d/debian.sources "$work/rootfs/etc/apt/sources.list.d/" && : >"$work/rootfs/etc/apt/sources.list"
	cp "$ca" "$work/rootfs$ca"
	cp -a "$(go env GOROOT)" "$work/rootfs/usr/local/go"
	base=$(buildah from scratch)
	buildah add -q "$base" "$work/rootfs" / >/dev/null
	buildah config --env PATH=/usr/local/go/bin:/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --env GOPATH=/go --env GOTOOLCHAIN=local "$base"
	buildah commit -q "$base" docker.io/library/golang:1.26-bookworm >/dev/null
	buildah rm "$base" >/dev/null
fi
# The certificates and addresses of this machine's registries are for the build
# only: they are mounted or given as arguments, and not in the image.
set -- --env "NODE_EXTRA_CA_CERTS=$ca" --unsetenv NODE_EXTRA_CA_CERTS
for name in GOPROXY GOFLAGS GOSUMDB; do
	value=$(go env $name)
	[ -z "$value" ] || set -- "$@" --env "$name=$value" --unsetenv $name
done
buildah bud --isolation chroot --network host --pull-never -v "$ca:$ca:ro" "$@" -t $tag .
