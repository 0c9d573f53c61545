#!/usr/bin/env bash
# How files best come to a host and back: the runner's way, archives through its helper over a command,
# against SFTP of OpenSSH and tar through ssh. In turn, so that all meet the same moments of a machine:
#
#   tests/bench/ssh_files.sh build/release/runner [TIMES]
#
# Prints the median of each in milliseconds. The logins are in all of them.
set -euo pipefail

runner=$(realpath "$1")
times=${2:-5}
tests=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
mkdir "$dir"/{sshd,tmp,home,there}
ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
cp "$dir/key.pub" "$dir/sshd/authorized_keys"
bash "$tests/env/sshd.sh" "$dir/sshd" 127.0.0.1 2299 "SetEnv HOME=$dir/home TMPDIR=$dir/tmp" \
    "Subsystem sftp internal-sftp" 2>"$dir/log" &
sshd=$!
trap 'kill "$sshd"; rm -rf "$dir"' EXIT
until (exec 3<>/dev/tcp/127.0.0.1/2299) 2>/dev/null; do sleep 0.1; done
options=(-i "$dir/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile="$dir/known" -o LogLevel=ERROR -F none)
host=$(id -un)@127.0.0.1
url="ssh://$host:2299?key=$dir/key&insecure=true&config=none"

mkdir "$dir/one" "$dir/many"
head -c 100000000 /dev/urandom >"$dir/one/file"
for i in $(seq 5000); do
    mkdir -p "$dir/many/$((i / 100))"
    head -c 1000 /dev/urandom >"$dir/many/$((i / 100))/$i"
done
printf 'name: p\nengine: "%s"\nstages: [{name: s, jobs: [{name: j, checkout: workdir, steps: [{name: a, command: "true"}]}]}]\n' \
    "$url" >"$dir/p.yaml"
"$runner" exec --keep "$dir/p.yaml" --workdir "$dir/sshd" >/dev/null 2>&1
helper=$(echo "$dir"/tmp/runner-*/helper)

put_runner() { "$runner" exec "$dir/p.yaml" --workdir "$dir/$1"; }
put_sftp() { sftp -q "${options[@]}" -P 2299 -b - "$host" <<<"put -r $dir/$1 $dir/there/"; }
put_tar() { tar -C "$dir/$1" -cf - . | ssh -p 2299 "${options[@]}" "$host" "tar -C $dir/there -xf -"; }
get_helper() { ssh -p 2299 "${options[@]}" "$host" "$helper pack $dir/$1 ''" | tar -C "$dir/there" -xf -; }
get_sftp() { sftp -q "${options[@]}" -P 2299 -b - "$host" <<<"get -r $dir/$1 $dir/there/"; }
get_tar() { ssh -p 2299 "${options[@]}" "$host" "tar -C $dir/$1 -cf - ." | tar -C "$dir/there" -xf -; }

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
for what in one many; do
    for ((i = 0; i < times; i++)); do
        for how in put_runner put_sftp put_tar get_helper get_sftp get_tar; do
            rm -rf "$dir/there"
            mkdir "$dir/there"
            started=$(now_ms)
            "$how" "$what" >"$dir/out" 2>&1 || { cat "$dir/out" && exit 1; }
            echo "$what $how $(($(now_ms) - started))" >>"$dir/figures"
        done
    done
done
sort -k 1,2 -k 3n "$dir/figures" | awk -v middle="$(((times + 1) / 2))" '{ at[$1 " " $2]++ }
    at[$1 " " $2] == middle { print $1, $2, $3 " ms" }'
