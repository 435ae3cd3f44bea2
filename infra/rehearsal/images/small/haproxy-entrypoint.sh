#!/bin/sh
# As the official image: `docker run haproxy -f x` means `haproxy -W -db -f x`.
set -e
if [ "${1#-}" != "$1" ]; then
  set -- haproxy "$@"
fi
if [ "$1" = 'haproxy' ]; then
  shift
  set -- haproxy -W -db "$@"
fi
exec "$@"
