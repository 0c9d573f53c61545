/* The connection to an agent, with one that has faults. */
#include "tests/unit/test.h"

#include "apis/idp/agent.h"
#include "base/alloc.h"
#include "fixture/agent.h"

static struct agent agent;

static int open_as(const struct ctx *ctx, const char *path, const char *secret, int auth_wait_ms,
                   struct err *err)
{
    CLEANUP_FREE char *url = xasprintf("http://127.0.0.1:%u", agent.port);
    const struct idp_options options = {.base_url = url,
                                        .path = path,
                                        .peer = "the agent",
                                        .client_id = AGENT_ID,
                                        .client_secret = secret,
                                        .auth_wait_ms = auth_wait_ms};
    CLEANUP_IDP struct idp *idp = NULL;

    return idp_open(ctx, &options, &idp, err);
}

static void assert_refused(const char *path, const char *secret, int auth_wait_ms,
                           enum err_code code, const char *message)
{
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;

    ctx_init_cleanup(&ctx, 60000);
    assert_int_equal(open_as(&ctx, path, secret, auth_wait_ms, &err), -1);
    assert_string_equal(err.message, message);
    assert_int_equal(err.code, code);
}

/* In words that are the transport's. */
static void assert_unavailable(void)
{
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;

    ctx_init_cleanup(&ctx, 60000);
    atomic_store(&agent.refuse, 1);
    assert_int_equal(open_as(&ctx, NULL, AGENT_SECRET, 0, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
}

static void agents_that_take_no_login_say_why(void **state)
{
    (void)state;
    assert_refused(NULL, "wrong", 0, ERR_DENIED,
                   "the agent refuses the client_id and client_secret of the URL: "
                   "failed to authenticate: invalid client id or secret");
    assert_refused("/told", AGENT_SECRET, 0, ERR_DENIED,
                   "the agent refuses the client_id and client_secret of the URL: "
                   "not with ****** of?all");
    assert_refused("/deaf", AGENT_SECRET, 50, ERR_UNAVAILABLE,
                   "the agent has not answered the authentication within 50 ms");
    assert_refused("/silent", AGENT_SECRET, 50, ERR_UNAVAILABLE,
                   "the agent has not answered the request for a WebSocket within 50 ms");
    assert_refused("/http", AGENT_SECRET, 0, ERR_PROTOCOL,
                   "the agent is no IDP agent, or not at this path: it answers with the HTTP "
                   "status 404");
    assert_unavailable();
}

/* An agent may lose what comes before it is ready. */
static void a_login_that_is_lost_is_repeated(void **state)
{
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;

    (void)state;
    ctx_init_cleanup(&ctx, 60000);
    assert_int_equal(open_as(&ctx, "/late", AGENT_SECRET, 0, &err), 0);
}

static void the_end_of_a_context_is_no_fault_of_the_agent(void **state)
{
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;

    (void)state;
    ctx_init_cleanup(&ctx, 50);
    assert_int_equal(open_as(&ctx, "/deaf", AGENT_SECRET, 0, &err), -1);
    assert_int_equal(err.code, ERR_TIMEOUT);
}

static int set_up(void **state)
{
    (void)state;
    agent_start(&agent);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    agent_stop(&agent);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agents_that_take_no_login_say_why),
        cmocka_unit_test(a_login_that_is_lost_is_repeated),
        cmocka_unit_test(the_end_of_a_context_is_no_fault_of_the_agent),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
