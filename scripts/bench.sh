#!/usr/bin/env bash
# Pamir and PostgreSQL side by side on this machine, by PostgreSQL's own tools;
# prints tables of figures and ratios. Both are durable: PostgreSQL with its
# defaults (fsync on), Pamir with its own. Figures of a shared machine are noisy,
# so each case runs on both in turn, several times, and the means are compared.
# Before that both warm up; a cluster for longer, until leases are where the
# clients are.
#
#   scripts/bench.sh [case...]   cases: select tpcb insert copy start idle cluster
#   SECONDS_EACH=5 ROUNDS=3 SCALE=10   seconds for each run, runs, pgbench's scale
#   WARMUP=3 CLUSTER_WARMUP=20         seconds of load before the runs of a case
set -euo pipefail
cd "$(dirname "$0")/.."
secs=${SECONDS_EACH:-5}
rounds=${ROUNDS:-3}
scale=${SCALE:-10}
warmup=${WARMUP:-3} cluster_warmup=${CLUSTER_WARMUP:-20}
cases=${*:-select tpcb insert copy start idle cluster}
pgbin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1 || true)
[ -n "$pgbin" ] || { echo "bench: PostgreSQL is not installed (on Debian: apt-get install postgresql)"; exit 1; }
work=$(mktemp -d)
pg_port=55499 pm_port=26457
pids=()

