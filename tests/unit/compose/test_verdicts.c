/* What the state of a container means, and whether one that another tool made is as wanted. */
#include "tests/unit/test.h"

#include "compose/compare.h"
#include "compose/run.h"

static const struct verdict_row {
    struct docker_container container;
    enum compose_condition condition;
    enum compose_verdict verdict;
    const char *why;
} verdict_rows[] = {
    {{.status = "running", .health = ""}, COMPOSE_UP, COMPOSE_MET, ""},
    {{.status = "running", .health = "none"}, COMPOSE_UP, COMPOSE_MET, ""},
    {{.status = "paused", .health = ""},
     COMPOSE_UP,
     COMPOSE_NOT_MET,
     "is paused; unpause it with `docker unpause`"},
    {{.status = "paused", .health = "healthy"},
     COMPOSE_HEALTHY,
     COMPOSE_NOT_MET,
     "is paused; unpause it with `docker unpause`"},
    {{.status = "created", .health = ""}, COMPOSE_UP, COMPOSE_PENDING, ""},
    {{.status = "restarting", .health = ""}, COMPOSE_UP, COMPOSE_PENDING, ""},
    {{.status = "restarting", .health = "", .restart_count = 3, .exit_code = 4},
     COMPOSE_UP,
     COMPOSE_NOT_MET,
     "ends again and again, the last time with exit code 4"},
    {{.status = "restarting", .health = "", .restart_count = 3},
     COMPOSE_COMPLETED,
     COMPOSE_PENDING,
     ""},
    {{.status = "running", .health = "starting"}, COMPOSE_UP, COMPOSE_PENDING, ""},
    {{.status = "running", .health = "healthy"}, COMPOSE_UP, COMPOSE_MET, ""},
    {{.status = "running", .health = "unhealthy", .health_output = "no disk\nmore"},
     COMPOSE_UP,
     COMPOSE_NOT_MET,
     "is unhealthy: its check says \"no disk\""},
    {{.status = "running", .health = "unhealthy"},
     COMPOSE_HEALTHY,
     COMPOSE_NOT_MET,
     "is unhealthy"},
    {{.status = "exited", .health = ""}, COMPOSE_UP, COMPOSE_MET, ""},
    {{.status = "exited", .health = "", .exit_code = 137, .oom_killed = true},
     COMPOSE_UP,
     COMPOSE_NOT_MET,
     "ended with exit code 137 because it was out of memory"},
    {{.status = "exited", .health = ""},
     COMPOSE_HEALTHY,
     COMPOSE_NOT_MET,
     "ended with exit code 0"},
    {{.status = "running", .health = ""},
     COMPOSE_HEALTHY,
     COMPOSE_NOT_MET,
     "has no health check, which what depends on it waits for"},
    {{.status = "running", .health = "healthy"}, COMPOSE_HEALTHY, COMPOSE_MET, ""},
    {{.status = "running", .health = ""}, COMPOSE_COMPLETED, COMPOSE_PENDING, ""},
    {{.status = "running", .health = "unhealthy"}, COMPOSE_COMPLETED, COMPOSE_PENDING, ""},
    {{.status = "exited", .health = ""}, COMPOSE_COMPLETED, COMPOSE_MET, ""},
    {{.status = "exited", .health = "", .exit_code = 2, .error = "no such file"},
     COMPOSE_COMPLETED,
     COMPOSE_NOT_MET,
     "ended with exit code 2 (no such file)"},
    {{.status = "dead", .health = ""}, COMPOSE_UP, COMPOSE_NOT_MET, "is dead"},
};

static void test_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(verdict_rows) / sizeof(*verdict_rows); i++) {
        struct docker_container container = verdict_rows[i].container;
        CLEANUP_BUF struct buf why = BUF_INIT;

        container.error = container.error ? container.error : "";
        container.health_output = container.health_output ? container.health_output : "";
        if (compose_judge(&container, verdict_rows[i].condition, &why) != verdict_rows[i].verdict)
            fail_msg("row %zu", i);
        assert_string_equal(why.data, verdict_rows[i].why);
    }
}

