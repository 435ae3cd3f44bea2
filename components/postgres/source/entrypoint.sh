#!/usr/bin/env bash
# The muscle of a site: the PostgreSQL container's command. It lives as long as the container does, starts and stops
# PostgreSQL when pg-health (the brain, in its own container on the same host) orders it, and decides nothing itself.
#
#   entrypoint.sh          run (under docker's --init, as user postgres)
#   entrypoint.sh ping     exit 0 when the loop of the running entrypoint answers: the container's healthcheck
#   entrypoint.sh passfile    give the standby's next login the replication password that is on disk now
#
# Orders are lines in the FIFO $HEATWAVE_RUN/orders: "<id> <verb> [argument …]", at most 4096 bytes:
#   start standby | start primary UNTIL     stop [fast|immediate]     reload     promote
#   lease UNTIL               a primary that does not accept connections by then (seconds since boot) is stopped again
#   signal on|off             make or remove standby.signal, while PostgreSQL does not run
#   initdb                    a new cluster in the scratch directory
#   basebackup HOST PORT USER SLOT APPLICATION_NAME [MAX_RATE]     a standby's data in the scratch directory
#   adopt                     the scratch directory becomes the data directory
#   discard                   drop the scratch directory          cancel    end the operation that runs
#   aside ID | restore ID | forget ID     the data directory is put aside, back, or what was put aside is deleted
#   rewind ID HOST PORT USER SLOT APPLICATION_NAME BYTES     a standby's data in the scratch directory, from what was put
#                             aside, unless that would copy more than BYTES (renew.sh)
# Answers are in $HEATWAVE_RUN/status.json, replaced by rename:
#   state       waiting | starting | running | stopping | stopped | crashed | busy:<verb>
#   postgres    the same without busy     pid, exitCode   of the postmaster (null when there is none)
#   order       {id, verb, result: running | done | failed | refused, message} of the last order
#   heartbeat   seconds since the host booted, renewed every 2 s; 0 after leaving     incarnation   new at each start of this script
# shellcheck disable=SC2015  # A && B || fail: fail never returns
set -u -o pipefail

RUN=${HEATWAVE_RUN:-/run/heatwave}
SECRETS=${HEATWAVE_SECRETS:-/run/heatwave-secrets}
CONF=${HEATWAVE_CONF:-/etc/heatwave}
PGDATA=${PGDATA:-/var/lib/postgresql/18/docker}
SCRATCH=$PGDATA.scratch
ORDERS=$RUN/orders
STATUS=$RUN/status.json
PASSFILE=$RUN/replication.pgpass
OPERATION_LOG=$RUN/operation.log
# What pg_basebackup and pg_rewind print once a second; pg-health reads it.
PROGRESS='^ *[0-9]*/[0-9]* kB '
PG_MAJOR=18
SELF=$0
# Debian's wrappers in /usr/bin look for clusters of their own; only the real binaries are used.
PG_BIN=${HEATWAVE_PG_BIN:-/usr/lib/postgresql/$PG_MAJOR/bin}
export PGDATA

