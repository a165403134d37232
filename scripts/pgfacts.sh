#!/bin/sh
# Dumps PostgreSQL 15's built-in catalog rows into sql/pgfacts/tsv. The server
# is named by the usual PGHOST, PGPORT, PGUSER; it should be freshly initialized.
set -eu
out=$(dirname "$0")/../sql/pgfacts/tsv
mkdir -p "$out"
db=${PGDATABASE:-template1}
q() { psql -X -q -At -d "$db" -c "$1"; }

dump() { # table, condition
	table=$1 cond=$2
	# reg* columns are dumped as numbers, expressions as SQL text.
	cols=$(q "select string_agg(case
		when t.typname like 'reg%' then quote_ident(attname)||'::oid'
		when attname = 'proargdefaults' then 'pg_get_expr(proargdefaults,0) as proargdefaults'
		when t.typname = 'pg_node_tree' then 'null as '||quote_ident(attname)
		else quote_ident(attname) end, ',' order by attnum)
		from pg_attribute a join pg_type t on t.oid=atttypid
		where attrelid='pg_catalog.$table'::regclass and attnum>0 and not attisdropped")
	order=$(q "select string_agg(attname, ',' order by attnum) from pg_attribute
		where attrelid='pg_catalog.$table'::regclass and attnum between 1 and 3")
	if [ "$table" = pg_description ]; then order="objoid,classoid,objsubid"; fi
	{
		q "select string_agg(attname||':'||atttypid, E'\t' order by attnum) from pg_attribute
			where attrelid='pg_catalog.$table'::regclass and attnum>0 and not attisdropped"
		q "copy (select $cols from pg_catalog.$table where $cond order by $order) to stdout"
	} > "$out/$table.tsv"
}

dump pg_type "oid < 10000 or (typnamespace = 11 and oid < 16384)"
dump pg_proc "oid < 16384 and pronamespace = 11"
dump pg_operator "oid < 16384"
dump pg_cast "oid < 16384"
dump pg_aggregate "aggfnoid::oid < 16384"
dump pg_opclass "oid < 16384"
dump pg_opfamily "oid < 16384"
dump pg_amop "oid < 16384"
dump pg_amproc "oid < 16384"
dump pg_am "oid < 16384"
dump pg_language "oid < 16384"
dump pg_collation "oid < 12000"
dump pg_range "rngtypid < 16384"
dump pg_namespace "oid < 16384 and nspname in ('pg_catalog','pg_toast','public','information_schema')"
dump pg_description "objoid < 16384 and classoid in ('pg_proc'::regclass,'pg_type'::regclass,'pg_operator'::regclass,'pg_am'::regclass,'pg_language'::regclass,'pg_namespace'::regclass,'pg_database'::regclass)"

# Columns of the catalog relations themselves, for the virtual tables.
{
	printf 'relid:26\trelname:19\tnspname:19\trelkind:18\treltype:26\tattnum:21\tattname:19\tatttypid:26\tatttypmod:23\tattnotnull:16\n'
	q "copy (select c.oid,c.relname,n.nspname,c.relkind,c.reltype,a.attnum,a.attname,a.atttypid,a.atttypmod,a.attnotnull
		from pg_class c join pg_namespace n on n.oid=c.relnamespace join pg_attribute a on a.attrelid=c.oid
		where n.nspname in ('pg_catalog','information_schema') and c.relkind in ('r','v') and a.attnum>0 and c.oid<16384
		order by n.nspname desc,c.relname,a.attnum) to stdout"
} > "$out/relations.tsv"
