#!/usr/bin/env bash
# Three nodes as three processes on loopback, each with its own directory under
# DATA (default pamir-data/cluster). Ctrl-C stops them all.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${DATA:-pamir-data/cluster}
join=127.0.0.1:26358,127.0.0.1:26368,127.0.0.1:26378
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait' EXIT
trap 'exit 0' INT TERM
for i in 1 2 3; do
	port=$((26347 + 10 * i))
	./bin/pamir start --insecure --store="$data/n$i" --join="$join" --locality="zone=z$i" --log-level=warn \
		--sql-addr=127.0.0.1:$port --listen-addr=127.0.0.1:$((port + 1)) --http-addr=127.0.0.1:$((8080 + i)) &
	pids+=($!)
done
if [ ! -e "$data/initialized" ]; then
	for _ in $(seq 50); do
		./bin/pamir init --insecure --host=127.0.0.1:26358 2>/dev/null && touch "$data/initialized" && break
		sleep 0.1
	done
fi
wait
