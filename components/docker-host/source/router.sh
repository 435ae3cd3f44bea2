# --- router: what stands in for one that `up` makes anew ----------------------------------------------------------------

router_script=/usr/local/etc/haproxy/start.sh

# A second router of the same files under the same name in Docker's DNS, from before the first one goes until its successor
# serves: without it clients connect to an address that nobody has, and their kernels ask again after a second (0026). Runbooks
# are kept away meanwhile (apply), since they would not find it. Says in one line what it could do, then waits for the end of
# its stdin: `up` has made the successor, or is gone. Nothing that fails here keeps `up` from going on.
stand_in() {
  router=$1 image=$2 network=$3
  self=$router-stand-in stands=
  if [ "$(docker inspect --type container --format '{{.State.Running}}' "$router" 2>/dev/null)" != true ]; then
    echo absent
  elif why=$(stand_in_begin 2>&1); then
    stands=yes
    echo serving
  else
    docker rm -f "$self" >/dev/null 2>&1 || true
    echo "cannot: $(printf '%s' "$why" | tr '\n' ' ')"
  fi
  cat >/dev/null
  [ -n "$stands" ] || return 0
  await 60 serves || {
    say "$router does not answer for 60 s; $self serves in its stead until it does, for a day at most"
    exec 9>&-
    looks=0
    until serves >/dev/null 2>&1 || [ "$looks" -ge 17280 ]; do
      looks=$((looks + 1))
      sleep 5
    done
  }
  stand_in_end
}

serves() { docker exec "$router" /bin/sh "$router_script" ping; }

stand_in_begin() {
  docker rm -f "$self" >/dev/null 2>&1 || true
  # 99 is the image's haproxy; the folder of its sockets is its own, the configuration is the router's.
  docker run -d --name "$self" --network "$network" --network-alias "$router" --init --user 99:99 \
    --tmpfs /run/haproxy:uid=99,gid=99 --volume "$root/$router/conf:/usr/local/etc/haproxy:ro" \
    --stop-signal SIGTERM --log-driver json-file --log-opt max-size=20m --entrypoint /bin/sh "$image" "$router_script" run || return 1
  await 15 docker exec "$self" /bin/sh "$router_script" ping || {
    docker logs --tail 5 "$self"
    return 1
  }
}

# Docker takes the address away some 15 ms before it forgets the name (measured, 28.5): who connects just then, and has no
# limit of its own, would wait for minutes. So the address, which is the lowest free one again, is somebody's for a while
# who refuses: the kernel asks again after a second.
stand_in_end() {
  docker stop "$self" >/dev/null 2>&1 || true
  docker rm -f "$self" >/dev/null 2>&1 || return 0
  docker run -d --rm --name "$self" --network "$network" --user 99:99 --entrypoint sleep "$image" 10 >/dev/null 2>&1 || true
}
