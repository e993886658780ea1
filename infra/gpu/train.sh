#!/usr/bin/env bash
# Train on a bare machine with a GPU and its driver, for as long as it is lent.
#
#   infra/gpu/train.sh QUEUE STATE MINUTES [WHEELS]
#
# QUEUE    the queue to work off, see docs/training.md (infra/gpu/queue.toml); paths in it are
#          relative to the repository's root.
# STATE    a folder that outlives the machine: what an earlier call left there is continued, and
#          what this one reaches is left there, in files below 16 MB.
# MINUTES  after which training is ended; at most the steps since the last checkpoint are lost.
# WHEELS   a folder of wheels for what Python lacks there. PYTHON names the interpreter.
set -euo pipefail
cd "$(dirname "$0")/../.."
queue=$1 state=$2 minutes=$3 wheels=${4:-}
python=${PYTHON:-python3}

if [ -n "$wheels" ]; then
    "$python" -m pip install --quiet --no-index --no-deps "$wheels"/*.whl
fi
# Fails here where something is missing, before anything is unpacked.
runs=$("$python" infra/gpu/work_queue.py --folder "$queue")
mkdir -p "$runs" "$state"
# What came in parts is put together again.
for first in "$state"/*.tar.part-aa; do
    [ -e "$first" ] && cat "${first%aa}"* | tar -x -C "$runs"
done

status=0
PYTHONPATH=$PWD timeout --signal=TERM "${minutes}m" "$python" infra/gpu/work_queue.py "$queue" \
    || status=$?

# Coded pictures can be made again; the rest of a run's folder is kept.
for run in "$runs"/*/; do
    name=$(basename "$run")
    [ "$name" = pairs ] && continue
    rm -f "$state/$name".tar.part-*
    tar -c -C "$runs" "$name" | split --bytes=15M - "$state/$name.tar.part-"
done
# 124: the time was up, which is how a lent machine ends.
[ "$status" -eq 124 ] || exit "$status"
