#!/bin/sh
# Wraps the command, and shows that it does.
echo "entrypoint: $# arguments"
FROM_ENTRYPOINT=yes
export FROM_ENTRYPOINT
exec "$@"
