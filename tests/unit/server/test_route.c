/* The table of routes, and what requests and responses are made of. */
#include "tests/unit/assert_err.h"

#include "server/route.h"

static int nothing(const struct ctx *ctx, struct server *server, const struct web_request *request,
                   struct web_response *response, struct err *err)
{
    (void)ctx;
    (void)server;
    (void)request;
    (void)response;
    (void)err;
    return 0;
}

static const struct web_route routes[] = {
    {"GET", "/", nothing, 1},
    {"GET", "/files/*name", nothing, 2},
    {"POST", "/runs/batch/delete", nothing, 3},
    {"GET", "/runs/:id", nothing, 4},
    {"DELETE", "/runs/:id", nothing, 5},
    {"GET", "/runs/:id/logs", nothing, 6},
    {0},
};

/* What is found, as "FLAGS name=value…", or what is allowed instead. */
static const char *find(const char *method, const char *path)
{
    static char text[256];
    struct strmap params = {0};
    char *allow = NULL;
    const struct web_route *route = web_route_find(routes, method, path, &params, &allow);
    int len = route ? snprintf(text, sizeof(text), "%u", route->flags)
                    : snprintf(text, sizeof(text), "%s", allow ? allow : "none");

    assert_true(!route || !allow);
    strmap_foreach (p, &params)
        len += snprintf(text + len, sizeof(text) - (size_t)len, " %s=%s", p->key, p->value);
    strmap_release(&params);
    free(allow);
    return text;
}

static void test_routes(void **state)
{
    (void)state;
    assert_string_equal(find("GET", "/"), "1");
    assert_string_equal(find("HEAD", "/"), "1");
    assert_string_equal(find("GET", "/runs/abc"), "4 id=abc");
    assert_string_equal(find("DELETE", "/runs/abc"), "5 id=abc");
    assert_string_equal(find("GET", "/runs/abc/logs"), "6 id=abc");
    assert_string_equal(find("POST", "/runs/batch/delete"), "3");
    assert_string_equal(find("GET", "/files"), "2 name=");
    assert_string_equal(find("GET", "/files/"), "2 name=");
    assert_string_equal(find("GET", "/files/js/a.js"), "2 name=js/a.js");
}

static void test_no_route(void **state)
{
    (void)state;
    assert_string_equal(find("GET", "/nothing"), "none");
    assert_string_equal(find("GET", "/runs"), "none");
    assert_string_equal(find("GET", "/runs/"), "none");
    assert_string_equal(find("GET", "/runs/abc/"), "none");
    assert_string_equal(find("GET", "/runs/abc/logs/more"), "none");
    assert_string_equal(find("GET", "/filesystem"), "none");
    assert_string_equal(find("GET", "/runs/batch/delete"), "POST");
    assert_string_equal(find("POST", "/runs/abc"), "GET, HEAD, DELETE");
    assert_string_equal(find("get", "/"), "GET, HEAD");
}

static void test_query(void **state)
{
    struct web_request request = WEB_REQUEST_INIT;
    int64_t number = 7;

    (void)state;
    assert_ok(web_query_int(&request, "limit", 100, &number, &test_err));
    assert_int_equal(number, 7);
    strmap_set(&request.query, "limit", "100");
    assert_ok(web_query_int(&request, "limit", 100, &number, &test_err));
    assert_int_equal(number, 100);
    strmap_set(&request.query, "limit", "101");
    assert_error(web_query_int(&request, "limit", 100, &number, &test_err), ERR_INVALID);
    assert_message("limit is a number from 0 to 100, not \"101\"");
    strmap_set(&request.query, "limit", "-1");
    assert_error(web_query_int(&request, "limit", 100, &number, &test_err), ERR_INVALID);
    strmap_set(&request.query, "limit", "1; DROP TABLE runs");
    assert_error(web_query_int(&request, "limit", 100, &number, &test_err), ERR_INVALID);
    assert_int_equal(number, 100);
    strmap_set(&request.query, "at", "2026-01-02T03:04:05Z");
    assert_ok(web_query_time(&request, "at", &number, &test_err));
    assert_int_equal(number, INT64_C(1767323045000));
    strmap_set(&request.query, "at", "yesterday");
    assert_error(web_query_time(&request, "at", &number, &test_err), ERR_INVALID);
    assert_message("RFC 3339");
    web_request_release(&request);
}

static void test_body(void **state)
{
    struct web_request request = WEB_REQUEST_INIT;
    json_t *value;

    (void)state;
    buf_addstr(&request.body, "{\"a\": 1}");
    value = web_body_json(&request, &test_err);
    assert_int_equal(json_integer_value(json_object_get(value, "a")), 1);
    json_decref(value);
    buf_reset(&request.body);
    buf_addstr(&request.body, "[1]");
    assert_null(web_body_json(&request, &test_err));
    assert_message("is to be a JSON object");
    buf_reset(&request.body);
    buf_addstr(&request.body, "{\"a\": 1, \"a\": 2}");
    assert_null(web_body_json(&request, &test_err));
    assert_message("is no JSON: duplicate object key");
    web_request_release(&request);
}

static void test_errors(void **state)
{
    static const struct {
        enum err_code code;
        int status;
    } rows[] = {
        {ERR_INVALID, 400},     {ERR_DENIED, 403}, {ERR_NOT_FOUND, 404},   {ERR_CONFLICT, 409},
        {ERR_UNSUPPORTED, 409}, {ERR_LIMIT, 429},  {ERR_UNAVAILABLE, 503}, {ERR_TIMEOUT, 503},
        {ERR_CANCELLED, 503},   {ERR_SYSTEM, 500}, {ERR_PROTOCOL, 500},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct web_response response = WEB_RESPONSE_INIT;

        err_set(&test_err, rows[i].code, "bad \"luck\" \xff");
        web_response_err(&response, &test_err);
        assert_int_equal(response.status, rows[i].status);
        assert_string_equal(response.body.data, "{\"error\":\"bad \\\"luck\\\" \xef\xbf\xbd\"}\n");
        assert_int_equal(strmap_has(&response.headers, "retry-after"),
                         rows[i].status == 429 || rows[i].status == 503);
        web_response_release(&response);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes), cmocka_unit_test(test_no_route),
        cmocka_unit_test(test_query),  cmocka_unit_test(test_body),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
