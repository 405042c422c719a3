#!/usr/bin/env bash
# One node of a cluster: voltray-node head | executor | driver [flags of voltray serve].
# RAY_HEAD is the head's address, host:6379, for the other two.
set -euo pipefail

options=(--disable-usage-stats --metrics-export-port=8080 --dashboard-agent-listen-port=52365)
if [[ -n ${VOLTRAY_OBJECT_STORE_MEMORY:-} ]]; then
  bytes=$(numfmt --from=iec "${VOLTRAY_OBJECT_STORE_MEMORY^^}")
  options+=("--object-store-memory=$bytes")
fi

# Run a command in the background, hand the container's signals on to it, end as it ends.
run() {
  "$@" &
  child=$!
  trap 'kill -TERM "$child"; stopping=1' TERM INT
  wait "$child" || { [[ -n ${stopping:-} ]] && wait "$child"; }
}

# On a busy machine Ray gives up after 15 seconds now and then: try again, a few times.
start_ray() {
  for _ in 1 2 3 4 5; do
    run ray start "${options[@]}" "$@" && return
    [[ -z ${stopping:-} ]] || return
    ray stop --force
  done
  return 1
}

case ${1:?head, executor or driver} in
  head)
    # No task runs on the head. Ray's dashboard, ten processes, shows less than the server's own page.
    start_ray --head --port=6379 --num-cpus=0 --include-dashboard=false --block
    ;;
  executor)
    start_ray --address="${RAY_HEAD:?}" --num-cpus="${VOLTRAY_EXECUTOR_CPUS:?}" --block
    ;;
  driver)
    shift
    # The driver must sit on a Ray node, to reach an object store; no task runs there.
    start_ray --address="${RAY_HEAD:?}" --num-cpus=0
    trap 'ray stop' EXIT
    export VOLTRAY_HOST=${VOLTRAY_HOST:-0.0.0.0}
    run voltray serve --ray-address auto "$@"
    ;;
  *)
    echo "voltray-node head | executor | driver, not $1" >&2
    exit 2
    ;;
esac
