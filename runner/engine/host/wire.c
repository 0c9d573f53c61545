#include "engine/host/wire.h"

#include <string.h>

#include "base/alloc.h"

/* The payload: this, the group ids, then the strings, each with its NUL: cwd, argv, environment. */
struct fixed_part {
    uint32_t argc;
    uint32_t envc;
    uint32_t has_tty;
    uint32_t has_user;
    uint32_t uid;
    uint32_t gid;
    uint32_t group_count;
};

static void add_string(struct buf *out, const char *s)
{
    buf_add(out, s, strlen(s) + 1);
}

int wire_encode(const struct wire_program *program, const struct strmap *environment,
                struct buf *out, struct err *err)
{
    struct fixed_part fixed = {.envc = environment->len,
                               .has_tty = program->has_tty,
                               .has_user = program->has_user};

    while (program->argv[fixed.argc])
        fixed.argc++;
    if (program->has_user) {
        fixed.uid = program->user.uid;
        fixed.gid = program->user.gid;
        fixed.group_count = (uint32_t)program->user.group_count;
    }
    buf_add(out, &fixed, sizeof(fixed));
    buf_add(out, program->user.groups, fixed.group_count * sizeof(gid_t));
    add_string(out, program->cwd);
    for (uint32_t i = 0; i < fixed.argc; i++)
        add_string(out, program->argv[i]);
    strmap_foreach (entry, environment) {
        buf_addstr(out, entry->key);
        buf_addch(out, '=');
        add_string(out, entry->value);
    }
    if (out->len > WIRE_MAX_BYTES)
        return err_set(err, ERR_LIMIT,
                       "command and environment take %zu bytes; at most %d can be "
                       "given to a process",
                       out->len, WIRE_MAX_BYTES);
    return 0;
}

struct reader {
    const char *at;
    const char *end;
    bool broken;
};

static void take(struct reader *r, void *out, size_t size)
{
    if (r->broken || (size_t)(r->end - r->at) < size) {
        r->broken = true;
        return;
    }
    if (size)
        memcpy(out, r->at, size);
    r->at += size;
}

static const char *take_string(struct reader *r)
{
    const char *s = r->at;
    const char *nul = r->broken ? NULL : memchr(s, '\0', (size_t)(r->end - s));

    if (!nul) {
        r->broken = true;
        return "";
    }
    r->at = nul + 1;
    return s;
}

static const char **take_strings(struct reader *r, uint32_t count)
{
    const char **items;

    /* Each takes at least its NUL: a count beyond the bytes that are left is a lie. */
    if (r->broken || count > (size_t)(r->end - r->at)) {
        r->broken = true;
        count = 0;
    }
    items = xcalloc((size_t)count + 1, sizeof(*items));
    for (uint32_t i = 0; i < count; i++)
        items[i] = take_string(r);
    return items;
}

int wire_decode(const char *payload, size_t size, struct wire_program *ret, struct err *err)
{
    struct reader r = {.at = payload, .end = payload + size};
    struct fixed_part fixed = {0};
    struct wire_program program = {0};

    take(&r, &fixed, sizeof(fixed));
    program.has_tty = fixed.has_tty != 0;
    program.has_user = fixed.has_user != 0;
    program.user.uid = fixed.uid;
    program.user.gid = fixed.gid;
    program.user.group_count = fixed.group_count;
    if (fixed.group_count > sizeof(program.user.groups) / sizeof(*program.user.groups))
        r.broken = true;
    take(&r, program.user.groups, r.broken ? 0 : fixed.group_count * sizeof(gid_t));
    program.cwd = take_string(&r);
    program.argv = take_strings(&r, fixed.argc);
    program.envp = take_strings(&r, fixed.envc);
    if (r.broken || fixed.argc == 0) {
        wire_program_release(&program);
        return err_set(err, ERR_PROTOCOL, "the request to start a step is malformed");
    }
    *ret = program;
    return 0;
}

void wire_program_release(struct wire_program *program)
{
    free(program->argv);
    free(program->envp);
    program->argv = program->envp = NULL;
}
