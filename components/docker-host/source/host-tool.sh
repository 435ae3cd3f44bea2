#!/bin/sh
# heatwave's tool on a Docker host. Installed as <root>/bin/host-tool; the commands of the stack call it.
#
#   settings                                    prepare the host: sysctls, live-restore, clock, sshd (prepare.sh)
#   space WHAT MEGABYTES                        is there room for a volume or folder (prepare.sh)
#   folder CONTAINER OWNER SUB[=MODE[@ssh]]...  folders of one container; SUB may be conf/incoming. @ssh: of the SSH
#                                               user's group, so that what listens there can be reached over SSH
#   file KIND CONTAINER PATH SHA256 [ALSO]...   put a rendered text (stdin; also in conf/incoming) in force; ALSO is
#                                               the sha256 of a text of kind `program` that the same reader reads
#   secret KIND CONTAINER NAME OWNER            put a secret (stdin, closed by a line of its own) in force, mode 0600
#   hold                                        keep runbooks away until stdin ends: `up` replaces a container
#   lock [TOKEN]                                take the host's lock for a runbook: one line of JSON on stdin, which
#                                               stays open as long as the runbook lives; TOKEN: a dead one's, taken over
#   unlock TOKEN                                give it back
#   ledger                                      append one line of JSON (stdin) to the ledger
#   guard CONTAINER SECONDS                     undo at a router what its runbook did there: SECONDS after the word `go`,
#                                               or when the runbook is gone (start.sh in its container says what it reads)
#   stand-in ROUTER IMAGE NETWORK               serve in its stead until stdin ends, while `up` makes it anew (router.sh)
#   pooler-console CONTAINER                    PgBouncer's console, lines in and answers out, until stdin ends
#   maintenance [note TOKEN | forget TOKEN]     what a maintenance window stopped here (one line of JSON); noted (stdin) and
#                                               forgotten by the runbook that holds the lock
#   firewall apply SHA256 | restore | remove    who may reach the stack's ports: rules (stdin) put in force, after a boot
#                                               again, and taken away (firewall.sh)
#   firewall check                              are they in force
#   volume VOLUME                               free bytes and ZFS dataset of a data volume, as JSON
#   snapshot VOLUME NAME, unsnapshot VOLUME NAME     of that dataset
#   found ask | stop | users | keep | back | convert     a PostgreSQL that runs as it was found: asked, its writes taken away,
#                                               and heatwave's put in its place (found.sh)
#   operations [LINES]                          the lock, whether its runbook lives, and the ledger's last lines
#
# Every verb looks first and may run again. Texts come from stdin: arguments are seen by `ps`.
# This text is assembled from the files of this folder (../host-tool.ts).
set -eu
umask 022
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)

say() { printf '%s\n' "$*" >&2; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Runs its arguments until they succeed, for as many seconds as the first one says.
await() {
  deadline=$(($(date +%s) + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

#include prepare.sh
#include apply.sh
#include readers.sh
#include postgres.sh
#include pgbouncer.sh
#include operations.sh
#include volume.sh
#include firewall.sh
#include found.sh
#include router.sh

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
  settings | space | folder | file | secret | hold) apply "$verb" "$@" ;;
  lock | unlock | ledger | operations | maintenance | guard | volume | snapshot | unsnapshot | firewall) "$verb" "$@" ;;
  pooler-console) pooler_console "$@" ;;
  stand-in) apply stand_in "$@" ;;
  found) if [ "${1:-}" = convert ]; then apply found "$@"; else found "$@"; fi ;;
  *) fail "host-tool: unknown verb '$verb'; allowed: settings, space, folder, file, secret, hold, lock, unlock, ledger, guard, stand-in, pooler-console, maintenance, operations, volume, snapshot, unsnapshot, firewall, found" ;;
esac
