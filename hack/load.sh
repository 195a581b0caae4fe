#!/usr/bin/env bash
# A load test on one machine: standalone, a publisher that costs next to nothing (a file of 2 Mbit/s, 720p30, key frame every 2 s,
# copied again and again), and `millrace play` with the given flags. Prints the report and the server's own CPU time per packet.
set -euo pipefail
cd "$(dirname "$0")/.."

hack/install-apt.sh ffmpeg
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

ffmpeg -nostdin -loglevel error -f lavfi -i testsrc2=size=1280x720:rate=30 -t 60 -vf noise=alls=20:allf=t \
  -c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 60 -keyint_min 60 -sc_threshold 0 \
  -b:v 2M -minrate 2M -maxrate 2M -bufsize 1M -x264-params nal-hrd=cbr -pix_fmt yuv420p "$work/source.flv"

bin/millrace standalone -f examples/quickstart --rtmp-port 0 --http-port 0 --media-port 0 --admin "" \
  >"$work/server.out" 2>"$work/server.err" </dev/null &
server=$!
pids+=("$server")
for _ in $(seq 100); do
  grep -q '^Listening' "$work/server.out" && break
  kill -0 "$server" || { cat "$work/server.out" "$work/server.err" >&2; exit 1; }
  sleep 0.1
done
push=$(grep -oE 'rtmp://127[^ ]+' "$work/server.out" | head -n 1)
artc=$(grep -oE 'artc://[^ ]+' "$work/server.out" | head -n 1)

ffmpeg -nostdin -loglevel error -re -stream_loop -1 -i "$work/source.flv" -c copy -f flv "$push" >"$work/publisher.out" 2>&1 &
pids+=("$!")

# ticks prints the CPU time of the server so far, in 1/100 s.
ticks() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }
bin/millrace play "$artc" --wait=30s --duration 1s >/dev/null
before=$(ticks)
status=0
bin/millrace play "$artc" "$@" </dev/null | tee "$work/report" || status=$?
used=$(($(ticks) - before))
packets=$(sed -nE 's/^Packets +([0-9]+),.*/\1/p; s/^    "packets": ([0-9]+),.*/\1/p' "$work/report" | head -n 1)
if [ -n "$packets" ] && [ "$packets" -gt 0 ]; then
  awk -v t="$used" -v p="$packets" \
    'BEGIN { printf "The server     %.2f us of CPU per delivered packet, joins and publisher included\n", t * 10000 / p }' >&2
fi
exit "$status"
