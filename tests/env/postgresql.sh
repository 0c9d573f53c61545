#!/usr/bin/env bash
# Runs a PostgreSQL server in the foreground, which is then this process:
#
#   tests/env/postgresql.sh DIR [OPTION…] 2>LOG &
#
# It listens on a unix socket in DIR alone: postgresql:///postgres?host=DIR&user=runner. What it has
# is made if there is none. PostgreSQL does not run as root, so another user does it then, to whom DIR
# is given; nothing is synced to the disk.
set -euo pipefail

dir=$1
shift
bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
# It ends with whoever started this.
as=(setpriv --pdeathsig QUIT --)
mkdir -p "$dir"
if ((EUID == 0)); then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    as=(setpriv --pdeathsig QUIT "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups --)
    chown "$user:" "$dir"
fi
cd "$dir"
if [[ ! -e data/PG_VERSION ]]; then
    "${as[@]}" "$bin/initdb" -D "$dir/data" -U runner -A trust -E UTF8 --no-locale --no-sync \
        --no-instructions >&2
fi
exec "${as[@]}" "$bin/postgres" -D "$dir/data" -k "$dir" -h '' -c fsync=off -c shared_buffers=16MB \
    -c max_connections=40 -c autovacuum=off "$@"