as_pg() { if [ "$(id -u)" = 0 ]; then su postgres -s /bin/bash -c "$*"; else bash -c "$*"; fi; }
cleanup() {
	kill "${pids[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
	[ -d "$work/pg" ] && as_pg "$pgbin/pg_ctl -D $work/pg -m immediate stop" >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap cleanup EXIT

chmod 755 "$work"
mkdir "$work/pg" && { [ "$(id -u)" != 0 ] || chown postgres "$work/pg"; }
as_pg "$pgbin/initdb -D $work/pg -U root --auth=trust -E UTF8 --locale=C" >/dev/null
as_pg "$pgbin/pg_ctl -D $work/pg -o '-p $pg_port -k $work/pg -c max_connections=200' -l $work/pg/log -w start" >/dev/null
"$pgbin/createdb" -h 127.0.0.1 -p $pg_port -U root defaultdb

wait_sql() { for _ in $(seq 600); do psql -h 127.0.0.1 -p "$1" -U root -d defaultdb -Atqc 'select 1' >/dev/null 2>&1 && return 0; sleep 0.05; done; echo "bench: nothing serves on port $1"; exit 1; }

start_single() {
	./bin/pamir start-single-node --insecure --store="$work/single" --sql-addr=127.0.0.1:$pm_port --http-addr=127.0.0.1:8477 --log-level=error >/dev/null 2>"$work/single.log" &
	pids+=($!); single=$!
	wait_sql $pm_port
}
start_cluster() {
	local join=127.0.0.1:26558,127.0.0.1:26568,127.0.0.1:26578
	for i in 1 2 3; do
		local p=$((26547 + 10 * i))
		./bin/pamir start --insecure --store="$work/n$i" --join=$join --sql-addr=127.0.0.1:$p --listen-addr=127.0.0.1:$((p + 1)) --http-addr=127.0.0.1:$((8570 + i)) --log-level=error >/dev/null 2>"$work/n$i.log" &
		pids+=($!)
	done
	for _ in $(seq 100); do ./bin/pamir init --insecure --host=127.0.0.1:26558 >/dev/null 2>&1 && break; sleep 0.1; done
	wait_sql 26557
	# Measure the cluster that it will be: every range on three nodes.
	for _ in $(seq 120); do
		[ "$(psql -h 127.0.0.1 -p 26557 -U root -d defaultdb -Atqc 'select count(*) from pamir_internal.ranges where cardinality(replicas) < 3' 2>/dev/null)" = 0 ] && return 0
		sleep 0.5
	done
	echo "bench: the ranges did not reach three replicas"; exit 1
}

# tps PORT ARGS...: transactions per second of one pgbench run.
tps() { local port=$1; shift; "$pgbin/pgbench" -h 127.0.0.1 -p "$port" -U root -n -T "$secs" "$@" defaultdb 2>"$work/err" | sed -n 's/^tps = \([0-9.]*\).*/\1/p' || { cat "$work/err" >&2; echo 0; }; }
ratio() { awk -v a="${1:-0}" -v b="${2:-0}" 'BEGIN { if (b > 0) printf "%.2f", a / b; else printf "-" }'; }
row() { printf '%-44s %12s %12s %8s\n' "$1" "$2" "$3" "$(ratio "$2" "$3")"; }
# versus LABEL PORT ARGS...: the mean of some runs of pgbench, on both in turn.
versus() {
	local label=$1 port=$2 ours=0 theirs=0; shift 2
	secs=$warmup tps "$port" "$@" >/dev/null
	secs=$warmup tps $pg_port "$@" >/dev/null
	for _ in $(seq "$rounds"); do
		ours=$(awk -v s="$ours" -v t="$(tps "$port" "$@")" -v n="$rounds" 'BEGIN { printf "%.0f", s + t / n }')
		theirs=$(awk -v s="$theirs" -v t="$(tps $pg_port "$@")" -v n="$rounds" 'BEGIN { printf "%.0f", s + t / n }')
	done
	row "$label" "$ours" "$theirs"
}
head_row() { printf '\n%-44s %12s %12s %8s\n' "$1" "Pamir" "PostgreSQL" "ratio"; }
init() { "$pgbin/pgbench" -h 127.0.0.1 -p "$1" -U root -i -q -s "$scale" defaultdb >"$work/init.$1" 2>&1 || { cat "$work/init.$1"; exit 1; }; }
insert_table() { psql -h 127.0.0.1 -p "$1" -U root -d defaultdb -q -c 'set client_min_messages = error' -c 'drop table if exists bench_insert' -c 'create table bench_insert (k bigint primary key, v text)'; }
cat >"$work/insert.sql" <<'SQL'
\set k random(1, 9000000000000000)
insert into bench_insert values (:k, 'a row of the insert benchmark') on conflict do nothing;
SQL

has() { [[ " $cases " == *" $1 "* ]]; }

if has start; then
	head_row "start to first query, ms"
	now() { date +%s%N; }
	t=$(now); start_single; fresh=$((($(now) - t) / 1000000))
	kill -TERM "$single"; wait "$single" || true
	t=$(now); start_single; again=$((($(now) - t) / 1000000))
	printf '%-44s %12s\n%-44s %12s\n' "fresh store" "$fresh" "existing store" "$again"
else
	start_single
fi
if has select || has tpcb; then init $pg_port; init $pm_port; fi
if has select; then
	head_row "pgbench -S, 8 clients, single node, tps"
	for m in simple extended prepared; do versus "$m" $pm_port -S -c 8 -j 2 -M $m; done
fi
if has tpcb; then
	head_row "pgbench default script, single node, tps"
	for c in 8 32; do versus "$c clients" $pm_port -c $c -j 2; done
fi
if has copy; then
	head_row "COPY of 1,000,000 pgbench rows, rows/s"
	seq 1 1000000 | awk '{ printf "%d\t%d\t0\t%84s\n", $1, int($1 / 100000) + 1, "" }' >"$work/rows"
	copy() {
		psql -h 127.0.0.1 -p "$1" -U root -d defaultdb -q -c 'set client_min_messages = error' -c 'drop table if exists bench_copy' -c 'create table bench_copy (aid int not null primary key, bid int, abalance int, filler char(84))'
		local t; t=$(date +%s%N)
		psql -h 127.0.0.1 -p "$1" -U root -d defaultdb -q -c "\\copy bench_copy from '$work/rows'"
		echo $((1000000 * 1000 / (($(date +%s%N) - t) / 1000000)))
	}
	row "single node, with primary key" "$(copy $pm_port)" "$(copy $pg_port)"
fi
if has cluster || has insert; then
	start_cluster
	warmup=$cluster_warmup
	insert_table 26557; insert_table $pg_port
	head_row "single-row autocommit insert, 64 clients, tps"
	versus "three nodes (PostgreSQL: one)" 26557 -c 64 -j 2 -f "$work/insert.sql"
fi
if has cluster; then
	init 26557; has tpcb || has select || init $pg_port
	head_row "pgbench default script, three nodes, tps"
	for c in 8 32; do versus "$c clients" 26557 -c $c -j 2; done
fi
if has idle; then
	./bin/pamir demo --sql-addr=127.0.0.1:26657 --http-addr=127.0.0.1:8677 </dev/null >/dev/null 2>&1 &
	demo=$!; pids+=($demo)
	wait_sql 26657; sleep 5
	ticks() { awk '{ print $14 + $15 }' "/proc/$demo/stat"; }
	a=$(ticks); sleep 10; b=$(ticks)
	printf '\n%-44s %12s\n%-44s %12s\n' "idle demo of three nodes: MB resident" "$(awk '/VmRSS/ { printf "%d", $2 / 1024 }' "/proc/$demo/status")" \
		"idle demo of three nodes: % of one core" "$(awk -v t=$((b - a)) -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.1f", t / hz / 10 * 100 }')"
fi
