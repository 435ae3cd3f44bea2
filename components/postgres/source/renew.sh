# --- renewing: a site's data is put aside, rewound or taken anew, and put in place by rename ----------------------------
# Data that is worked on never lies in $PGDATA: whatever breaks off halfway leaves no data directory, or a whole one that
# is a standby. Beside the data directory lie
#   kept-ID        the data as it was, until the new one streams
#   rewinding-ID   data in the middle of a rewind: worth nothing
#   lost-wal-ID    what this site wrote alone and a rewind or a base backup gives up; kept for good
# ID is the run of the runbook that ordered it.

BESIDE=${PGDATA%/*}

run_id() { [[ ${1:-} =~ ^[A-Za-z0-9-]{1,60}$ ]] || fail "the id of a run is letters, digits and dashes, not '${1:-}'"; }

operation_aside() { # id
  run_id "${1:-}"
  local kept=$BESIDE/kept-$1
  # Done before, by a runbook that died after it.
  [[ ! -e $kept && ! -e $BESIDE/rewinding-$1 ]] || return 0
  if [[ -e $PGDATA ]]; then mv -T -- "$PGDATA" "$kept"; else mkdir -- "$kept"; fi && sync "$BESIDE" \
    || fail "cannot rename $PGDATA to $kept"
}

operation_restore() { # id
  run_id "${1:-}"
  local kept=$BESIDE/kept-$1
  [[ ! -e $BESIDE/rewinding-$1 ]] || fail "the data was being rewound: only a base backup brings this site back"
  [[ -d $kept ]] || return 0
  if [[ -e $PGDATA ]]; then
    rm -rf -- "$SCRATCH" && mv -T -- "$PGDATA" "$SCRATCH" || fail "cannot move $PGDATA away"
  fi
  # There was no data: there is none again.
  if rmdir -- "$kept" 2>/dev/null; then sync "$BESIDE"; return; fi
  # Whatever it was, it comes back as a standby: this site is none that may write.
  : >"$kept/standby.signal" && sync "$kept/standby.signal" "$kept" && mv -T -- "$kept" "$PGDATA" && sync "$BESIDE" \
    || fail "cannot rename $kept to $PGDATA"
}

operation_forget() { # id
  run_id "${1:-}"
  local what
  # Renamed first: half of it must never be taken for the whole.
  for what in kept rewinding; do
    [[ ! -e $BESIDE/$what-$1 ]] || mv -T -- "$BESIDE/$what-$1" "$BESIDE/gone-$what-$1" || fail "cannot rename $BESIDE/$what-$1"
  done
  sync "$BESIDE"
  rm -rf -- "$BESIDE"/gone-*
}

# Ends in code 5: nothing was done that cannot be put back, and a base backup is the way.
unfit() { printf 'error: cannot rewind: %s\n' "$*" >&2; exit 5; }

control() { LC_ALL=C "$PG_BIN/pg_controldata" -D "$1" 2>/dev/null | sed -n "s/^$2: *//p"; }

lsn_number() { printf '%s' "$(((16#${1%/*} << 32) + 16#${1#*/}))"; }

# pg_rewind needs data that was shut down. What crashed as a primary is recovered by itself, without a network and under
# a name that nobody starts. Its checkpoints must not recycle WAL: pg_rewind reads back to the last one before the fork.
recover_alone() { # directory
  case $(control "$1" 'Database cluster state') in
    'shut down' | 'shut down in recovery') return 0 ;;
    'in production' | 'in crash recovery' | 'shutting down') ;;
    *) unfit "its last stop was not clean (it was $(control "$1" 'Database cluster state'))" ;;
  esac
  rm -f -- "$1/standby.signal" "$1/postmaster.pid"
  "$PG_BIN/postgres" --single -D "$1" -c "config_file=$CONF/postgresql.conf" -c "hba_file=$CONF/pg_hba.conf" \
    -c "ident_file=$CONF/pg_ident.conf" -c wal_keep_size=1000000 template1 </dev/null || unfit "its own crash recovery failed"
  : >"$1/standby.signal" && sync "$1/standby.signal" "$1" || fail "cannot write $1/standby.signal"
}

