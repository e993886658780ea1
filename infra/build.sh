#!/usr/bin/env bash
# Build the wheel and the sdist of the files that git tracks, the same bytes every time:
#   infra/build.sh [FOLDER]     by default dist/
# PYTHON names an interpreter that has `build` and `setuptools`; nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-dist}
mkdir -p "$out"
out=$(cd "$out" && pwd)
python=$(command -v "${PYTHON:-.venv/bin/python}")
case $python in /*) ;; *) python=$PWD/$python ;; esac

# Times, rights and the names of folders are what two builds would differ in.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
umask 022
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z -- rescaling_core tasks flows pyproject.toml README.md LICENSE |
    tar --create --null --files-from=- --mode='u=rwX,go=rX' --mtime="@$SOURCE_DATE_EPOCH" |
    tar --extract --directory="$copy"
# The wheel is built from the sdist, so that the one is proven to have all that the other needs.
cd "$copy"
env --unset=PYTHONPATH "$python" -m build --no-isolation --outdir "$out" >"$copy/log" 2>&1 ||
    { cat "$copy/log" >&2; exit 1; }
ls -l "$out"