say() { printf 'entrypoint: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
uptime_seconds() { local up; read -r up _ </proc/uptime; printf '%s' "$up"; }
# Hundredths of a second as a whole number: the shell knows no fractions.
hundredths() { local whole=${1%.*} rest=${1#*.}; [[ $1 == *.* ]] || rest=0; rest=${rest}00; printf '%s' "$((10#$whole * 100 + 10#${rest:0:2}))"; }
has_data() { [[ -s $PGDATA/PG_VERSION ]]; }

# --- ping ------------------------------------------------------------------------------------------------------------

# The answer comes back through a FIFO of the asker's own, so that it proves a turn of the loop, not a file's presence.
ping_main() {
  local answer=
  reply=$RUN/ping.$BASHPID # global: the trap runs after this function
  [[ -p $ORDERS ]] || die "ping: $ORDERS is not there: the entrypoint has not started"
  rm -f "$reply" && mkfifo -m 0600 "$reply" || die "ping: cannot make $reply"
  trap 'rm -f "$reply"' EXIT
  # Opened for reading and writing: neither side can block on a missing partner.
  exec 4<>"$reply" 5<>"$ORDERS"
  printf -- '- ping %s\n' "${reply##*/}" >&5
  IFS= read -r -t "${HEATWAVE_PING_SECONDS:-3}" -u 4 answer && [[ $answer == pong* ]] \
    || die "ping: no answer within ${HEATWAVE_PING_SECONDS:-3} s"
  printf '%s\n' "$answer"
}

answer_ping() {
  [[ ${1:-} =~ ^ping\.[0-9]+$ && -p $RUN/$1 ]] || return 0
  { printf 'pong %s\n' "$(state)" >&4; } 4<>"$RUN/$1" 2>/dev/null
}

# --- status ----------------------------------------------------------------------------------------------------------

postgres_state=waiting postmaster='' exit_code='' generation=0
operation='' operation_pid='' operation_tag=none operation_order='' cancelled=''
order_id='' order_verb='' order_result='' order_message=''
postgres_generation=0 stop_asked='' stop_order='' lease='' leaving=''

state() { if [[ -n $operation ]]; then printf 'busy:%s' "$operation"; else printf '%s' "$postgres_state"; fi; }

json_string() {
  local s=${1//\\/\\\\}
  s=${s//\"/\\\"}
  printf '"%s"' "${s//[[:cntrl:]]/ }"
}

write_status() {
  local order=null heartbeat=0
  # The last words are marked: who reads them must neither take this for an entrypoint that answers nor order a start.
  if [[ -z $leaving || -n $operation ]] || alive; then heartbeat=$(uptime_seconds); fi
  [[ -n $order_id ]] && order="{\"id\":$(json_string "$order_id"),\"verb\":$(json_string "$order_verb"),\"result\":\"$order_result\",\"message\":$(json_string "$order_message")}"
  printf '{"state":"%s","postgres":"%s","pid":%s,"exitCode":%s,"order":%s,"heartbeat":%s,"incarnation":"%s"}\n' \
    "$(state)" "$postgres_state" "${postmaster:-null}" "${exit_code:-null}" "$order" "$heartbeat" "$incarnation" \
    >"$STATUS.new" && mv -f "$STATUS.new" "$STATUS"
}

finish_order() { # id result message
  [[ -n $1 ]] || return 0
  # A later order may have taken the place of the one that ends now; only the last one is reported.
  [[ $order_id == "$1" ]] && order_result=$2 order_message=$3
  say "order $1 $2${3:+: $3}"
}

# --- PostgreSQL ------------------------------------------------------------------------------------------------------

write_passfile() {
  local password
  [[ -r $SECRETS/replication-password ]] || return 0
  password=$(<"$SECRETS/replication-password")
  # pgpass(5): backslash and colon are escaped by a backslash. Host and port stay open: a site may be re-addressed.
  password=${password//\\/\\\\}
  password=${password//:/\\:}
  (umask 077 && printf '*:*:*:*:%s\n' "$password" >"$PASSFILE.new" && mv -f "$PASSFILE.new" "$PASSFILE")
}

# A small parent for the command reports its pid and its end to the loop at once: bash's own SIGCHLD trap waits for the
# end of a `read`.
supervise() { # tag command [argument …]
  local tag=$1
  shift
  (
    trap : INT TERM
    "$@" 3>&- </dev/null &
    child=$!
    printf -- '- event %s pid %s\n' "$tag" "$child" >&3
    wait "$child"
    rc=$?
    # A signal to this parent ends `wait` early.
    while kill -0 "$child" 2>/dev/null; do
      wait "$child"
      rc=$?
    done
    printf -- '- event %s exit %s\n' "$tag" "$rc" >&3
  ) &
}

# A standby has to have these at least as high as its primary had them: else it refuses to start. Where its file has less
# (lowered before the primary was restarted, or not raised with it), it takes the primary's, which its control file knows.
primary_limits() { # sets the array limits
  local line label own needed
  limits=()
  while IFS= read -r line; do
    label=${line%% setting:*} needed=${line##* }
    case $label in
      max_prepared_xacts) label=max_prepared_transactions ;;
      max_locks_per_xact) label=max_locks_per_transaction ;;
      max_connections | max_worker_processes | max_wal_senders) ;;
      *) continue ;;
    esac
    own=$("$PG_BIN/postgres" -D "$PGDATA" -c "config_file=$CONF/postgresql.conf" -C "$label" 2>/dev/null)
    [[ $own =~ ^[0-9]+$ && $needed =~ ^[0-9]+$ ]] && ((own < needed)) || continue
    say "starts with $label = $needed, which the primary had, and not $own"
    limits+=(-c "$label=$needed")
  done < <(LC_ALL=C "$PG_BIN/pg_controldata" -D "$PGDATA" 2>/dev/null)
}

start_postgres() {
  local sockets=$RUN/sql limits=()
  [[ -e $PGDATA/standby.signal ]] && primary_limits
  # `docker exec … psql` looks where the image's libpq does.
  [[ -d /var/run/postgresql && -w /var/run/postgresql && -z ${HEATWAVE_PRIVATE_SOCKET:-} ]] && sockets+=,/var/run/postgresql
  write_passfile
  generation=$((generation + 1))
  postgres_generation=$generation postgres_state=starting postmaster='' exit_code='' stop_asked=''
  # The lock (9) goes along into every backend, so that the next entrypoint can tell whether anything of this one
  # still lives on the data.
  supervise "postgres.$generation" "$PG_BIN/postgres" -D "$PGDATA" -c "config_file=$CONF/postgresql.conf" \
    -c "hba_file=$CONF/pg_hba.conf" -c "ident_file=$CONF/pg_ident.conf" -c "unix_socket_directories=$sockets" "${limits[@]}"
}

postmaster_event() { # pid|exit value
  case $1 in
    pid)
      postmaster=$2
      say "postmaster $postmaster started"
      [[ -n $stop_asked ]] && kill "-$stop_asked" "$postmaster" 2>/dev/null
      ;;
    exit) postmaster_gone "$2" ;;
  esac
}

postmaster_gone() { # exit code
  say "postmaster ${postmaster:-?} ended with code $1"
  postmaster='' exit_code=$1
  if [[ -n $stop_asked || $1 == 0 ]]; then postgres_state=stopped; else postgres_state=crashed; fi
  if [[ -n $stop_asked ]]; then
    # A stop that ends in anything but 0 left no shutdown checkpoint: who waits for one must hear it.
    if [[ $1 == 0 ]]; then finish_order "$stop_order" "done" ''; else finish_order "$stop_order" failed "the postmaster ended with code $1"; fi
  fi
  stop_asked=
}

alive() { [[ $postgres_state == starting || $postgres_state == running || $postgres_state == stopping ]]; }

stop_postgres() { # INT|QUIT
  stop_asked=$1 postgres_state=stopping
  [[ -n $postmaster ]] && kill "-$1" "$postmaster" 2>/dev/null
  return 0
}

# It recovers before it opens, which may take long; who let it start may no longer be sure by then.
watch_lease() {
  [[ $postgres_state == starting && -n $lease && -z $stop_asked ]] || return 0
  (($(hundredths "$(uptime_seconds)") > $(hundredths "$lease"))) || return 0
  say "the lease to start as primary ended at $lease: stopping"
  stop_order=
  stop_postgres QUIT
  write_status
}

# postmaster.pid's eighth line is the postmaster's own word on whether it accepts connections.
look_for_ready() {
  local line=() pidfile=$PGDATA/postmaster.pid
  [[ $postgres_state == starting && -n $postmaster && -r $pidfile ]] || return 0
  mapfile -t line 2>/dev/null <"$pidfile"
  if [[ ${line[0]:-} == "$postmaster" && ${line[7]:-} == ready* ]]; then
    postgres_state=running
    say "PostgreSQL accepts connections"
    write_status
  fi
}

# --- operations: long, in the background, one at a time --------------------------------------------------------------

run_operation() { # verb [argument …]
  generation=$((generation + 1))
  operation=$1 operation_tag=operation.$generation operation_order=$order_id operation_pid='' cancelled=''
  # A session of its own, so that cancelling reaches pg_basebackup's WAL child too.
  supervise "$operation_tag" setsid "$BASH" "$SELF" operation "$@" 9>&- >"$OPERATION_LOG" 2>&1
}

cancel_operation() {
  cancelled=1
  [[ -n $operation_pid ]] && kill -TERM -- "-$operation_pid" 2>/dev/null
  return 0
}

operation_event() { # pid|exit value
  local message
  if [[ $1 == pid ]]; then
    operation_pid=$2
    [[ -n $cancelled ]] && cancel_operation
    return 0
  fi
  grep -v "$PROGRESS" "$OPERATION_LOG" >&2
  operation='' operation_pid=''
  if [[ $2 == 0 ]]; then
    finish_order "$operation_order" "done" ''
  elif [[ -n $cancelled ]]; then
    finish_order "$operation_order" failed cancelled
  else
    message=$(grep -E 'rror:|FATAL|ERROR|PANIC' "$OPERATION_LOG" | tail -n 1)
    [[ -n $message ]] || message=$(tail -n 1 "$OPERATION_LOG")
    finish_order "$operation_order" failed "code $2: ${message:0:400}"
  fi
}

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

scratch_is_new() {
  rm -rf -- "$SCRATCH" && mkdir -p -- "${SCRATCH%/*}" || fail "cannot clear $SCRATCH"
}

operation_initdb() {
  [[ -r $SECRETS/superuser-password ]] || fail "$SECRETS/superuser-password cannot be read"
  scratch_is_new
  # The built-in collation provider sorts the same in every image: no index breaks when the C library changes.
  "$PG_BIN/initdb" -D "$SCRATCH" --username=postgres --pwfile="$SECRETS/superuser-password" \
    --auth-local=peer --auth-host=scram-sha-256 --data-checksums --encoding=UTF8 \
    --locale=C.UTF-8 --locale-provider=builtin --builtin-locale=C.UTF-8 --no-instructions
}

# The slot is named by place and only a standby of this place reads it: before a new base backup its content is worth
# nothing, so one that holds no WAL (unreserved, or invalidated) is made again, reserved.
ensure_slot() { # conninfo slot
  local psql=("$PG_BIN/psql" -X -q -A -t -v VERBOSITY=verbose -d "$1 replication=true") out held
  out=$("${psql[@]}" -c "CREATE_REPLICATION_SLOT \"$2\" PHYSICAL RESERVE_WAL" 2>&1) && return 0
  [[ $out == *42710* ]] || { printf '%s\n' "$out" >&2; return 3; }
  held=$("${psql[@]}" -c "READ_REPLICATION_SLOT \"$2\"") || return 3
  [[ ${held#*|} == '|'* ]] || return 0
  "${psql[@]}" -c "DROP_REPLICATION_SLOT \"$2\"" && "${psql[@]}" -c "CREATE_REPLICATION_SLOT \"$2\" PHYSICAL RESERVE_WAL" || return 3
}

operation_basebackup() { # host port user slot application-name [max-rate]
  local host=${1:-} port=${2:-} user=${3:-} slot=${4:-} name=${5:-} rate=${6:-}
  [[ $host =~ ^[A-Za-z0-9._:-]+$ && $port =~ ^[0-9]+$ && $user =~ ^[a-z0-9_]+$ && $slot =~ ^[a-z0-9_]+$ && $name =~ ^[A-Za-z0-9._-]+$ && $rate =~ ^([0-9]+[kM]?)?$ ]] \
    || fail "basebackup takes HOST PORT USER SLOT APPLICATION_NAME [MAX_RATE]"
  [[ -r $SECRETS/replication-password ]] || fail "$SECRETS/replication-password cannot be read"
  write_passfile
  scratch_is_new
  local conninfo="host=$host port=$port user=$user passfile=$PASSFILE application_name=$name connect_timeout=10"
  conninfo+=" keepalives_idle=10 keepalives_interval=5 keepalives_count=3"
  ensure_slot "$conninfo" "$slot" || exit 3
  "$PG_BIN/pg_basebackup" -D "$SCRATCH" -d "$conninfo" --format=plain --wal-method=stream --checkpoint=fast \
    --slot="$slot" --no-password --progress ${rate:+--max-rate="$rate"} || exit 4
  # It is a standby before it is the data directory: nothing can ever start it writable by mistake.
  : >"$SCRATCH/standby.signal" && sync "$SCRATCH/standby.signal" "$SCRATCH" || exit 4
}

operation_adopt() {
  [[ -s $SCRATCH/PG_VERSION && -s $SCRATCH/global/pg_control ]] || fail "$SCRATCH holds no cluster"
  if [[ -e $PGDATA ]]; then rmdir -- "$PGDATA" || fail "$PGDATA is not empty"; fi
  sync "$SCRATCH/PG_VERSION" "$SCRATCH/global/pg_control" "$SCRATCH" || fail "cannot sync $SCRATCH"
  mv -T -- "$SCRATCH" "$PGDATA" && sync "${PGDATA%/*}" || fail "cannot rename $SCRATCH to $PGDATA"
}

# Ends when the control file says "in production". A PostgreSQL that has no room for it ends instead.
operation_promote() {
  local looks=0 pid=''
  read -r pid <"$PGDATA/postmaster.pid" || fail "$PGDATA/postmaster.pid is gone: PostgreSQL ended"
  until [[ $(LC_ALL=C "$PG_BIN/pg_controldata" -D "$PGDATA" 2>/dev/null) == *"cluster state: "*"in production"* ]]; do
    kill -0 "$pid" 2>/dev/null || fail "PostgreSQL ended in the middle of the promotion"
    ((++looks < 600)) || fail "still in recovery 60 s after the promotion"
    sleep 0.1
  done
}

operation_discard() { rm -rf -- "$SCRATCH"; }

#include renew.sh

# --- orders ----------------------------------------------------------------------------------------------------------

refuse() { finish_order "$order_id" refused "$1"; }

take_order() { # id verb [argument …]
  local id=$1 verb=$2
  shift 2
  order_id=$id order_verb=$verb order_result=running order_message=''
  say "order $id: $verb $*"
  if [[ -n $leaving ]]; then refuse "the container is stopping"; return; fi
  case $verb in
    start)
      if [[ -n $operation ]]; then refuse "busy: $operation"
      elif [[ $postgres_state == stopping ]]; then refuse "PostgreSQL is stopping"
      elif alive; then finish_order "$id" "done" "already $postgres_state"
      elif ! has_data; then refuse "$PGDATA holds no cluster"
      elif [[ $(<"$PGDATA/PG_VERSION") != "$PG_MAJOR" ]]; then refuse "$PGDATA is of PostgreSQL $(<"$PGDATA/PG_VERSION"), this is $PG_MAJOR"
      # The role in the order is a second lock: what would start must be what the brain decided on.
      elif [[ ${1:-} == primary && -e $PGDATA/standby.signal ]]; then refuse "standby.signal is there: this would not start as primary"
      elif [[ ${1:-} == standby && ! -e $PGDATA/standby.signal ]]; then refuse "standby.signal is missing: this would start writable"
      elif [[ ${1:-} != standby && ! (${1:-} == primary && ${2:-} =~ ^[0-9]+(\.[0-9]+)?$) ]]; then refuse "start takes standby, or primary and the end of its lease"
      else
        lease=${2:-}
        start_postgres
        finish_order "$id" "done" ''
      fi
      ;;
    lease)
      if [[ ! ${1:-} =~ ^[0-9]+(\.[0-9]+)?$ ]]; then refuse "lease takes seconds since boot"
      else
        lease=$1
        finish_order "$id" "done" ''
      fi
      ;;
    signal)
      if [[ -n $operation ]]; then refuse "busy: $operation"
      elif alive; then refuse "PostgreSQL is $postgres_state"
      elif ! has_data; then refuse "$PGDATA holds no cluster"
      elif [[ ${1:-} == on ]] && : >"$PGDATA/standby.signal" && sync "$PGDATA/standby.signal" "$PGDATA"; then finish_order "$id" "done" ''
      elif [[ ${1:-} == off ]] && rm -f -- "$PGDATA/standby.signal" && sync "$PGDATA"; then finish_order "$id" "done" ''
      else refuse "signal takes on or off, and $PGDATA has to be writable"; fi
      ;;
    promote)
      if [[ -n $operation ]]; then refuse "busy: $operation"
      elif [[ $postgres_state != running ]]; then refuse "PostgreSQL is $postgres_state"
      elif [[ ! -e $PGDATA/standby.signal ]]; then refuse "standby.signal is missing: this is no standby"
      # As pg_promote() does it; what runs on only waits for its end.
      elif : >"$PGDATA/promote" && kill -USR1 "$postmaster"; then run_operation promote
      else
        rm -f -- "$PGDATA/promote"
        refuse "$PGDATA/promote cannot be written, or the postmaster is gone"
      fi
      ;;
    stop)
      if [[ ${1:-fast} != fast && ${1:-fast} != immediate ]]; then refuse "stop takes fast or immediate"; return; fi
      if alive; then
        stop_order=$id
        if [[ ${1:-fast} == fast ]]; then stop_postgres INT; else stop_postgres QUIT; fi
      else
        [[ $postgres_state == crashed ]] || postgres_state=stopped
        finish_order "$id" "done" "not running"
      fi
      ;;
    reload)
      if [[ -n $postmaster ]]; then
        write_passfile
        kill -HUP "$postmaster" && finish_order "$id" "done" ''
      else refuse "PostgreSQL is $postgres_state"; fi
      ;;
    initdb | basebackup | adopt | discard | aside | restore | forget | rewind)
      if [[ -n $operation ]]; then refuse "busy: $operation"
      elif [[ $verb == adopt || $verb == aside || $verb == restore ]] && alive; then refuse "PostgreSQL is $postgres_state"
      elif [[ $verb == initdb ]] && has_data; then refuse "$PGDATA holds a cluster"
      else run_operation "$verb" "$@"; fi
      ;;
    cancel)
      if [[ -n $operation ]]; then cancel_operation; fi
      finish_order "$id" "done" ''
      ;;
    *) refuse "unknown order" ;;
  esac
}

