# --- PostgreSQL's files -----------------------------------------------------------------------------------------------

# Asks the container's PostgreSQL; prints nothing while none runs (the socket's port is the fourth line of its pid file).
sql() {
  timeout 30 docker exec "$container" sh -c 'port=$(sed -n 4p "$PGDATA/postmaster.pid" 2>/dev/null)
    [ -z "$port" ] || psql -X -q -At -v ON_ERROR_STOP=1 -h /run/heatwave/sql -p "$port" -U postgres -d postgres -c "$1"' sh "$1"
}

# A folder that looks like this cluster's data to everything that runs before recovery, and its removal.
with_scratch() {
  inside bash -c 'set -eu
    bin=/usr/lib/postgresql/18/bin
    export LC_ALL=C
    scratch=$(mktemp -d /tmp/heatwave-check.XXXXXX)
    trap "rm -rf $scratch" EXIT
    ulimit -c 0
    chmod 0700 "$scratch"
    if [ -s "$PGDATA/global/pg_control" ]; then
      (cd "$PGDATA" && find . -maxdepth 2 -type d ! -path "./base/*" ! -path "./pg_wal/*" ! -path "./pg_tblspc/*" ! -path "./pg_replslot/*") | (cd "$scratch" && xargs mkdir -p)
      cp "$PGDATA/PG_VERSION" "$scratch" && cp "$PGDATA/global/pg_control" "$scratch/global"
    fi
    '"$1" bash "$2"
}

# As far as a start goes without data: every value, what they say together, the libraries, the memory they need.
check_postgresql_conf() {
  # shellcheck disable=SC2016  # expanded in the container
  with_scratch '
    if [ -s "$scratch/PG_VERSION" ]; then what=shared_memory_size; else what=shared_buffers; fi
    if ! size=$("$bin/postgres" -D "$scratch" -c config_file="$1" -C "$what" 2>"$scratch/log"); then
      grep -v "skipping missing configuration file" "$scratch/log" >&2
      exit 1
    fi
    memory=$(($(sed -n "s/^MemTotal: *\([0-9]*\) kB/\1/p" /proc/meminfo) / 1024))
    if [ "$what" = shared_memory_size ] && [ "$size" -ge "$memory" ]; then
      echo "it asks for $size MB of shared memory, and the host has $memory MB; fix: lower shared_buffers or max_connections" >&2
      exit 1
    fi' "$1"
}

