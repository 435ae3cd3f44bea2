# --- volume: what a rebuild needs to know of a data volume, and its snapshots --------------------------------------------

mountpoint_of() {
  docker volume inspect --format '{{.Mountpoint}}' "$1" 2>/dev/null || fail "no volume $1 on this host"
}

# The ZFS dataset that a folder lies on; empty where there is none. `zfs list PATH` fails on any other file system.
dataset_of() {
  command -v zfs >/dev/null || return 0
  zfs list -H -o name -t filesystem "$1" 2>/dev/null || :
}

# One line of JSON: free bytes where the volume lies, and its dataset or null.
volume() {
  folder=$(mountpoint_of "$1")
  free=$(df -P -B 1 "$folder" | awk 'NR == 2 { print $4 }')
  dataset=$(dataset_of "$folder")
  printf '{"free":%s,"dataset":%s}\n' "$free" "$([ -n "$dataset" ] && printf '"%s"' "$dataset" || echo null)"
}

# Prints the snapshot's name; one that is there stays as it is. $2: its name after the @.
snapshot() {
  dataset=$(dataset_of "$(mountpoint_of "$1")")
  [ -n "$dataset" ] || fail "volume $1 lies on no ZFS dataset"
  zfs list -H -o name -t snapshot "$dataset@$2" >/dev/null 2>&1 || zfs snapshot "$dataset@$2" >&2
  printf '%s@%s\n' "$dataset" "$2"
}

unsnapshot() {
  dataset=$(dataset_of "$(mountpoint_of "$1")")
  [ -n "$dataset" ] || return 0
  ! zfs list -H -o name -t snapshot "$dataset@$2" >/dev/null 2>&1 || zfs destroy "$dataset@$2" >&2
}
