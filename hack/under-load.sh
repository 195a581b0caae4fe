#!/usr/bin/env bash
# Runs a command beside busy processes, BUSY of them (4), and returns its exit status. They are ended by their ids when it ends.
#   hack/under-load.sh go test -count=1 ./e2e/pods
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: hack/under-load.sh COMMAND..." >&2; exit 2; }

busy=()
command=
# What still runs is ended, whatever happened: the command with its process group, and each busy process.
finish() {
  [ -z "$command" ] || kill -- "-$command" 2>/dev/null || true
  [ ${#busy[@]} -eq 0 ] || kill "${busy[@]}" 2>/dev/null || true
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A busy process whose parent was killed (kill -9) sees that it has another one, and ends.
for ((i = 0; i < ${BUSY:-4}; i++)); do
  bash -c 'while [ "$(ps -o ppid= -p $$ | tr -d " ")" = "$0" ]; do for ((n = 0; n < 300000; n++)); do :; done; done' $$ </dev/null &
  busy+=($!)
done

export MILLRACE_TEST_PATIENCE=${MILLRACE_TEST_PATIENCE:-5m} TEST_TIMEOUT=${TEST_TIMEOUT:-60m}
set -m
"$@" </dev/null &
command=$!
set +m
status=0
wait "$command" || status=$?
command=
exit $status