# pg_hba.conf and pg_ident.conf have no check mode: a server is started on no data, which ends at its first look at WAL,
# after it has loaded them.
check_by_start() {
  inside sh -c '[ -s "$PGDATA/global/pg_control" ]' || return 0
  # shellcheck disable=SC2016  # expanded in the container
  with_scratch '
    hba=/etc/heatwave/pg_hba.conf ident=/etc/heatwave/pg_ident.conf
    case ${1##*/} in .pg_ident*) ident=$1 ;; *) hba=$1 ;; esac
    timeout 20 "$bin/postgres" -D "$scratch" -c config_file=/etc/heatwave/postgresql.conf -c hba_file="$hba" \
      -c ident_file="$ident" -c listen_addresses= -c unix_socket_directories="$scratch" -c logging_collector=off \
      -c log_destination=stderr -c lc_messages=C >"$scratch/log" 2>&1 || :
    if grep -q "could not load" "$scratch/log" || ! grep -q "database system was" "$scratch/log"; then
      grep -e LOG: -e CONTEXT: -e FATAL: "$scratch/log" | grep -v -e "starting PostgreSQL" -e "listening on" -e "is shut down" \
        -e "skipping missing" | sed "s/^.*\(LOG\|CONTEXT\|FATAL\): *//" >&2
      exit 1
    fi
    # What the server leaves out, or can never match, it only logs.
    if grep -q "configuration file \"$1\"" "$scratch/log"; then
      grep -B 2 "configuration file \"$1\"" "$scratch/log" | sed -n "s/^.*\(LOG\|HINT\|CONTEXT\): *//p" | grep -v "^listening on" >&2
      exit 1
    fi' "$1"
}

# Returns once a new session sees the reload: the postmaster has read its files by then, pg_hba.conf too.
reload_postgres() {
  await 30 sql 'select 1' || {
    echo 'PostgreSQL does not answer on its socket'
    return 1
  }
  loaded=$(sql 'select pg_conf_load_time() from pg_reload_conf()') || return 1
  # Not running: it reads them at its start.
  [ -n "$loaded" ] || return 0
  await 10 loaded_since "$loaded" || {
    echo 'PostgreSQL did not load its configuration again within 10 s'
    return 1
  }
}

loaded_since() { [ "$(sql "select pg_conf_load_time() > '$1'")" = t ]; }

# Does the server see this very file ($1: the parameter that names it)?
same_file() {
  echo "select 'wrong: PostgreSQL reads another $1 than $target'
         where encode(sha256(pg_read_binary_file(current_setting('$1'))), 'hex') <> '$(sum "$target")'"
}

# Prints what a query found: lines with `wrong: ` fail.
findings() {
  found=$(sql "$1") || {
    printf '%s\n' "$found"
    return 1
  }
  [ -z "$found" ] || printf '%s\n' "$found" | sed 's/^wrong: //'
  case $found in 'wrong: '* | *'
wrong: '*) return 1 ;; esac
}

verify_postgresql_conf() {
  findings "
    $(same_file config_file)
    union all
    select format('wrong: %s, line %s: %s', f.sourcefile, f.sourceline, concat_ws(': ', f.name, f.error))
      from pg_file_settings f left join pg_settings s using (name)
     where f.error is not null and s.context is distinct from 'postmaster'
    union all
    select format('wrong: %s is not what %s, line %s says', s.name, f.sourcefile, f.sourceline)
      from pg_file_settings f join pg_settings s using (name)
     where f.applied and f.error is null and s.source in ('default', 'configuration file')
       and (s.sourcefile, s.sourceline) is distinct from (f.sourcefile, f.sourceline)
    -- What the operator has to know, though nothing failed.
    union all
    select format('warning: %s = %s does not count at %s: ALTER SYSTEM has set %s; fix: ALTER SYSTEM RESET %s, then SELECT pg_reload_conf()',
                  f.name, f.setting, current_setting('cluster_name'), g.setting, f.name)
      from pg_file_settings f join pg_file_settings g on g.name = f.name and g.seqno > f.seqno
     where g.sourcefile like '%postgresql.auto.conf' and f.sourcefile = current_setting('config_file')
    union all
    select format('%s = %s takes effect at the next restart of PostgreSQL at %s; until then it is %s%s', s.name, after.value,
                  current_setting('cluster_name'), current_setting(s.name),
                  case when s.name not in ('max_connections', 'max_worker_processes', 'max_wal_senders',
                                           'max_prepared_transactions', 'max_locks_per_transaction') then ''
                       when after.value::bigint > s.setting::bigint then ' (raised: restart the standbys before the primary)'
                       else ' (lowered: restart the primary before the standbys)' end)
      from pg_settings s
     cross join lateral (select coalesce((select f.setting from pg_file_settings f where f.name = s.name
                                           order by f.seqno desc limit 1), s.boot_val) as value) after
     where s.pending_restart"
}

verify_rules() {
  view=pg_hba_file_rules
  [ "$kind" = hba ] || view=pg_ident_file_mappings
  declared=$(grep -c -v -e '^[[:space:]]*#' -e '^[[:space:]]*$' "$target" || :)
  findings "
    $(same_file "${kind}_file")
    union all
    select format('wrong: line %s: %s', line_number, error) from $view where error is not null
    union all
    select format('wrong: PostgreSQL sees %s rules, not the $declared of $target', count(*)) from $view having count(*) <> $declared"
}
