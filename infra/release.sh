#!/usr/bin/env bash
# What is released, built and tried: the wheel and the sdist in dist/, checked by twine, and the wheel
# installed into an environment of its own, where it archives and restores a picture.
#   infra/release.sh            publishes nothing; `twine upload dist/*` is up to you
# PIP_ARGUMENTS is given to `pip install`, such as --no-index --find-links FOLDER.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(cd "$(dirname "${PYTHON:-.venv/bin/python}")" && pwd)/python
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' rescaling_core/__init__.py)
grep -q "^version: $version\$" CITATION.cff || { echo "CITATION.cff names another version" >&2; exit 1; }
rm -rf dist
PYTHON=$python infra/build.sh dist
"$python" -m twine check --strict dist/*

clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT
"$python" -m venv "$clean/env"
# shellcheck disable=SC2086
"$clean/env/bin/python" -m pip install --quiet --constraint infra/constraints.txt ${PIP_ARGUMENTS:-} dist/*.whl
cd "$clean"
mkdir photos
env/bin/python -c "
import numpy, PIL.Image as I
ramp = numpy.linspace(0, 255, 256).astype('uint8')
I.fromarray(numpy.stack([numpy.tile(ramp, (256, 1)), numpy.tile(ramp[:, None], (1, 256)), numpy.full((256, 256), 90, 'uint8')], 2)).save('photos/ramp.png')"
env/bin/refold doctor --quick
env/bin/refold archive photos archive
env/bin/refold ls archive
env/bin/refold restore archive restored --all
test "$(env/bin/refold --version)" = "refold $version"
echo "refold $version is ready in dist/"
