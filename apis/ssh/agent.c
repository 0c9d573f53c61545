#include "apis/ssh/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "apis/ssh/key.h"

enum {
    FAILURE = 5,
    REQUEST_IDENTITIES = 11,
    IDENTITIES_ANSWER = 12,
    SIGN_REQUEST = 13,
    SIGN_RESPONSE = 14,
    ANSWER_MAX = 1 << 20,
};

void ssh_agent_release(struct ssh_agent *agent)
{
    if (agent->fd >= 0)
        close(steal_fd(&agent->fd));
    free(steal_ptr(&agent->path));
}

void ssh_agent_keys_release(struct ssh_agent_keys *keys)
{
    vec_foreach (struct ssh_agent_key *, key, keys) {
        buf_release(&key->blob);
        free(key->comment);
    }
    vec_release(keys);
}

int ssh_agent_open(const struct ctx *ctx, const char *path, struct ssh_agent *ret, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP_FD int fd = -1;

    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(err, ERR_UNAVAILABLE, "%s: too long for the path of a socket", path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "cannot make a socket");
    /* An agent whose backlog is full is asked again. */
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        if (errno != EAGAIN)
            return err_set(err, ERR_UNAVAILABLE, "%s: no agent answers (%s)", path,
                           strerror(errno));
        if (ctx_sleep(ctx, 20, err) < 0)
            return -1;
    }
    *ret = (struct ssh_agent){.path = xstrdup(path), .fd = steal_fd(&fd)};
    return 0;
}

static void add_u32(struct buf *out, size_t value)
{
    const unsigned char bytes[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                                    (unsigned char)(value >> 8), (unsigned char)value};

    buf_add(out, bytes, sizeof(bytes));
}

static void add_string(struct buf *out, const void *data, size_t len)
{
    add_u32(out, len);
    buf_add(out, data, len);
}

/* Sends or receives all of `len` bytes. */
static int transfer(const struct ctx *ctx, struct ssh_agent *agent, bool sending, char *data,
                    size_t len, struct err *err)
{
    struct pollfd pollfd = {.fd = agent->fd, .events = sending ? POLLOUT : POLLIN};

    while (len) {
        ssize_t moved =
            sending ? send(agent->fd, data, len, MSG_NOSIGNAL) : recv(agent->fd, data, len, 0);

        if (moved < 0 && errno == EAGAIN) {
            if (ctx_poll(ctx, &pollfd, 1, -1, err) < 0)
                return -1;
            continue;
        }
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return err_set(err, ERR_PROTOCOL, "%s: the agent hung up", agent->path);
        data += moved;
        len -= (size_t)moved;
    }
    return 0;
}

/* Sends a message (its type and what follows) and receives the answer likewise. */
static int ask(const struct ctx *ctx, struct ssh_agent *agent, const struct buf *question,
               struct buf *answer, struct err *err)
{
    CLEANUP_BUF struct buf message = BUF_INIT;
    unsigned char header[4];
    size_t len;

    add_string(&message, question->data, question->len);
    if (transfer(ctx, agent, true, message.data, message.len, err) < 0 ||
        transfer(ctx, agent, false, (char *)header, sizeof(header), err) < 0)
        return -1;
    len = (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
    if (len == 0 || len > ANSWER_MAX)
        return err_set(err, ERR_PROTOCOL, "%s: an answer of %zu bytes is none of an agent",
                       agent->path, len);
    buf_reserve(answer, len);
    if (transfer(ctx, agent, false, answer->data, len, err) < 0)
        return -1;
    answer->len = len;
    answer->data[len] = '\0';
    return 0;
}

int ssh_agent_list(const struct ctx *ctx, struct ssh_agent *agent, struct ssh_agent_keys *ret,
                   struct err *err)
{
    CLEANUP_BUF struct buf question = BUF_INIT;
    CLEANUP_BUF struct buf answer = BUF_INIT;
    const char *at, *end, *blob, *comment;
    size_t blob_len, comment_len;

    buf_addch(&question, REQUEST_IDENTITIES);
    if (ask(ctx, agent, &question, &answer, err) < 0)
        return -1;
    if (answer.data[0] != IDENTITIES_ANSWER || answer.len < 5)
        return err_set(err, ERR_PROTOCOL, "%s: the agent does not list its keys", agent->path);
    at = answer.data + 5;
    end = answer.data + answer.len;
    while (ssh_wire_string(&at, end, &blob, &blob_len) &&
           ssh_wire_string(&at, end, &comment, &comment_len)) {
        struct ssh_agent_key key = {.blob = BUF_INIT, .comment = xstrndup(comment, comment_len)};

        buf_add(&key.blob, blob, blob_len);
        vec_push(ret, key);
    }
    return 0;
}

int ssh_agent_sign(const struct ctx *ctx, struct ssh_agent *agent, const struct buf *blob,
                   const void *data, size_t len, uint32_t flags, struct buf *ret, struct err *err)
{
    CLEANUP_BUF struct buf question = BUF_INIT;
    CLEANUP_BUF struct buf answer = BUF_INIT;
    const char *at, *end, *signature, *part;
    size_t signature_len, part_len;

    buf_addch(&question, SIGN_REQUEST);
    add_string(&question, blob->data, blob->len);
    add_string(&question, data, len);
    add_u32(&question, flags);
    if (ask(ctx, agent, &question, &answer, err) < 0)
        return -1;
    if (answer.data[0] == FAILURE)
        return err_set(err, ERR_DENIED, "%s: the agent does not sign (is it locked?)", agent->path);
    at = answer.data + 1;
    end = answer.data + answer.len;
    if (answer.data[0] != SIGN_RESPONSE || !ssh_wire_string(&at, end, &signature, &signature_len))
        return err_set(err, ERR_PROTOCOL, "%s: the agent gives no signature", agent->path);
    end = signature + signature_len;
    /* The algorithm, and then what counts. */
    if (!ssh_wire_string(&signature, end, &part, &part_len) ||
        !ssh_wire_string(&signature, end, &part, &part_len))
        return err_set(err, ERR_PROTOCOL, "%s: the agent gives no signature", agent->path);
    buf_add(ret, part, part_len);
    return 0;
}
