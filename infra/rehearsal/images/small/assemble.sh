#!/bin/sh
# assemble TARGET BINARY FOLDER USER:ID:HOME: a root file system of BusyBox, BINARY in FOLDER, what both link to, and
# the image's user.
set -eu
target=$1 binary=$2 folder=$3
user=${4%%:*} id=$(echo "$4" | cut -d: -f2) home=${4##*:}
mkdir -p "$target/bin" "$target/sbin" "$target/usr/bin" "$target/usr/sbin" "$target/etc/ssl/certs" "$target/tmp" \
  "$target/root" "$target/var/log" "$target/var/lib" "$target/run" "$target/dev" "$target/proc" "$target/sys"
chmod 1777 "$target/tmp"
ln -s ../run "$target/var/run"
cp /bin/busybox "$target/bin/busybox"
mkdir -p "$target$folder"
cp "$binary" "$target$folder/"
for program in /bin/busybox "$binary"; do
  ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$target$(dirname "$library")"
    cp -L "$library" "$target$library"
  done
done
for applet in $(busybox --list); do
  [ -e "$target/bin/$applet" ] || ln -s /bin/busybox "$target/bin/$applet"
done
# Alpine's applets end here: these are Debian's additions that a script must not lean on.
rm -f "$target/bin/dpkg" "$target/bin/dpkg-deb" "$target/bin/rpm" "$target/bin/bash"
mkdir -p "$target$home"
chown "$id:$id" "$target$home"
printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' "$user:x:$id:$id::$home:/sbin/nologin" > "$target/etc/passwd"
printf '%s\n' 'root:x:0:' "$user:x:$id:" > "$target/etc/group"
echo 'hosts: files dns' > "$target/etc/nsswitch.conf"
cp /etc/ssl/certs/ca-certificates.crt "$target/etc/ssl/certs/"
