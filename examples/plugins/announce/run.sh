#!/bin/sh
# A plugin in a few lines of shell: writes an announcement, and says where it is.
set -eu
. /pipeline/plugin/pipeline-plugin.sh

plugin_require title
file=$(plugin_setting file ANNOUNCEMENT)

plugin_group "Writing $file"
{
    printf '%s, by job %s of %s\n' "$(plugin_setting title)" "$(plugin_context job name)" \
        "$(plugin_context pipeline name)"
    plugin_list channels | sed 's/^/- /'
    plugin_flag signed && echo "signed"
    printf "%s\n" "$(plugin_command)"
} >"$file"
cat "$file"
plugin_group_end
plugin_output file "$file"
