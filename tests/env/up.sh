#!/usr/bin/env bash
# The test environment for working by hand: eval "$(tests/env/up.sh)"
#
#   up.sh [--kubernetes|--all] [--swarm] [LANES]
#
# It stays until tests/env/down.sh "$RUNNER_TEST_SLOT". To run a test script then:
# RUNNER=build/runner tests/e2e/NAME.sh
#
# --kubernetes   a Kubernetes cluster and registries, ready when the command ends
# --all          a cluster beside all else; the scripts that need it wait until it is ready
# --swarm        a swarm of one node, too
# LANES          docker daemons, one otherwise
set -euo pipefail

usage() {
    sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

what=docker swarm=''
while [[ ${1:-} == --* ]]; do
    case $1 in
    --kubernetes | --all) what=${1#--} ;;
    --swarm) swarm=swarm ;;
    *) usage ;;
    esac
    shift
done
[[ ${1:-1} == [1-9] && $# -le 1 ]] || usage

"$(dirname "$0")/packages.sh" build test
# shellcheck source=env.sh
source "$(dirname "$0")/env.sh"

slot_take
trap 'env_down; slot_release' EXIT
env_up "${1:-1}" "$what" "$swarm" >&2
slot_keep
trap - EXIT
cat "$RUNNER_TEST_STATE/exports"
