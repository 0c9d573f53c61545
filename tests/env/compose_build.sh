# shellcheck shell=bash
# A current Docker Compose, as a witness.
#
#   compose_build   makes sure that it is there
#   compose_bin     the program

compose_version=5.5.1
# Of the recipe in go_build.sh: another number, and what is in caches is built again.
compose_recipe=1

compose_bin() { echo "$RUNNER_TEST_CACHE/compose/$compose_version-$compose_recipe/docker-compose"; }

compose_build() {
    go_build compose "Docker Compose $compose_version" "$(compose_bin)" \
        github.com/docker/compose/v5 "$compose_version" github.com/docker/compose/v5/cmd
}
