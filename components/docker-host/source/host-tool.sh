#!/bin/sh
# heatwave's tool on a Docker host. Installed as <root>/bin/host-tool; the commands of the stack call it.
#
#   settings                                    persist and apply the host's sysctls
#   folder CONTAINER OWNER SUB[=MODE[@ssh]]...  folders of one container; SUB may be conf/incoming. @ssh: of the SSH
#                                               user's group, so that what listens there can be reached over SSH
#   file KIND CONTAINER PATH SHA256             put a rendered text (stdin; also in conf/incoming) in force
#   secret CONTAINER NAME OWNER                 store a secret (stdin), mode 0600
#   lock [TOKEN]                                take the host's lock for a runbook: one line of JSON on stdin, which
#                                               stays open as long as the runbook lives; TOKEN: a dead one's, taken over
#   unlock TOKEN                                give it back
#   ledger                                      append one line of JSON (stdin) to the ledger
#   operations [LINES]                          the lock, whether its runbook lives, and the ledger's last lines
#
# Every verb looks first and may run again. A text is checked with the image's own program, copied beside its
# target, flushed, renamed into place and reloaded from inside the container; when that fails, the old text is
# put back and the command fails with the reason. Texts come from stdin: arguments are seen by `ps`.
set -eu
umask 022
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

running() { [ "$(docker inspect --format '{{.State.Running}}' "$1" 2>/dev/null)" = true ]; }

settings() {
  # Without it a container whose tailnet address comes late is never retried by Docker (moby#39559).
  printf 'net.ipv4.ip_nonlocal_bind = 1\n' >/etc/sysctl.d/60-heatwave.conf.new
  mv /etc/sysctl.d/60-heatwave.conf.new /etc/sysctl.d/60-heatwave.conf
  sysctl -q -w net.ipv4.ip_nonlocal_bind=1
}

folder() {
  container=$1 owner=$2
  shift 2
  install -d -m 0755 "$root/$container"
  for sub; do
    case $sub in
      *@ssh)
        sub=${sub%@ssh}
        install -d -m "${sub#*=}" -o "${owner%:*}" -g "${SUDO_GID:-0}" "$root/$container/${sub%%=*}"
        ;;
      # The SSH user copies here; what counts is what `file` installs from it.
      conf/incoming) install -d -m 0755 -o "${SUDO_UID:-0}" -g "${SUDO_GID:-0}" "$root/$container/$sub" ;;
      *) install -d -m "${sub#*=}" -o "${owner%:*}" -g "${owner#*:}" "$root/$container/${sub%%=*}" ;;
    esac
  done
}

# Runs a program of the container's image on the candidate: inside where it runs, else in a throw-away one.
inside() {
  container=$1
  shift
  if running "$container"; then docker exec "$container" "$@"; else return 125; fi
}

# Asks the container's PostgreSQL, if it runs (the socket's port is the fourth line of its pid file).
sql() {
  docker exec "$container" sh -c 'port=$(sed -n 4p "$PGDATA/postmaster.pid" 2>/dev/null)
    [ -z "$port" ] || psql -X -q -At -h /run/heatwave/sql -p "$port" -U postgres -d postgres -c "$1"' sh "$1"
}

# Each kind: how a text is checked before it counts (candidate path inside the container in $1) ...
check() {
  case $kind in
    haproxy) output=$(inside "$container" haproxy -c -f "$1" 2>&1) || refuse "$?" "$output" ;;
    postgres) output=$(inside "$container" postgres -D /tmp -c config_file="$1" -C shared_buffers 2>&1) || refuse "$?" "$output" ;;
    *) ;;
  esac
}

refuse() {
  # 125: the container does not run yet, so there is nothing to break; the program itself will say so at its start.
  [ "$1" = 125 ] || fail "$container refuses $name; the old one stays in force:
$2"
}

# ... and how it is made to count.
reload() {
  running "$container" || return 0
  case $kind in
    haproxy) docker exec "$container" sh /usr/local/etc/haproxy/start.sh reload ;;
    postgres) sql 'select pg_reload_conf()' >/dev/null ;;
    hba)
      bad=$(sql "select format('line %s: %s', line_number, error) from pg_hba_file_rules where error is not null") || return 1
      if [ -n "$bad" ]; then
        printf '%s\n' "$bad" >&2
        return 1
      fi
      sql 'select pg_reload_conf()' >/dev/null
      ;;
    pgbouncer) docker exec "$container" sh -c 'kill -HUP "$(pidof pgbouncer)"' ;;
    restart) docker restart -t 10 "$container" >/dev/null ;;
    *) ;;
  esac
}

