#!/usr/bin/env bash
# Make a base for infra/Containerfile out of Debian's packages, where no registry of images is at hand:
#   infra/base_image.sh && make image ENGINE=buildah BASE=localhost/refold-base:bookworm
# Needs root, and Debian's packages buildah and debootstrap.
set -euo pipefail
name=${1:-localhost/refold-base:bookworm}
export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Debian 12 has Python 3.11, as the image that the Containerfile names.
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$folder" \
    "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
ln -s python3 "$folder/usr/bin/python"
rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/*
container=$(buildah from scratch)
buildah copy --quiet "$container" "$folder" /
buildah commit --quiet --rm "$container" "$name"
