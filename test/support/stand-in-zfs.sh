#!/bin/sh
# Stands in for zfs(8) where the kernel has none: one dataset over Docker's folder, snapshots as lines of a file. Its
# answers, messages and exit codes are OpenZFS's for what host-tool asks.
snapshots=/var/lib/zfs-stand-in
touch "$snapshots"
for last; do :; done
case "$1 $*" in
  list*" -t filesystem "*)
    case $last in
      /var/lib/docker | /var/lib/docker/*) echo rpool/docker ;;
      *) echo "cannot open '$last': not a ZFS filesystem" >&2 && exit 1 ;;
    esac
    ;;
  list*" -t snapshot "*) grep -x "$last" "$snapshots" || { echo "cannot open '$last': dataset does not exist" >&2 && exit 1; } ;;
  snapshot*)
    if grep -qx "$last" "$snapshots"; then echo "cannot create snapshot '$last': dataset already exists" >&2 && exit 1; fi
    echo "$last" >>"$snapshots"
    ;;
  destroy*)
    grep -qx "$last" "$snapshots" || { echo "could not find any snapshots to destroy; check snapshot names." >&2 && exit 1; }
    grep -vx "$last" "$snapshots" >"$snapshots.new"
    mv "$snapshots.new" "$snapshots"
    ;;
  *) echo "unrecognized command '$1'" >&2 && exit 2 ;;
esac
