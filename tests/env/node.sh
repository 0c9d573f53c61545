#!/usr/bin/env bash
# node.sh URL PKI NAME: keeps a node alive on which nothing runs. What keeps pods from being given up
# with their node, in a cluster of one, is that no other node is there.
set -euo pipefail

url=$1/api/v1/nodes pki=$2 name=$3

# api METHOD TYPE URL BODY
api() {
    curl -fsS -m 5 -o /dev/null --cacert "$pki/ca.pem" --cert "$pki/admin.pem" \
        --key "$pki/admin-key.pem" -X "$1" -H "Content-Type: application/$2" "$3" -d "$4"
}

node="{\"metadata\": {\"name\": \"$name\"}, \"spec\": {\"unschedulable\": true}}"
until api POST json "$url" "$node"; do
    sleep 1
done
while :; do
    now=$(date -u +%FT%TZ)
    api PATCH strategic-merge-patch+json "$url/$name/status" '{"status": {"conditions": [
        {"type": "Ready", "status": "True", "reason": "Alive", "lastHeartbeatTime": "'"$now"'"}]}}' || true
    sleep 3
done
