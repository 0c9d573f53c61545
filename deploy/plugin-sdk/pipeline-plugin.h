/* For plugins that are written in C, of one file or more; docs/plugins.md has the whole interface.
 *
 *     plugin_require("url", "token", (char *)NULL);       ends the plugin unless they are set
 *     const char *url = plugin_setting("url", NULL);
 *     if (plugin_flag("dry_run", 0)) …
 *     char *first = plugin_json(plugin_setting("tags", "[]"), "0", (char *)NULL);
 *     char *version = plugin_context("steps", "build", "outputs", "version", (char *)NULL);
 *     char *script = plugin_command();                    what the step has as `command`
 *     plugin_output("version", version);                  steps.ID.outputs.version
 *     plugin_fail(1, "cannot reach %s", url);
 *
 * C99 and POSIX; nothing but the C library, which can be linked statically. Strings that are
 * returned as `char *` are to be freed, those returned as `const char *` are not. Names of settings
 * are those of the file. Not for several threads at a time. */
#ifndef PIPELINE_PLUGIN_H
#define PIPELINE_PLUGIN_H

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define PLUGIN_FORMAT(at) __attribute__((format(printf, at, (at) + 1)))
#define PLUGIN_UNUSED     __attribute__((unused))
#else
#define PLUGIN_FORMAT(at)
#define PLUGIN_UNUSED
#endif

#define PLUGIN_EXIT_SETTINGS 2

/* Prints "error: …" and ends the plugin. */
PLUGIN_UNUSED PLUGIN_FORMAT(2) static void plugin_fail(int code, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("error: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(code);
}

static void *plugin_memory(void *old, size_t size)
{
    void *memory = realloc(old, size);

    if (!memory)
        plugin_fail(1, "out of memory");
    return memory;
}

/* --- settings --- */

/* The setting, or `fallback` when it is not given or empty. */
PLUGIN_UNUSED static const char *plugin_setting(const char *name, const char *fallback)
{
    static const char prefix[] = "PIPELINE_PLUGIN_SETTINGS_";
    size_t length = strlen(name);
    char *variable = plugin_memory(NULL, sizeof(prefix) + length);
    const char *value;

    memcpy(variable, prefix, sizeof(prefix));
    for (size_t i = 0; i <= length; i++) {
        unsigned char c = (unsigned char)name[i];

        variable[sizeof(prefix) - 1 + i] =
            (char)(!c || (c < 128 && isalnum(c)) ? toupper(c) : '_');
    }
    value = getenv(variable);
    free(variable);
    return value && *value ? value : fallback;
}

/* The names are ended by (char *)NULL; all that are missing are told at once. */
PLUGIN_UNUSED static void plugin_require(const char *name, ...)
{
    int missing = 0;
    va_list names;

    va_start(names, name);
    for (; name; name = va_arg(names, const char *)) {
        if (plugin_setting(name, NULL))
            continue;
        fprintf(stderr, "%s%s", missing++ ? " " : "error: settings are missing: ", name);
    }
    va_end(names);
    if (missing) {
        fputc('\n', stderr);
        exit(PLUGIN_EXIT_SETTINGS);
    }
}

/* 1 or 0; what is neither true nor false ends the plugin. */
PLUGIN_UNUSED static int plugin_flag(const char *name, int fallback)
{
    const char *value = plugin_setting(name, fallback ? "true" : "false");

    if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        plugin_fail(PLUGIN_EXIT_SETTINGS, "the setting \"%s\" must be true or false, not \"%s\"",
                    name, value);
    return strcmp(value, "true") == 0;
}

/* A whole number from `least` to `most`. */
PLUGIN_UNUSED static long plugin_integer(const char *name, long fallback, long least, long most)
{
    const char *value = plugin_setting(name, NULL);
    char *end;
    long number;

    if (!value)
        return fallback;
    errno = 0;
    number = strtol(value, &end, 10);
    if (errno || *end || number < least || number > most)
        plugin_fail(PLUGIN_EXIT_SETTINGS, "the setting \"%s\" must be %ld to %ld, not \"%s\"", name,
                    least, most, value);
    return number;
}

/* --- JSON: as much as settings and the context need --- */

static const char *plugin_blank(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind the string that begins at `at`; NULL: it has no end. */
static const char *plugin_skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++) {
        if (*at == '\\' && at[1])
            at++;
    }
    return *at ? at + 1 : NULL;
}

