#!/usr/bin/env bash
# Join the Ray cluster at RAY_HEAD as a node without CPUs, then run the server on that node.
# The driver's process must sit on a Ray node, to reach the object store; it takes no tasks there.
set -euo pipefail
: "${RAY_HEAD:?set RAY_HEAD to the address of the Ray head, host:6379}"
ray start --address="$RAY_HEAD" --num-cpus=0 --disable-usage-stats
trap 'ray stop' EXIT
voltray serve --host 0.0.0.0 --ray-address auto "$@" &
server=$!
trap 'kill -TERM "$server"' TERM INT
wait "$server" || wait "$server"
