#!/usr/bin/env bash
# Runs an OpenSSH server in the foreground, which is then this process:
#
#   tests/env/sshd.sh DIR ADDRESS PORT [LINE…] 2>LOG &
#
# DIR gets its configuration, host_ed25519 and host_ecdsa (with .pub), and has authorized_keys; each
# LINE stands first in sshd_config, where the first value of a keyword counts: "MaxSessions 1",
# "PasswordAuthentication yes", "HostKey …" (then none else is used). Whoever runs this can log in by
# key; other users, and passwords, need root. HOME is DIR, so that login shells do not run what whoever
# runs this has in ~/.bashrc; they begin in the user's own home directory all the same.
set -euo pipefail

dir=$1 address=$2 port=$3
shift 3
mkdir -p "$dir"
dir=$(realpath "$dir")
touch "$dir/authorized_keys"
for type in ed25519 ecdsa; do
    [[ -e $dir/host_$type ]] || ssh-keygen -q -t "$type" -N '' -C "$type" -f "$dir/host_$type"
done
{
    ((!$#)) || printf '%s\n' "$@"
    [[ $* == *HostKey\ * ]] || printf 'HostKey %s\n' "$dir/host_ed25519" "$dir/host_ecdsa"
    cat <<CONFIG
ListenAddress $address
Port $port
AuthorizedKeysFile $dir/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
UseDNS no
SetEnv HOME=$dir
MaxStartups 100
LogLevel VERBOSE
CONFIG
} >"$dir/sshd_config"
# Where it locks itself up until the login.
[[ $(id -u) != 0 ]] || mkdir -p /run/sshd
exec "$(PATH=$PATH:/usr/sbin command -v sshd)" -D -e -f "$dir/sshd_config"
