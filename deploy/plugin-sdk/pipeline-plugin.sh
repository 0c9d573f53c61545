# shellcheck shell=sh
# For plugins that are POSIX shell scripts; docs/plugins.md has the whole interface.
#
#   . /pipeline/plugin/pipeline-plugin.sh
#   plugin_require url                            ends the plugin with a message unless it is set
#   url=$(plugin_setting url)
#   level=$(plugin_setting level low)             with a default
#   if plugin_flag dry_run; then …                true or false; anything else ends the plugin
#   plugin_list tags | while IFS= read -r tag     one item a line
#   plugin_setting map | plugin_json key          a value out of JSON, by its path
#   version=$(plugin_context steps build outputs version)
#   plugin_command | sh -e                        what the step has as `command`
#   plugin_output version "$version"              for later steps: steps.ID.outputs.version
#   plugin_export NAME value                      environment of later steps of the job
#   plugin_mask "$token"                          hidden from now on, wherever it is printed
#   plugin_group "Uploading"; …; plugin_group_end
#   plugin_fail "cannot reach $url" [CODE]
#
# Needs sh, awk, tr and base64, as busybox has them. Names of settings are those of the file.

plugin_fail() {
    printf 'error: %s\n' "$1" >&2
    exit "${2:-1}"
}

# The name of the variable of a setting.
plugin_variable() {
    printf 'PIPELINE_PLUGIN_SETTINGS_'
    printf %s "$1" | LC_ALL=C tr '[:lower:]' '[:upper:]' | LC_ALL=C tr -c '[:alnum:]' _
}

# plugin_has NAME: whether the setting is given, and not empty.
plugin_has() {
    eval "[ -n \"\${$(plugin_variable "$1"):-}\" ]"
}

# plugin_setting NAME [DEFAULT]
plugin_setting() {
    if plugin_has "$1"; then
        eval "printf '%s\n' \"\$$(plugin_variable "$1")\""
    else
        printf '%s\n' "${2:-}"
    fi
}

# plugin_require NAME…: all that are missing are told at once.
plugin_require() {
    plugin_missing=
    for plugin_name; do
        plugin_has "$plugin_name" || plugin_missing="$plugin_missing $plugin_name"
    done
    [ -z "$plugin_missing" ] || plugin_fail "settings are missing:$plugin_missing" 2
}

# plugin_flag NAME [DEFAULT]
plugin_flag() {
    case $(plugin_setting "$1" "${2:-false}") in
    true) return 0 ;;
    false) return 1 ;;
    *) plugin_fail "the setting \"$1\" must be true or false, not \"$(plugin_setting "$1")\"" 2 ;;
    esac
}