file() {
  kind=$1 container=$2 path=$3 sha256=$4
  name=${path##*/}
  directory=$root/$container/${path%/*}
  incoming=$root/$container/conf/incoming/$name
  target=$directory/$name
  new=$directory/.$name.new
  old=$directory/.$name.old
  # The copy may be missing or half written (a killed `up`); stdin holds the same text and heals it.
  if [ "$(sum "$incoming")" = "$sha256" ]; then cat "$incoming" >"$new"; cat >/dev/null; else cat >"$new"; fi
  [ "$(sum "$new")" = "$sha256" ] || fail "$target: the text that arrived has another sha256 than $sha256; run \`pulumi up\` again"
  if [ "$(sum "$target")" = "$sha256" ]; then
    rm -f "$new"
    return 0
  fi
  chmod 0644 "$new"
  check_path=$(candidate)
  check "$check_path"
  sync "$new"
  if [ -e "$target" ]; then cp -p "$target" "$old"; else rm -f "$old"; fi
  mv "$new" "$target"
  sync "$directory"
  if ! reload; then
    if [ -e "$old" ]; then
      mv "$old" "$target"
      reload || true
      fail "$container did not take $name; the old one is back in force"
    fi
    fail "$container did not take $name"
  fi
  rm -f "$old"
}

# Where the candidate is seen inside the container.
candidate() {
  case $kind in
    haproxy) echo "/usr/local/etc/haproxy/.$name.new" ;;
    postgres | hba) echo "/etc/heatwave/.$name.new" ;;
    *) echo "$new" ;;
  esac
}

sum() { sha256sum "$1" 2>/dev/null | cut -d ' ' -f 1; }

secret() {
  umask 077
  target=$root/$1/secrets/$2
  cat >"$target.new"
  chown "$3" "$target.new"
  sync "$target.new"
  mv "$target.new" "$target"
}

# --- operations: one runbook at a time on this host, and no `up` beside it ---------------------------------------------

operations=$root/operations
lock_file=$operations/lock.json
ledger_file=$operations/ledger.jsonl

# A text of the lock, which is one line of JSON without blanks.
lock_field() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p' "$lock_file" 2>/dev/null; }

# Whether the runbook that holds the lock still has its end of the connection: it holds this file until then.
lock_lives() { ! flock -n -s "$operations/alive.flock" true; }

# A verb of `up`. Many may run at once; a runbook waits until none does, and none begins while it holds the lock.
apply() {
  install -d -m 0755 "$operations"
  exec 9>"$operations/apply.flock"
  flock -s -w 60 9 || fail "$operations: a runbook is about to take the lock, for 60 s already; try again"
  if [ -e "$lock_file" ]; then
    fail "$(lock_field host) is locked by $(lock_field verb) ($(lock_field who), since $(lock_field since)); wait, or bin/recovery $(lock_field stack) topology"
  fi
  "$@"
}

lock() {
  install -d -m 0755 "$operations"
  IFS= read -r text || fail "lock: one line of JSON is expected on stdin"
  exec 7>"$operations/guard.flock"
  flock -w 10 7 || fail "$operations: another lock is being taken, for 10 s already; try again"
  printf '%s\n' "$text" >"$lock_file.new"
  sync "$lock_file.new"
  if [ ! -e "$lock_file" ] || { [ -n "${1:-}" ] && [ "$(lock_field token)" = "$1" ] && ! lock_lives; }; then
    mv "$lock_file.new" "$lock_file"
    sync "$operations"
  else
    rm -f "$lock_file.new"
    if lock_lives; then echo alive; else echo gone; fi
    cat "$lock_file"
    exit 3
  fi
  exec 8>"$operations/alive.flock"
  flock -w 5 -x 8 || fail "$operations/alive.flock is held without a lock; who holds it: fuser $operations/alive.flock"
  exec 7>&-
  # Verbs that began before: they end, or the lock is not taken.
  if ! flock -x -w 60 "$operations/apply.flock" true; then
    rm -f "$lock_file"
    fail "an \`up\` is working on this host, for 60 s already; wait for its end"
  fi
  echo locked
  # Ends with the runbook, however that ends. The lock itself stays until `unlock`.
  exec cat >/dev/null
}

unlock() {
  exec 7>"$operations/guard.flock"
  flock -w 10 7 || fail "$operations: another lock is being taken, for 10 s already; try again"
  [ -e "$lock_file" ] || return 0
  [ "$(lock_field token)" = "$1" ] || fail "the lock is $(lock_field verb)'s ($(lock_field who), since $(lock_field since))"
  rm -f "$lock_file"
  sync "$operations"
}

ledger() {
  install -d -m 0755 "$operations"
  IFS= read -r text || fail "ledger: one line of JSON is expected on stdin"
  exec 7>"$operations/guard.flock"
  flock -w 10 7 || fail "$operations: another lock is being taken, for 10 s already; try again"
  # A line that a crash cut short must not swallow the next one.
  if [ -s "$ledger_file" ] && [ -n "$(tail -c 1 "$ledger_file")" ]; then printf '\n' >>"$ledger_file"; fi
  printf '%s\n' "$text" >>"$ledger_file"
  sync "$ledger_file"
}

operations() {
  if [ -e "$lock_file" ]; then
    if lock_lives; then echo alive; else echo gone; fi
    cat "$lock_file"
  else
    echo free
  fi
  if [ -e "$ledger_file" ]; then tail -n "${1:-50}" "$ledger_file"; fi
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
  settings | folder | file | secret) apply "$verb" "$@" ;;
  lock | unlock | ledger | operations) "$verb" "$@" ;;
  *) fail "host-tool: unknown verb '$verb'; allowed: settings, folder, file, secret, lock, unlock, ledger, operations" ;;
esac
