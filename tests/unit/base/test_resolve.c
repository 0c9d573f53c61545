/* Names, with a C library that asks a server who says nothing; linked with --wrap. */
#include "tests/unit/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dial.h"
#include "base/resolve.h"

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);
int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);
void __wrap_freeaddrinfo(struct addrinfo *list);
void __real_freeaddrinfo(struct addrinfo *list);

static sem_t answer, freed;
static struct ctx *to_cancel; /* once the question has been asked */

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret)
{
    if (hints->ai_flags & AI_NUMERICHOST)
        return __real_getaddrinfo(host, service, hints, ret);
    if (strcmp(host, "none.example") == 0)
        return EAI_NONAME;
    if (strcmp(host, "slow.example") == 0) {
        if (to_cancel)
            ctx_cancel(to_cancel, CTX_CAUSE_USER);
        sem_wait(&answer);
    }
    return __real_getaddrinfo("127.0.0.1", service, hints, ret);
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
    __real_freeaddrinfo(list);
    sem_post(&freed);
}

static void names_are_looked_up(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1", "some.example"};
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;
    struct addrinfo *list;
    int fd;

    (void)state;
    ctx_init_cleanup(&ctx, 120000);
    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
        assert_int_equal(resolve_host(&ctx, hosts[i], "80", &list, &err), 0);
        assert_int_equal(list->ai_socktype, SOCK_STREAM);
        assert_null(list->ai_next);
        freeaddrinfo(list);
        sem_wait(&freed);
    }
    assert_int_equal(resolve_host(&ctx, "none.example", NULL, &list, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.message, "Name or service not known");
    err_clear(&err);
    assert_int_equal(dial_tcp(&ctx, "none.example", 80, &fd, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.message, "none.example:80: Name or service not known");
}

/* What comes after all is freed by the thread that is left behind. */
static void leave_behind(void)
{
    sem_post(&answer);
    sem_wait(&freed);
}

static void a_deadline_is_heard(void **state)
{
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;
    struct addrinfo *list;

    (void)state;
    ctx_init_cleanup(&ctx, 20);
    assert_int_equal(resolve_host(&ctx, "slow.example", "80", &list, &err), -1);
    assert_int_equal(err.code, ERR_TIMEOUT);
    leave_behind();
}

static void a_cancellation_is_heard(void **state)
{
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;
    struct addrinfo *list;
    int fd;

    (void)state;
    assert_int_equal(ctx_init_root(&ctx, NULL, NULL), 0);
    to_cancel = &ctx;
    assert_int_equal(dial_tcp(&ctx, "slow.example", 80, &fd, &err), -1);
    to_cancel = NULL;
    assert_int_equal(err.code, ERR_CANCELLED);
    leave_behind();
    /* Nothing is asked any more. */
    err_clear(&err);
    assert_int_equal(resolve_host(&ctx, "127.0.0.1", "80", &list, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
}

static int set_up(void **state)
{
    (void)state;
    return sem_init(&answer, 0, 0) < 0 || sem_init(&freed, 0, 0) < 0 ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_looked_up),
        cmocka_unit_test(a_deadline_is_heard),
        cmocka_unit_test(a_cancellation_is_heard),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
