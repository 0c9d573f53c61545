# shellcheck shell=bash
# A real IDP agent.
#
#   agent_build   makes sure that it is there
#   agent_bin     the program

agent_version=1.9.6
# Of the recipe in go_build.sh: another number, and what is in caches is built again.
agent_recipe=1

agent_bin() { echo "$RUNNER_TEST_CACHE/agent/$agent_version-$agent_recipe/agent"; }

agent_build() {
    go_build agent "the IDP agent $agent_version" "$(agent_bin)" \
        github.com/go-idp/agent "$agent_version" github.com/go-idp/agent/cmd/agent
}
