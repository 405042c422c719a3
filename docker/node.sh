#!/usr/bin/env bash
# One node of a cluster: voltray-node head | executor | driver [flags of voltray serve].
# RAY_HEAD is the head's address, host:6379, for the other two.
set -euo pipefail

# Ports are named where a busy node would otherwise wait, not long enough, for agents to tell theirs.
options=(--disable-usage-stats --metrics-export-port=8080 --dashboard-agent-listen-port=52365)
options+=(--dashboard-agent-grpc-port=52366 --runtime-env-agent-port=52367)
if [[ -n ${VOLTRAY_OBJECT_STORE_MEMORY:-} ]]; then
  bytes=$(numfmt --from=iec "${VOLTRAY_OBJECT_STORE_MEMORY^^}")
  options+=("--object-store-memory=$bytes")
fi

case ${1:?head, executor or driver} in
  head)
    # No task runs on the head.
    exec ray start --head --port=6379 --num-cpus=0 --dashboard-host=0.0.0.0 "${options[@]}" --block
    ;;
  executor)
    exec ray start --address="${RAY_HEAD:?}" --num-cpus="${VOLTRAY_EXECUTOR_CPUS:?}" "${options[@]}" --block
    ;;
  driver)
    shift
    # The driver must sit on a Ray node, to reach an object store; no task runs there.
    ray start --address="${RAY_HEAD:?}" --num-cpus=0 "${options[@]}"
    trap 'ray stop' EXIT
    export VOLTRAY_HOST=${VOLTRAY_HOST:-0.0.0.0}
    voltray serve --ray-address auto "$@" &
    server=$!
    trap 'kill -TERM "$server"' TERM INT
    wait "$server" || wait "$server"
    ;;
  *)
    echo "voltray-node head | executor | driver, not $1" >&2
    exit 2
    ;;
esac
