/* The description of the interface and the table of routes say the same. */
#include "tests/unit/test.h"

#include <ctype.h>

#include "base/sha256.h"
#include "server/inside.h"
#include "server/openapi.h"

static json_t *document;

static int load(void **state)
{
    json_error_t error;
    size_t size;
    const char *text = openapi_text(&size);

    (void)state;
    document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!document)
        fail_msg("openapi.json:%d: %s", error.line, error.text);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    json_decref(document);
    return 0;
}

/* "/a/:id/b" as "/a/{id}/b". */
static char *path_of(const char *pattern)
{
    struct buf path = BUF_INIT;

    while (*pattern) {
        size_t len = strcspn(pattern, "/") ? strcspn(pattern, "/") : 1;

        if (*pattern == ':' || *pattern == '*')
            buf_addf(&path, "{%.*s}", (int)len - 1, pattern + 1);
        else
            buf_add(&path, pattern, len);
        pattern += len;
    }
    return buf_steal(&path);
}

static json_t *operation(const char *path, const char *method)
{
    char lower[16] = "";

    for (size_t i = 0; method[i] && i < sizeof(lower) - 1; i++)
        lower[i] = (char)tolower((unsigned char)method[i]);
    return json_object_get(json_object_get(json_object_get(document, "paths"), path), lower);
}

static void test_routes_are_described(void **state)
{
    (void)state;
    for (const struct web_route *r = server_routes; r->handler; r++) {
        CLEANUP_FREE char *path = path_of(r->pattern);
        json_t *described = operation(path, r->method);
        bool open = json_array_size(json_object_get(described, "security")) == 0 &&
                    json_object_get(described, "security");

        if (!described)
            fail_msg("%s %s is not described", r->method, path);
        if (open != !!(r->flags & WEB_OPEN))
            fail_msg("%s %s: whether it needs credentials is not described right", r->method, path);
    }
}

static void test_descriptions_have_routes(void **state)
{
    const char *path, *method;
    json_t *methods, *described;

    (void)state;
    json_object_foreach (json_object_get(document, "paths"), path, methods) {
        json_object_foreach (methods, method, described) {
            bool found = false;

            for (const struct web_route *r = server_routes; r->handler; r++) {
                CLEANUP_FREE char *mine = path_of(r->pattern);

                found = found || (strcmp(mine, path) == 0 && strcasecmp(r->method, method) == 0);
            }
            if (!found)
                fail_msg("%s %s is described, but there is no route", method, path);
            assert_true(json_is_string(json_object_get(described, "operationId")));
            assert_true(json_object_size(json_object_get(described, "responses")) > 0);
        }
    }
}

/* What a "$ref" names is there. */
static void check_refs(const json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach (value, i, member)
            check_refs(member);
        return;
    }
    json_object_foreach ((json_t *)(uintptr_t)value, key, member) {
        const json_t *at = document;
        CLEANUP_FREE char *text = NULL;
        char *rest;

        check_refs(member);
        if (strcmp(key, "$ref") != 0)
            continue;
        assert_memory_equal(json_string_value(member), "#/", 2);
        text = strdup(json_string_value(member) + 2);
        for (char *part = strtok_r(text, "/", &rest); part; part = strtok_r(NULL, "/", &rest))
            at = json_object_get(at, part);
        if (!at)
            fail_msg("%s is not there", json_string_value(member));
    }
}

static void test_references(void **state)
{
    (void)state;
    check_refs(document);
}

/* Who has an earlier one gets this one. */
static void test_its_tag_is_of_its_content(void **state)
{
    struct sha256 hash;
    char hex[SHA256_HEX_SIZE], expected[24];
    size_t size;
    const char *text = openapi_text(&size);

    (void)state;
    sha256_begin(&hash);
    sha256_add(&hash, text, size);
    sha256_hex(&hash, hex);
    snprintf(expected, sizeof(expected), "\"%.16s\"", hex);
    assert_string_equal(openapi_etag(), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_are_described),
        cmocka_unit_test(test_descriptions_have_routes),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_its_tag_is_of_its_content),
    };

    return cmocka_run_group_tests(tests, load, drop);
}