static const struct difference_row {
    const char *body;
    const char *inspected;
    const char *difference; /* NULL: none */
} difference_rows[] = {
    {"{'Image':'i'}", "{'Config':{'Image':'i','Cmd':['sh']},'HostConfig':{}}", NULL},
    {"{'Image':'i'}", "{'Config':{'Image':'j'},'HostConfig':{}}", "Image"},
    {"{'Cmd':['a','b']}", "{'Config':{'Cmd':['b','a']},'HostConfig':{}}", "Cmd"},
    {"{'Env':['A=1']}", "{'Config':{'Env':['PATH=/bin','A=1']},'HostConfig':{}}", NULL},
    {"{'Env':['A=1']}", "{'Config':{'Env':['PATH=/bin','A=2']},'HostConfig':{}}", "Env"},
    {"{}", "{'Config':{'Env':['PATH=/bin','A=2']},'HostConfig':{}}", "Env"},
    {"{'StopTimeout':0}", "{'Config':{'StopTimeout':0},'HostConfig':{}}", NULL},
    {"{'StopTimeout':0}", "{'Config':{},'HostConfig':{}}", "StopTimeout"},
    {"{'Tty':true}", "{'Config':{'Tty':false},'HostConfig':{}}", "Tty"},
    {"{}", "{'Config':{'Tty':true},'HostConfig':{}}", "Tty"},
    {"{'Labels':{'l':'1','com.docker.compose.version':'x'}}",
     "{'Config':{'Labels':{'l':'1','m':'2'}},'HostConfig':{}}", NULL},
    {"{'Labels':{'l':'1'}}", "{'Config':{'Labels':{'l':'2'}},'HostConfig':{}}", "Labels"},
    {"{'Healthcheck':{'Test':['CMD','a'],'Interval':5}}",
     "{'Config':{'Healthcheck':{'Test':['CMD','a'],'Interval':5,'Retries':0}},'HostConfig':{}}",
     NULL},
    {"{'Healthcheck':{'Test':['CMD','a'],'Interval':5}}",
     "{'Config':{'Healthcheck':{'Test':['CMD','a'],'Interval':6}},'HostConfig':{}}", "Healthcheck"},
    {"{'HostConfig':{'Binds':['a:/a:rw','b:/b:rw']}}",
     "{'Config':{},'HostConfig':{'Binds':['b:/b:rw','a:/a:rw']}}", NULL},
    {"{'HostConfig':{}}", "{'Config':{},'HostConfig':{'Binds':['b:/b:rw']}}", "Binds"},
    {"{'HostConfig':{'CapAdd':['NET_ADMIN']}}",
     "{'Config':{},'HostConfig':{'CapAdd':['CAP_NET_ADMIN']}}", NULL},
    {"{'HostConfig':{'PortBindings':{'80/tcp':[{'HostPort':'1'}]}}}",
     "{'Config':{},'HostConfig':{'PortBindings':{'80/tcp':[{'HostIp':'','HostPort':'1'}]}}}", NULL},
    {"{'HostConfig':{'PortBindings':{'80/tcp':[{'HostPort':'1'}]}}}",
     "{'Config':{},'HostConfig':{'PortBindings':{'80/tcp':[{'HostIp':'','HostPort':'2'}]}}}",
     "PortBindings"},
    {"{'HostConfig':{'Memory':5}}", "{'Config':{},'HostConfig':{'Memory':5}}", NULL},
    {"{}", "{'Config':{},'HostConfig':{'Memory':5}}", "Memory"},
    {"{'HostConfig':{'RestartPolicy':{'Name':'always'}}}",
     "{'Config':{},'HostConfig':{'RestartPolicy':{'Name':'always','MaximumRetryCount':0}}}", NULL},
    {"{'HostConfig':{'RestartPolicy':{'Name':'always'}}}",
     "{'Config':{},'HostConfig':{'RestartPolicy':{'Name':'no'}}}", "RestartPolicy"},
};

static json_t *parse(const char *text)
{
    CLEANUP_FREE char *json = strdup(text);

    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    return json_loads(json, 0, NULL);
}

static void test_differences(void **state)
{
    CLEANUP_STRVEC struct strvec image_env = {0};

    (void)state;
    strvec_push(&image_env, "PATH=/bin");
    for (size_t i = 0; i < sizeof(difference_rows) / sizeof(*difference_rows); i++) {
        const struct difference_row *row = &difference_rows[i];
        json_t *body = parse(row->body);
        json_t *inspected = parse(row->inspected);
        const char *got = compose_difference(body, inspected, &image_env);

        if (strcmp(got ? got : "", row->difference ? row->difference : "") != 0)
            fail_msg("%s and %s: %s", row->body, row->inspected, got ? got : "no difference");
        json_decref(body);
        json_decref(inspected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_differences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