handle_line() {
  local word=()
  read -r -a word <<<"$1"
  ((${#word[@]} >= 2)) || return 0
  case ${word[1]} in
    ping) answer_ping "${word[2]:-}"; return ;;
    event)
      case ${word[2]:-} in
        "postgres.$postgres_generation") postmaster_event "${word[@]:3}" ;;
        "$operation_tag") operation_event "${word[@]:3}" ;;
        signal) leave ;;
      esac
      ;;
    *) take_order "${word[@]}" ;;
  esac
  write_status
}

# --- life ------------------------------------------------------------------------------------------------------------

leave() {
  say "asked to leave"
  leaving=1
  [[ -n $operation ]] && cancel_operation
  if alive && [[ -z $stop_asked ]]; then
    stop_order=
    stop_postgres INT
  fi
}

main() {
  mkdir -p -- "$RUN/sql" "${PGDATA%/*}" || die "cannot make $RUN/sql and ${PGDATA%/*}: are they owned by $(id -u):$(id -g)?"
  # Held by this process and, through inheritance, by PostgreSQL down to its last backend. Whoever gets it knows that
  # nothing on this host uses the data any more, so a postmaster.pid that is still there is stale (after kill -9). So
  # are the sockets' lock files: they hold a process id of another container, which some process here may have now.
  exec 9>"$PGDATA.lock"
  flock -w "${HEATWAVE_LOCK_SECONDS:-30}" 9 || die "$PGDATA.lock is held: another entrypoint or its PostgreSQL is alive"
  rm -f -- "$ORDERS" "$RUN"/ping.* "$RUN"/*.new "$PGDATA/postmaster.pid" "$RUN"/sql/.s.PGSQL.*
  [[ -z ${HEATWAVE_PRIVATE_SOCKET:-} ]] && rm -f -- /var/run/postgresql/.s.PGSQL.*
  # Included by postgresql.conf; a missing one would be logged by every process at every reload.
  [[ -e $RUN/follow.conf ]] || printf '# Written by pg-health when this instance follows another.\n' >"$RUN/follow.conf"
  mkfifo -m 0600 "$ORDERS" || die "cannot make $ORDERS"
  # Opened for reading and writing, so that it never sees an end of file.
  exec 3<>"$ORDERS"
  trap 'printf -- "- event signal\n" >&3' INT TERM
  incarnation=$(uptime_seconds).$$
  write_passfile
  write_status
  say "waits for orders in $ORDERS"
  local text='' partial='' wait rc
  until [[ -n $leaving && -z $operation ]] && ! alive; do
    wait=2
    [[ $postgres_state == starting ]] && wait=0.1
    if IFS= read -r -t "$wait" -u 3 text; then
      handle_line "$partial$text"
      partial=
    else
      rc=$?
      ((rc > 128)) || die "reading $ORDERS failed with code $rc"
      partial+=$text
      [[ $postgres_state == starting ]] || write_status
    fi
    look_for_ready
    watch_lease
  done
  write_status
  say "leaves"
}

case ${1:-} in
  '' | run) main ;;
  ping) ping_main ;;
  passfile) write_passfile ;;
  operation)
    verb=$2
    shift 2
    "operation_$verb" "$@"
    ;;
  *) die "takes run or ping, not $1" ;;
esac