# Keeps what this site wrote after the fork, and says how much it is. Where it ends only the WAL itself says: the control
# file of a server that was stopped in recovery does not. Checkpoints at the end are recovery's own.
keep_lost_wal() { # directory id fork timeline
  local folder=$BESIDE/lost-wal-$2 record end end_number segment_size first last name segment bytes
  local pattern='len \(rec/tot\): +[0-9]+/ *([0-9]+),.* lsn: ([0-9A-F]+/[0-9A-F]+),'
  record=$("$PG_BIN/pg_waldump" -p "$1/pg_wal" -t "$4" -s "$3" 2>/dev/null | grep -v 'desc: CHECKPOINT' | tail -n 1)
  segment_size=$(control "$1" 'Bytes per WAL segment')
  if [[ ! $record =~ $pattern ]]; then
    first=$(($(lsn_number "$3") / segment_size))
    printf -v name '%08X%08X%08X' "$4" "$((first * segment_size >> 32))" "$((first % (0x100000000 / segment_size)))"
    [[ -e $1/pg_wal/$name ]] || printf 'found: how much it wrote after the fork at %s is not known: %s is gone\n' "$3" "$name"
    return 0
  fi
  end_number=$(($(lsn_number "${BASH_REMATCH[2]}") + (BASH_REMATCH[1] + 7) / 8 * 8))
  printf -v end '%X/%X' "$((end_number >> 32))" "$((end_number & 0xffffffff))"
  bytes=$((end_number - $(lsn_number "$3")))
  first=$(($(lsn_number "$3") / segment_size)) last=$((end_number / segment_size))
  rm -rf -- "$folder.new" && mkdir -- "$folder.new" || fail "cannot make $folder.new"
  for name in "$1"/pg_wal/*; do
    [[ ${name##*/} =~ ^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$ ]] || continue
    segment=$((16#${BASH_REMATCH[2]} * (0x100000000 / segment_size) + 16#${BASH_REMATCH[3]}))
    ((16#${BASH_REMATCH[1]} >= $4 && segment >= first && segment <= last)) || continue
    cp -p --reflink=auto -- "$name" "$folder.new/" || fail "cannot copy ${name##*/}: is there room?"
  done
  printf 'Written at this site alone, and given up: %s bytes of WAL on timeline %s, from %s to %s.\nRead it: pg_waldump -p . -t %s -s %s -e %s\n' \
    "$bytes" "$4" "$3" "$end" "$4" "$3" "$end" >"$folder.new/about.txt"
  sync "$folder.new"/* "$folder.new" && rm -rf -- "$folder" && mv -T -- "$folder.new" "$folder" && sync "$BESIDE" || fail "cannot keep $folder"
  printf 'found: %s bytes of WAL after the fork (timeline %s, %s to %s) are given up; they are kept in %s\n' "$bytes" "$4" "$3" "$end" "$folder"
}

# Makes the scratch directory a standby's data from what was put aside. BYTES: what a base backup would copy.
operation_rewind() { # id host port user slot application-name bytes
  run_id "${1:-}"
  local id=$1 host=${2:-} port=${3:-} user=${4:-} slot=${5:-} name=${6:-} bytes=${7:-}
  [[ $host =~ ^[A-Za-z0-9._:-]+$ && $port =~ ^[0-9]+$ && $user =~ ^[a-z0-9_]+$ && $slot =~ ^[a-z0-9_]+$ && $name =~ ^[A-Za-z0-9._-]+$ && $bytes =~ ^[0-9]+$ ]] \
    || fail "rewind takes ID HOST PORT USER SLOT APPLICATION_NAME BYTES"
  local data=$BESIDE/kept-$id work=$BESIDE/rewinding-$id own=$BESIDE/kept-$id.conf conninfo out said fork timeline megabytes=0 file
  [[ -s $data/PG_VERSION && -s $data/global/pg_control ]] || unfit "there is no data to rewind"
  [[ $(control "$data" 'Data page checksum version') != 0 || $(control "$data" 'wal_log_hints setting') == on ]] \
    || unfit "its data has neither checksums nor wal_log_hints"
  write_passfile
  recover_alone "$data"
  conninfo="host=$host port=$port user=$user passfile=$PASSFILE application_name=$name connect_timeout=10"
  conninfo+=" keepalives_idle=10 keepalives_interval=5 keepalives_count=3"
  local rewind=("$PG_BIN/pg_rewind" --no-ensure-shutdown --progress --source-server="$conninfo dbname=postgres")
  out=$(LC_ALL=C "${rewind[@]}" --dry-run --target-pgdata="$data" 2>&1)
  local code=$?
  grep -v "$PROGRESS" <<<"$out"
  said=$(grep -o 'servers diverged at WAL location [0-9A-F/]* on timeline [0-9]*' <<<"$out" | tail -n 1)
  timeline=${said##* } fork=${said#*location } fork=${fork%% *}
  [[ -z $said ]] || keep_lost_wal "$data" "$id" "$fork" "$timeline"
  ((code == 0)) || unfit "$(grep 'error:' <<<"$out" | head -n 1 | sed 's/^.*error: //')"
  [[ -n $said ]] || unfit "it is on the primary's timeline, and does not follow it"
  if [[ $out == *"no rewind required"* ]]; then
    printf 'found: nothing has to be rewound: its data is an ancestor of the primary'"'"'s\n'
  else
    megabytes=$(sed -n 's/^.*need to copy \([0-9]*\) MB.*/\1/p' <<<"$out" | tail -n 1)
    ((${megabytes:-0} * 1048576 <= bytes)) || unfit "it would copy $megabytes MB, a base backup $((bytes / 1048576)) MB"
  fi
  ensure_slot "$conninfo" "$slot" || unfit "no slot at the primary"
  if [[ $out != *"no rewind required"* ]]; then
    # Everything of the source is copied, its files of settings too; this site's come back.
    rm -rf -- "$own" && mkdir -- "$own" || fail "cannot make $own"
    for file in postgresql.auto.conf postgresql.conf pg_hba.conf pg_ident.conf; do
      [[ ! -e $data/$file ]] || cp -p -- "$data/$file" "$own/" || fail "cannot keep $file"
    done
    # From here it is worth nothing until it is whole, and has a name that says so.
    mv -T -- "$data" "$work" && sync "$BESIDE" || fail "cannot rename $data"
    LC_ALL=C "${rewind[@]}" --target-pgdata="$work" || exit 6
    cp -p -- "$own"/* "$work/" || exit 6
    printf 'found: %s MB were copied\n' "$megabytes"
  else
    mv -T -- "$data" "$work" || fail "cannot rename $data"
  fi
  # Slots of the time before would keep WAL that nobody reads.
  rm -rf -- "$own" "$work"/pg_replslot/* "$work/postmaster.pid"
  : >"$work/standby.signal" && sync "$work/standby.signal" "$work" "$work/global/pg_control" || exit 6
  rm -rf -- "$SCRATCH" && mv -T -- "$work" "$SCRATCH" && sync "$BESIDE" || exit 6
}
