#!/usr/bin/env bash
# The whole way on one machine: builds Millrace, serves examples/quickstart, publishes a moving picture with a clock, and prints
# the URLs. Ctrl-C ends it. With DEMO_SECONDS=N it watches the stream in headless Chromium for N seconds instead, prints first
# picture, latency and frame rate, and exits with 0 only when all three were measured.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${DEMO_SECONDS:-}
if ! [[ $seconds =~ ^[0-9]*$ ]]; then
  echo "DEMO_SECONDS=$seconds: want a number of seconds" >&2
  exit 2
fi

hack/install-apt.sh ffmpeg
if [ -n "$seconds" ]; then
  hack/install-apt.sh chromium node npm
fi

work=$(mktemp -d)
pids=()
cleanup() {
  trap - EXIT INT TERM
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

echo "Building bin/millrace"
make --no-print-directory build

# serve FLAGS... starts the server and waits until it listens; it fails when the server ended instead.
serve() {
  bin/millrace standalone -f examples/quickstart "$@" >"$work/server.out" 2>"$work/server.err" </dev/null &
  server=$!
  for _ in $(seq 150); do
    if grep -q '^Listening' "$work/server.out"; then
      pids+=("$server")
      return 0
    fi
    kill -0 "$server" 2>/dev/null || return 1
    sleep 0.1
  done
  kill "$server" 2>/dev/null || true
  return 1
}

if ! serve; then
  if ! grep -q 'address already in use' "$work/server.err"; then
    cat "$work/server.out" "$work/server.err" >&2
    exit 1
  fi
  echo "A default port is taken: free ones are used"
  if ! serve --rtmp-port 0 --http-port 0 --media-port 0 --admin ""; then
    cat "$work/server.out" "$work/server.err" >&2
    exit 1
  fi
fi

# The server prints the URLs of a stream named "stream"; this one is named "demo".
url() { grep -oE "$1" "$work/server.out" | head -n 1 | sed -E 's#/stream(\?|$)#/demo\1#' || true; }
push=$(url 'rtmp://127\.0\.0\.1[:/][^ ]+')
artc=$(url 'artc://[^ ]+')
page=$(url 'https?://[^ ]+')
if [ -z "$push" ] || [ -z "$artc" ] || [ -z "$page" ]; then
  echo "The server printed no URLs:" >&2
  cat "$work/server.out" >&2
  exit 1
fi

bin/millrace testsrc --size 1280x720 --fps 30 2>/dev/null </dev/null |
  ffmpeg -hide_banner -loglevel error -fflags nobuffer -probesize 32 -analyzeduration 0 \
    -f rawvideo -pix_fmt yuv420p -s 1280x720 -r 30 -i pipe:0 \
    -c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 60 -keyint_min 60 -sc_threshold 0 -b:v 2M -maxrate 2M -bufsize 2M \
    -f flv "$push" >"$work/publisher.out" 2>&1 &
pids+=("$!") # of ffmpeg; the test source ends when nobody reads it any more

if ! bin/millrace play "$artc" --wait=30s --duration 1s >"$work/play.out" 2>&1 </dev/null; then
  cat "$work/play.out" "$work/publisher.out" "$work/server.err" >&2
  echo "The stream does not play" >&2
  exit 1
fi

cat <<TEXT

  Watch in a browser   $page
  RTS URL              $artc
  Published to         $push

TEXT

if [ -z "$seconds" ]; then
  echo "Ctrl-C ends the demo. Try also: bin/millrace play $artc --duration 10s"
  # The demo lasts as long as both processes do.
  wait -n "${pids[@]}" || true
  cat "$work/publisher.out" "$work/server.err" >&2
  echo "The publisher or the server has ended" >&2
  exit 1
fi

hack/install-npm.sh e2e/browser
late=$((seconds > 6 ? seconds - 2 : 4))
echo "Watching it in headless Chromium for about $((late + 2)) s"
cat >"$work/scenario.json" <<JSON
{ "timeoutSeconds": $((late + 90)), "steps": [ { "kind": "join", "url": "$page", "earlySeconds": 2, "lateSeconds": $late,
  "spanSeconds": 2, "limitSeconds": 30, "viewport": { "width": 1280, "height": 720 } } ] }
JSON
status=0
CHROMIUM=${CHROMIUM:-$(command -v chromium)} node e2e/browser/drive.mjs "$work/scenario.json" >"$work/browser.out" 2>"$work/browser.err" </dev/null || status=$?
if ! node hack/demo-figures.mjs "$work/browser.out" || [ "$status" -ne 0 ]; then
  cat "$work/browser.err" "$work/server.err" >&2
  exit 1
fi
