# --- operations: one runbook at a time on this host, and no `up` beside it ---------------------------------------------

operations=$root/operations
lock_file=$operations/lock.json
ledger_file=$operations/ledger.jsonl
maintenance_file=$operations/maintenance.json

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

# `up` replaces a container: held until its stdin ends.
hold() {
  echo held
  exec cat >/dev/null
}

lock() {
  # It may wait here long for a runbook that comes to nothing: a host that never had one stays as it is.
  IFS= read -r text || fail "lock: one line of JSON is expected on stdin"
  install -d -m 0755 "$operations"
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

# Waits inside the router's container, so that a lost network takes nothing away from it: components/router's start.sh.
guard() { exec docker exec -i "$1" /bin/sh /usr/local/etc/haproxy/start.sh guard "$2"; }

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

# What a maintenance window stopped on this host: noted before anything is stopped, forgotten when all of it runs again.
maintenance() {
  case ${1:-show} in
    show) [ ! -e "$maintenance_file" ] || cat "$maintenance_file" ;;
    note | forget)
      [ -e "$lock_file" ] && [ "$(lock_field token)" = "${2:-}" ] ||
        fail "maintenance $1: the host's lock is not held with this token; take it first"
      if [ "$1" = note ]; then
        IFS= read -r text || fail "maintenance note: one line of JSON is expected on stdin"
        printf '%s\n' "$text" >"$maintenance_file.new"
        sync "$maintenance_file.new"
        mv "$maintenance_file.new" "$maintenance_file"
      else
        rm -f "$maintenance_file"
      fi
      sync "$operations"
      ;;
    *) fail "maintenance: unknown word '$1'; allowed: note, forget, or nothing to read it" ;;
  esac
}
