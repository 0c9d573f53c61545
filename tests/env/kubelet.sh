#!/bin/sh
# kubelet.sh DIRECTORY COMMAND…: runs a kubelet so that it neither disturbs other kubelets of the
# machine nor changes settings of the kernel. To be run in a new mount namespace whose mounts still
# propagate: those of volumes must reach the Docker daemon.
set -e

dir=$1
shift

# private DIRECTORY: what is mounted on it stays in this namespace.
private() { mount --make-private "$(stat -c %m "$1")"; }

# A kubelet removes the logs of pods that it does not know, below a fixed path.
private /var/log
mkdir -p "$dir/log"
mount --bind "$dir/log" /var/log

# It finds the values that it would set.
private /proc/sys
mkdir -p "$dir/sysctl"
while read -r name value; do
    if [ -e "/proc/sys/$name" ]; then
        file=$dir/sysctl/$(echo "$name" | tr / .)
        echo "$value" >"$file"
        mount --bind "$file" "/proc/sys/$name"
    fi
done <<END
kernel/keys/root_maxbytes 25000000
kernel/keys/root_maxkeys 1000000
kernel/panic 10
kernel/panic_on_oops 1
net/bridge/bridge-nf-call-iptables 1
vm/overcommit_memory 1
vm/panic_on_oom 0
END

# It would set oom_score_adj of itself and of every dockerd of the machine.
exec setpriv --inh-caps=-sys_resource --bounding-set=-sys_resource "$@"