# plugin_json [KEY…]: reads JSON, and prints the value at the path: a string as it is, anything else
# as it is written. Items of lists are counted from 0; the path may end with "*": all items of a list
# or map, one a line. Fails when there is no such value, or no JSON.
plugin_json() {
    # Bytes are bytes: characters differ between the awks. The path comes behind the document.
    { cat && for plugin_name; do printf '\036%s' "$plugin_name"; done; } | LC_ALL=C awk '
        function fail() { bad = 1; at = length(text) + 1 }
        function blank() { while (substr(text, at, 1) ~ /[ \t\r\n]/) at++ }
        function hex(digits, value, i) {
            for (i = 1; i <= 4; i++)
                value = value * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
            return value
        }
        function utf8(code) {
            if (code < 128) return sprintf("%c", code)
            if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
            if (code < 65536)
                return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
            return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64,
                           128 + int(code / 64) % 64, 128 + code % 64)
        }
        function escape(letter, code, low) {
            if (letter == "n") return "\n"
            if (letter == "t") return "\t"
            if (letter == "r") return "\r"
            if (letter == "b") return "\b"
            if (letter == "f") return "\f"
            if (letter != "u") return letter
            code = hex(substr(text, at, 4)); at += 4
            if (code >= 55296 && code < 56320 && substr(text, at, 2) == "\\u") {
                low = hex(substr(text, at + 2, 4)); at += 6
                code = 65536 + (code - 55296) * 1024 + low - 56320
            }
            return utf8(code)
        }
        function string(out, rest) {
            at++
            while (at <= length(text)) {
                rest = substr(text, at)
                if (match(rest, /^[^"\\]+/)) { out = out substr(rest, 1, RLENGTH); at += RLENGTH }
                else if (substr(rest, 1, 1) == "\"") { at++; return out }
                else { at += 2; out = out escape(substr(rest, 2, 1)) }
            }
            fail()
            return ""
        }
        function show(shown) { found = 1; result = result shown "\n" }
        # How much of the path leads to a member; -1: it does not lead there.
        function below(depth, key) {
            if (depth < 0 || depth >= count) return -1
            if (path[depth + 1] == key) return depth + 1
            return depth + 1 == count && path[count] == "*" ? count : -1
        }
        function value(depth, start, first, key, i) {
            blank(); start = at; first = substr(text, at, 1)
            if (first == "\"") { first = string(); if (depth == count) show(first); return }
            if (first == "{" || first == "[") {
                at++; blank()
                if (substr(text, at, 1) ~ /[]}]/) at++
                else for (i = 0; !bad; i++) {
                    blank()
                    if (first == "{") {
                        key = string(); blank()
                        if (substr(text, at++, 1) != ":") fail()
                        value(below(depth, key))
                    } else value(below(depth, i ""))
                    blank()
                    if (substr(text, at, 1) == ",") { at++; continue }
                    if (substr(text, at, 1) !~ /[]}]/) fail()
                    at++
                    break
                }
            } else {
                if (!match(substr(text, at), /^(true|false|null|-?[0-9][0-9.eE+-]*)/)) { fail(); return }
                at += RLENGTH
            }
            if (depth == count) show(substr(text, start, at - start))
        }
        { all = all (NR > 1 ? "\n" : "") $0 }
        END {
            count = split(all, path, "\036") - 1
            text = path[1]
            for (i = 1; i <= count; i++) path[i] = path[i + 1]
            at = 1
            value(0)
            blank()
            if (bad || !found || at <= length(text)) exit 1
            printf "%s", result
        }'
}

# plugin_list NAME: the items of a setting that is a list, one a line.
plugin_list() {
    plugin_has "$1" || return 0
    plugin_setting "$1" | plugin_json '*' || [ "$(plugin_setting "$1" | tr -d '[:space:]')" = '[]' ] ||
        plugin_fail "the setting \"$1\" must be a list" 2
}

# plugin_context KEY…: a value of the context; nothing, and a failure, when there is none.
plugin_context() {
    plugin_json "$@" <"${PIPELINE_CONTEXT:-/pipeline/context.json}"
}

# The step's command, as it was written.
plugin_command() {
    printf %s "${PIPELINE_PLUGIN_COMMAND:-}" | base64 -d
}

# KEY=VALUE, or the form for several lines, at the end of a file.
plugin_append() {
    [ -n "$1" ] || plugin_fail "this runner takes no ${4:-outputs}"
    case $3 in
    *"
"*) printf '%s<<PLUGIN_%s_END\n%s\nPLUGIN_%s_END\n' "$2" "$$" "$3" "$$" >>"$1" ;;
    *) printf '%s=%s\n' "$2" "$3" >>"$1" ;;
    esac
}

plugin_output() { plugin_append "${PIPELINE_OUTPUT:-}" "$1" "$2" outputs; }
plugin_export() { plugin_append "${PIPELINE_ENV:-}" "$1" "$2" variables; }

plugin_mask() {
    [ -n "${PIPELINE_MASK:-}" ] || plugin_fail "this runner takes no masks"
    printf '%s\n' "$1" >>"$PIPELINE_MASK"
}

# What is printed between the two belongs together.
plugin_group() { printf '::group::%s\n' "$1"; }
plugin_group_end() { printf '::endgroup::\n'; }
