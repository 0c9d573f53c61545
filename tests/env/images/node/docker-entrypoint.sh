#!/bin/sh
# Runs the arguments, as arguments of node if they are no command.
set -e
case $1 in
-*) set -- node "$@" ;;
*) command -v "$1" >/dev/null || set -- node "$@" ;;
esac
exec "$@"
