#!/usr/bin/env bash
# What `runner compose up` makes, and what a current Docker Compose makes of the same files.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_compose=yes
declare -A case_timeout=([test_same_containers_networks_and_volumes]=900
    [test_same_of_any_project]=1800)

root=$(cd "$(dirname "$0")/../.." && pwd)

same() { "$root/tests/compose_up_same.py" "$RUNNER" "$COMPOSE_WITNESS" "$@" || fail "they differ"; }

test_same_containers_networks_and_volumes() { same "$root"/tests/data/compose-up/*/; }

test_same_of_any_project() { same --adapt "$root"/tests/data/compose/*/; }

run_tests "$@"
