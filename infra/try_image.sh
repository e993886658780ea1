#!/usr/bin/env bash
# Archive and restore a photo in an image of Refold, as it is meant to run: its root file system
# cannot be written, and the user is nobody in particular.
#   infra/try_image.sh IMAGE PHOTO
# Needs root and buildah, and neither systemd nor cgroups, so that it works where `podman run` does not.
set -euo pipefail
image=$1 photo=$2
if [ -z "${INSIDE:-}" ]; then
    container=$(buildah from "$image")
    trap 'buildah rm "$container" >/dev/null' EXIT
    # What is mounted below is seen by nothing else, and goes when this ends.
    INSIDE=$(buildah mount "$container") unshare --mount "$0" "$image" "$photo"
    exit
fi
root=$(mktemp -d)
mount --bind "$INSIDE" "$root"
mount -o remount,ro,bind "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o uid=10001,gid=10001,mode=0770 tmpfs "$root/var/cache/refold"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir "$root/tmp/photos"
cp "$photo" "$root/tmp/photos/"
# Its environment is the image's own, as an engine would set it.
mapfile -t environment < <(
    buildah inspect --type image --format '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' "$image" |
        sed '/^$/d'
)
# shellcheck disable=SC2016 - the shell inside expands it
chroot --userspec=10001:10001 "$root" env --ignore-environment --chdir=/tmp "${environment[@]}" sh -euc '
    ! touch /written 2>/dev/null
    refold --version
    refold archive photos archive
    refold restore archive restored --all
    ls -l restored
    refold doctor --quick
'