/* Behind the value that begins at `at`; NULL: it is none. */
static const char *plugin_skip(const char *at)
{
    int depth = 0;

    do {
        at = plugin_blank(at);
        if (*at == '"') {
            at = plugin_skip_string(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (depth && (*at == ',' || *at == ':')) {
            at++;
        } else {
            size_t length = strcspn(at, " \t\r\n,:[]{}\"");

            at = length ? at + length : NULL;
        }
    } while (at && depth > 0);
    return at && depth == 0 ? at : NULL;
}

static unsigned long plugin_hex(const char *at)
{
    char digits[5] = {0};

    strncpy(digits, at, 4);
    return strtoul(digits, NULL, 16);
}

static size_t plugin_utf8(char *out, unsigned long code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | (code >> 6));
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | (code >> 12));
        out[1] = (char)(0x80 | ((code >> 6) & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (code >> 18));
    out[1] = (char)(0x80 | ((code >> 12) & 0x3f));
    out[2] = (char)(0x80 | ((code >> 6) & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* The character that an escape at *at (behind the backslash) stands for; moves behind it. */
static size_t plugin_unescape(const char **at, const char *end, char *out)
{
    static const char letters[] = "n\nt\tr\rb\bf\f";
    const char *known = strchr(letters, **at);
    unsigned long code;

    if (**at != 'u' || end - *at < 5) {
        *out = known && (known - letters) % 2 == 0 ? known[1] : **at;
        (*at)++;
        return 1;
    }
    code = plugin_hex(*at + 1);
    *at += 5;
    if (code >= 0xd800 && code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        code = 0x10000 + ((code - 0xd800) << 10) + (plugin_hex(*at + 2) - 0xdc00);
        *at += 6;
    }
    return plugin_utf8(out, code);
}

/* The value from `at` to `end`: a string as it is meant, anything else as it is written. */
static char *plugin_text(const char *at, const char *end)
{
    char *text = plugin_memory(NULL, (size_t)(end - at) + 1);
    size_t length = 0;

    if (*at != '"') {
        memcpy(text, at, (size_t)(end - at));
        text[end - at] = '\0';
        return text;
    }
    for (at++, end--; at < end;) {
        if (*at != '\\') {
            text[length++] = *at++;
        } else {
            at++;
            length += plugin_unescape(&at, end, text + length);
        }
    }
    text[length] = '\0';
    return text;
}

/* The member `key` of the map, or item of the list, that begins at `at`; NULL: there is none. */
static const char *plugin_member(const char *at, const char *key)
{
    int is_map = *at == '{';

    if (*at != '{' && *at != '[')
        return NULL;
    at = plugin_blank(at + 1);
    for (unsigned long i = 0; *at && *at != '}' && *at != ']'; i++) {
        int found;

        if (is_map) {
            const char *end = *at == '"' ? plugin_skip_string(at) : NULL;
            char *name = end ? plugin_text(at, end) : NULL;

            if (!name)
                return NULL;
            found = strcmp(name, key) == 0;
            free(name);
            at = plugin_blank(end);
            if (*at != ':')
                return NULL;
            at = plugin_blank(at + 1);
        } else {
            char *end;

            found = strtoul(key, &end, 10) == i && *key && !*end;
        }
        if (found)
            return at;
        at = plugin_skip(at);
        if (!at)
            return NULL;
        at = plugin_blank(at);
        if (*at == ',')
            at = plugin_blank(at + 1);
    }
    return NULL;
}

static char *plugin_json_list(const char *json, va_list path)
{
    const char *at = plugin_blank(json);
    const char *key;
    const char *end;

    while (at && (key = va_arg(path, const char *)))
        at = plugin_member(at, key);
    end = at ? plugin_skip(at) : NULL;
    return end ? plugin_text(at, end) : NULL;
}

/* The value at a path of keys and numbers of items, ended by (char *)NULL; NULL: there is none. */
PLUGIN_UNUSED static char *plugin_json(const char *json, ...)
{
    va_list path;
    char *text;

    va_start(path, json);
    text = plugin_json_list(json, path);
    va_end(path);
    return text;
}

/* --- the run --- */

/* A file with a NUL behind it; NULL: it cannot be read, errno says why. */
static char *plugin_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t size = 4096;
    size_t length = 0;
    size_t got;
    char *text;

    if (!file)
        return NULL;
    text = plugin_memory(NULL, size);
    while ((got = fread(text + length, 1, size - length - 1, file)) > 0) {
        length += got;
        if (size - length < 2)
            text = plugin_memory(text, size *= 2);
    }
    fclose(file);
    text[length] = '\0';
    return text;
}

/* A value of the context, as plugin_json(). */
PLUGIN_UNUSED static char *plugin_context(const char *key, ...)
{
    const char *path = getenv("PIPELINE_CONTEXT");
    char *json = plugin_read(path ? path : "/pipeline/context.json");
    char *text = NULL;
    va_list keys;

    if (!json)
        plugin_fail(1, "cannot read the context: %s", strerror(errno));
    va_start(keys, key);
    if (key) {
        const char *at = plugin_member(plugin_blank(json), key);

        text = at ? plugin_json_list(at, keys) : NULL;
    }
    va_end(keys);
    free(json);
    return text;
}

/* The step's command, as it was written. */
PLUGIN_UNUSED static char *plugin_command(void)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *encoded = getenv("PIPELINE_PLUGIN_COMMAND");
    char *text = plugin_memory(NULL, (encoded ? strlen(encoded) : 0) + 1);
    size_t length = 0;
    unsigned long bits = 0;
    int count = 0;

    for (; encoded && *encoded && *encoded != '='; encoded++) {
        const char *digit = strchr(digits, *encoded);

        if (!digit)
            plugin_fail(1, "PIPELINE_PLUGIN_COMMAND is not base64");
        bits = (bits << 6 | (unsigned long)(digit - digits)) & 0xffffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            text[length++] = (char)(bits >> count);
        }
    }
    text[length] = '\0';
    return text;
}

static void plugin_append(const char *variable, const char *format, const char *first,
                          const char *second)
{
    const char *path = getenv(variable);
    FILE *file = path && *path ? fopen(path, "ab") : NULL;
    int failed;

    if (!file)
        plugin_fail(1, "cannot write to %s: %s", variable, path ? strerror(errno) : "it is not set");
    failed = fprintf(file, format, first, second) < 0;
    if (fclose(file) != 0 || failed)
        plugin_fail(1, "cannot write to %s: %s", variable, strerror(errno));
}

static void plugin_assign(const char *variable, const char *key, const char *value)
{
    plugin_append(variable, strchr(value, '\n') ? "%s<<PLUGIN_END_OF_VALUE\n%s\nPLUGIN_END_OF_VALUE\n"
                                                : "%s=%s\n",
                  key, value);
}

/* For later steps: steps.ID.outputs.KEY. */
PLUGIN_UNUSED static void plugin_output(const char *key, const char *value)
{
    plugin_assign("PIPELINE_OUTPUT", key, value);
}

/* Environment of later steps of the job. */
PLUGIN_UNUSED static void plugin_export(const char *name, const char *value)
{
    plugin_assign("PIPELINE_ENV", name, value);
}

/* Hidden from now on, wherever it is printed. */
PLUGIN_UNUSED static void plugin_mask(const char *secret)
{
    plugin_append("PIPELINE_MASK", "%s%s\n", secret, "");
}

/* What is printed between the two belongs together. */
PLUGIN_UNUSED static void plugin_group(const char *title)
{
    printf("::group::%s\n", title);
    fflush(stdout);
}

PLUGIN_UNUSED static void plugin_group_end(void)
{
    printf("::endgroup::\n");
    fflush(stdout);
}

#endif
