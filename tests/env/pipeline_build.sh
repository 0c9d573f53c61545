# shellcheck shell=bash
# The pipeline whose protocol `runner server` and `runner client` speak, as a peer.
#
#   pipeline_given   whether the module proxy gives it
#   pipeline_build   makes sure that it is there
#   pipeline_bin     the program

pipeline_version=1.7.3
# Of the recipe in go_build.sh: another number, and what is in caches is built again.
pipeline_recipe=1
pipeline_module=github.com/go-idp/pipeline

pipeline_bin() { echo "$RUNNER_TEST_CACHE/pipeline/$pipeline_version-$pipeline_recipe/pipeline"; }

pipeline_given() {
    local go proxy
    [[ ! -x $(pipeline_bin) ]] || return 0
    "$RUNNER_TEST_ENV/packages.sh" go
    go=$(command -v go || echo /usr/lib/go-1.19/bin/go)
    proxy=$("$go" env GOPROXY)
    curl -sSf -o /dev/null "${proxy%%[,|]*}/$pipeline_module/@v/v$pipeline_version.zip"
}

pipeline_build() {
    go_build pipeline "the pipeline $pipeline_version" "$(pipeline_bin)" \
        "$pipeline_module" "$pipeline_version" "$pipeline_module/cmd/pipeline"
}
