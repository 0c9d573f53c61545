/* `helper relay`: process 1 of a container that its runner reaches by connections that break. What
 * it speaks is in ../relay.h.
 *
 * A child of it does what `helper serve` does, between three pipes. One loop moves bytes between
 * those, the spool and the connection, and never waits for any of them alone: a lease has to end,
 * and a newer connection to be taken, whatever is stuck. */
#include <asm/errno.h>
#include <asm/poll.h>
#include <linux/fcntl.h>
#include <linux/wait.h>

#include "../relay.h"
#include "../request.h"
#include "bytes.h"
#include "line.h"
#include "program.h"
#include "rt.h"
#include "sender.h"
#include "spool.h"
#include "sys.h"
#include "tree.h"
#include "unix.h"

/* Connections that have not said hello. */
#define PENDING_MAX    4
#define FRAME_HEAD_MAX 9
/* What `serve` may take to end its tree and to remove its files, once its input has ended. */
#define ENDING_MS 10000
/* Of output in one go, so that more is packed at once. */
#define READS_MAX (HELPER_RELAY_PACKED_MAX / HELPER_RELAY_DATA_MAX)
/* A connection over which nothing is received for so long is not waited for. */
#define STALL_MS 1000

struct pending {
    struct line line;
    size_t len;
    char hello[HELPER_RELAY_HELLO_SIZE];
};

/* The connection. */
struct peer {
    struct line line;
    char in[FRAME_HEAD_MAX]; /* of a frame of the runner: type and number */
    size_t in_len;
    size_t input_left; /* of its data */
};

struct relay {
    int directory;
    int shared; /* the tree that it holds together with other relays; -1: none */
    int listener;
    int signals;
    int serve_in;     /* -1: closed */
    int serve_out[2]; /* likewise */
    int next_output;  /* which of them is taken from first */
    struct tree tree; /* `serve` is its main process */
    bool ended;       /* that it has ended is in the spool */
    struct spool spool;
    struct pending pending[PENDING_MAX];
    size_t next_pending;
    struct peer peer;
    struct sender sender; /* to it */
    long received_ms;     /* when that has said for the last time that it has received output, and
                             there was none in the file */
    bool has_nonce;
    char nonce[HELPER_NONCE_SIZE];
    char *input; /* ring of HELPER_RELAY_WINDOW bytes: sent, and not taken */
    size_t input_len;
    unsigned long taken; /* where it begins, too */
    long lease_end_ms;
    int stopped_by; /* signal; 0: none */
    bool quit;
};

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* As long as there is a connection that takes output, a program that writes faster waits for it, as
 * at a pipe: the disk is slower. What the disk has been needed for already is not waited for. */
static bool is_taken_from(const struct relay *relay)
{
    return relay->peer.line.life >= 0 && now_ms() < relay->received_ms + STALL_MS;
}

static bool has_room(struct relay *relay)
{
    return spool_has_room(&relay->spool, false) ||
           (!is_taken_from(relay) && spool_has_room(&relay->spool, true));
}

/* --- serve --- */

static void make_pipe(int ret[2])
{
    long error = SYS2(pipe2, ret, O_CLOEXEC);

    if (error < 0)
        fail(HELPER_EXIT_CANNOT, "make a pipe", "", error_text(error));
}

static void start_serve(struct relay *relay, char *const *env)
{
    int pipes[3][2];
    long pid;

    for (int i = 0; i < 3; i++)
        make_pipe(pipes[i]);
    pid = SYS5(clone, SIGCHLD, 0, 0, 0, 0);
    if (pid < 0)
        fail(HELPER_EXIT_CANNOT, "start a process", "", error_text(pid));
    if (pid == 0) {
        for (int i = 0; i < 3; i++) {
            SYS3(dup3, pipes[i][i > 0], i, 0);
            SYS1(close, pipes[i][0]);
            SYS1(close, pipes[i][1]);
        }
        sys_exit(command_serve(env));
    }
    relay->tree.main_pid = (int)pid;
    relay->serve_in = pipes[0][1];
    relay->serve_out[0] = pipes[1][0];
    relay->serve_out[1] = pipes[2][0];
    close_fd(&pipes[0][0]);
    close_fd(&pipes[1][1]);
    close_fd(&pipes[2][1]);
    set_nonblocking(relay->serve_in);
    set_nonblocking(relay->serve_out[0]);
    set_nonblocking(relay->serve_out[1]);
}

/* What it does not want is taken, too: nobody is going to want it. */
static void give_input(struct relay *relay)
{
    size_t at = relay->taken % HELPER_RELAY_WINDOW;
    size_t size = min_size(relay->input_len, HELPER_RELAY_WINDOW - at);
    long n = relay->serve_in < 0 ? -EPIPE : SYS3(write, relay->serve_in, relay->input + at, size);

    if (is_again(n))
        return;
    if (n < 0) {
        close_fd(&relay->serve_in);
        n = (long)size;
    }
    relay->taken += (unsigned long)n;
    relay->input_len -= (size_t)n;
}

static void take_output(struct relay *relay, int which)
{
    static const char streams[] = {HELPER_RELAY_STDOUT, HELPER_RELAY_STDERR};
    long n = HELPER_RELAY_DATA_MAX;

    for (unsigned i = 0; i < READS_MAX && n == HELPER_RELAY_DATA_MAX && has_room(relay); i++) {
        n = spool_add_from(&relay->spool, streams[which], relay->serve_out[which]);
        if (n >= PIPE_FULL_BYTES)
            enlarge_pipe(relay->serve_out[which]);
        /* Somebody who could not be killed may have kept the other end. */
        if (n <= 0 && (!is_again(n) || relay->tree.main_ended))
            close_fd(&relay->serve_out[which]);
    }
}

/* Once it has ended: its output is complete when nothing of its tree is left. */
static void note_end(struct relay *relay)
{
    int code = relay->tree.exit_code;
    char digits[] = {(char)('0' + code / 100), (char)('0' + code / 10 % 10),
                     (char)('0' + code % 10)};

    if (relay->serve_out[0] >= 0 || relay->serve_out[1] >= 0 || relay->ended || !has_room(relay))
        return;
    spool_add(&relay->spool, HELPER_RELAY_ENDED, digits, sizeof(digits));
    relay->ended = true;
}

static void take_signals(struct relay *relay)
{
    bool had_ended = relay->tree.main_ended;
    int signal = tree_take_signals(relay->signals);

    tree_reap(&relay->tree);
    if (relay->tree.main_ended && !had_ended)
        tree_end(&relay->tree);
    if (!signal)
        return;
    relay->stopped_by = signal;
    if (!relay->tree.main_ended)
        SYS2(kill, relay->tree.main_pid, signal);
}

/* --- the runner's frames --- */

static bool add_input(struct relay *relay, const char *data, size_t size)
{
    size_t at = (relay->taken + relay->input_len) % HELPER_RELAY_WINDOW;
    size_t first = min_size(size, HELPER_RELAY_WINDOW - at);

    if (size > HELPER_RELAY_WINDOW - relay->input_len)
        return false;
    memcpy(relay->input + at, data, first);
    memcpy(relay->input, data + first, size - first);
    relay->input_len += size;
    return true;
}

static size_t frame_number_size(char type)
{
    return type == HELPER_RELAY_RECEIVED ? 8 : type == HELPER_RELAY_QUIT ? 0 : 4;
}

/* False: it is none. */
static bool take_frame(struct relay *relay, char type, unsigned long number)
{
    switch (type) {
    case HELPER_RELAY_INPUT:
        relay->peer.input_left = number;
        return number <= HELPER_RELAY_DATA_MAX;
    case HELPER_RELAY_RECEIVED:
        if (number > relay->sender.sent)
            return false;
        spool_received(&relay->spool, number);
        /* Until the file is empty, nothing of this makes room in memory. */
        if (spool_in_memory(&relay->spool))
            relay->received_ms = now_ms();
        return true;
    case HELPER_RELAY_LEASE:
        relay->lease_end_ms = now_ms() + (long)number;
        relay->sender.asked = true;
        return true;
    case HELPER_RELAY_QUIT:
        relay->quit = true;
        return true;
    default:
        return false;
    }
}

static bool take_bytes(struct relay *relay, const char *data, size_t len)
{
    struct peer *peer = &relay->peer;

    while (len > 0) {
        size_t size = 1;

        if (peer->input_left > 0) {
            size = min_size(peer->input_left, len);
            if (!add_input(relay, data, size))
                return false;
            peer->input_left -= size;
        } else {
            peer->in[peer->in_len++] = *data;
            if (peer->in_len == 1 + frame_number_size(peer->in[0])) {
                if (!take_frame(relay, peer->in[0], get_le(peer->in + 1, peer->in_len - 1)))
                    return false;
                peer->in_len = 0;
            }
        }
        data += size;
        len -= size;
    }
    return true;
}

static void read_peer(struct relay *relay)
{
    static char data[HELPER_RELAY_DATA_MAX];
    long n = SYS3(read, relay->peer.line.in, data, sizeof(data));

    if (!is_again(n) && (n <= 0 || !take_bytes(relay, data, (size_t)n)))
        line_close(&relay->peer.line);
}

/* --- connections --- */

static void accept_connection(struct relay *relay)
{
    long fd = SYS4(accept4, relay->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct pending *pending = &relay->pending[relay->next_pending];

    if (fd < 0)
        return;
    relay->next_pending = (relay->next_pending + 1) % PENDING_MAX;
    line_close(&pending->line);
    *pending = (struct pending){.line = LINE_NONE};
    pending->line.life = (int)fd;
}

static bool is_nonce(const struct relay *relay, const char *nonce)
{
    int difference = 0;

    for (int i = 0; i < HELPER_NONCE_SIZE; i++)
        difference |= nonce[i] ^ relay->nonce[i];
    return !relay->has_nonce || difference == 0;
}

/* 0: it is welcome. */
static int refusal_of(const struct relay *relay, const char *hello)
{
    unsigned long received = get_le(hello + 4 + HELPER_NONCE_SIZE, 8);

    for (int i = 0; i < 4; i++) {
        if (hello[i] != HELPER_RELAY_HELLO[i])
            return HELPER_REFUSED_HELLO;
    }
    if (!is_nonce(relay, hello + 4))
        return HELPER_REFUSED_NONCE;
    if (received < relay->spool.received || received > relay->spool.end)
        return HELPER_REFUSED_OFFSET;
    return 0;
}

static void refuse(struct pending *pending, int reason)
{
    char refusal[HELPER_RELAY_WELCOME_SIZE] = HELPER_RELAY_REFUSAL;

    put_le(refusal + 4, 8, (unsigned long)reason);
    SYS3(write, pending->line.out, refusal, sizeof(refusal));
    line_close(&pending->line);
}

static void welcome(struct relay *relay, struct pending *pending)
{
    memcpy(relay->nonce, pending->hello + 4, HELPER_NONCE_SIZE);
    relay->has_nonce = true;
    relay->input_len = 0;
    spool_received(&relay->spool, get_le(pending->hello + 4 + HELPER_NONCE_SIZE, 8));
    line_close(&relay->peer.line);
    relay->peer = (struct peer){.line = pending->line};
    sender_begin(&relay->sender, relay->taken);
    relay->received_ms = now_ms();
    pending->line = LINE_NONE;
}

static void read_hello(struct relay *relay, struct pending *pending)
{
    size_t left = sizeof(pending->hello) - pending->len;
    long n = SYS3(read, pending->line.in, pending->hello + pending->len, left);
    int reason;

    if (is_again(n))
        return;
    if (n <= 0) {
        line_close(&pending->line);
        return;
    }
    pending->len += (size_t)n;
    if (pending->len < sizeof(pending->hello))
        return;
    reason = refusal_of(relay, pending->hello);
    if (reason)
        refuse(pending, reason);
    else
        welcome(relay, pending);
}

static void read_pending(struct relay *relay, struct pending *pending)
{
    if (pending->line.in >= 0)
        read_hello(relay, pending);
    else if (!line_take(&pending->line))
        line_close(&pending->line);
}

/* --- the whole --- */

/* The socket gets its name when it takes connections: between bind() and listen() it would refuse
 * them. */
static void listen_at(struct relay *relay, const char *directory)
{
    struct unix_address address, unready;
    long error;

    unix_address_of(directory, HELPER_RELAY_SOCKET, &address);
    unix_address_of(directory, HELPER_RELAY_SOCKET "~", &unready);
    SYS3(unlinkat, AT_FDCWD, unready.path, 0);
    relay->listener = (int)SYS3(socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    error = relay->listener;
    if (error >= 0)
        error = SYS3(bind, relay->listener, &unready, sizeof(unready));
    if (error >= 0)
        error = SYS2(listen, relay->listener, PENDING_MAX);
    if (error >= 0)
        error = SYS5(renameat2, AT_FDCWD, unready.path, AT_FDCWD, address.path, 0);
    if (error < 0)
        fail(HELPER_EXIT_CANNOT, "listen at", address.path, error_text(error));
}

/* Those that hold a tree share a lock on it. */
static int hold_tree(const char *tree)
{
    long fd = SYS4(openat, AT_FDCWD, tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    long error = fd < 0 ? fd : SYS2(flock, fd, LOCK_SH | LOCK_NB);

    if (error < 0)
        fail(HELPER_EXIT_CANNOT, "hold", tree, error_text(error));
    return (int)fd;
}

/* The last of them removes it. */
static void leave_tree(const struct relay *relay, const char *tree)
{
    if (relay->shared >= 0 && SYS2(flock, relay->shared, LOCK_EX | LOCK_NB) == 0)
        remove_tree(tree);
}

static void open_all(struct relay *relay, const char *directory)
{
    SYS3(mkdirat, AT_FDCWD, directory, 0700);
    relay->directory =
        (int)SYS4(openat, AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (relay->directory < 0)
        fail(HELPER_EXIT_CANNOT, "use the directory", directory, error_text(relay->directory));
    listen_at(relay, directory);
    spool_open(&relay->spool, relay->directory);
    sender_init(&relay->sender, &relay->spool);
    relay->signals = tree_signals();
    relay->input = map_memory(HELPER_RELAY_WINDOW);
    relay->peer.line = LINE_NONE;
    for (int i = 0; i < PENDING_MAX; i++)
        relay->pending[i].line = LINE_NONE;
}

enum {
    AT_SIGNALS,
    AT_LISTENER,
    AT_PEER_IN,
    AT_PEER_OUT,
    AT_PEER_LIFE,
    AT_INPUT,
    AT_OUTPUT,
    AT_PENDING = AT_OUTPUT + 2,
    FDS = AT_PENDING + PENDING_MAX
};

static void wait_for(struct relay *relay, struct pollfd fds[FDS])
{
    long until_ms = relay->lease_end_ms;
    const struct line *line = &relay->peer.line;
    bool room = has_room(relay);
    bool output = sender_wants(&relay->sender, relay->taken);

    fds[AT_SIGNALS] = (struct pollfd){.fd = relay->signals, .events = POLLIN};
    fds[AT_LISTENER] = (struct pollfd){.fd = relay->listener, .events = POLLIN};
    fds[AT_PEER_IN] = (struct pollfd){.fd = line->in, .events = POLLIN};
    fds[AT_PEER_OUT] = (struct pollfd){.fd = line->out, .events = output ? POLLOUT : 0};
    fds[AT_PEER_LIFE] = (struct pollfd){.fd = line->life, .events = POLLIN};
    fds[AT_INPUT] =
        (struct pollfd){.fd = relay->input_len ? relay->serve_in : -1, .events = POLLOUT};
    for (int i = 0; i < 2; i++)
        fds[AT_OUTPUT + i] =
            (struct pollfd){.fd = room ? relay->serve_out[i] : -1, .events = POLLIN};
    for (int i = 0; i < PENDING_MAX; i++) {
        line = &relay->pending[i].line;
        fds[AT_PENDING + i] =
            (struct pollfd){.fd = line->in >= 0 ? line->in : line->life, .events = POLLIN};
    }
    if (!room && is_taken_from(relay) && relay->received_ms + STALL_MS < until_ms)
        until_ms = relay->received_ms + STALL_MS;
    poll_until(fds, FDS, until_ms);
}

static void write_peer(struct relay *relay, const struct pollfd fds[FDS])
{
    struct line *line = &relay->peer.line;

    if (line->life < 0)
        return;
    if ((fds[AT_PEER_OUT].revents & (POLLERR | POLLHUP)) || fds[AT_PEER_LIFE].revents ||
        ((fds[AT_PEER_OUT].revents & POLLOUT) &&
         !sender_write(&relay->sender, line->out, relay->taken)))
        line_close(line);
}

/* One that floods would take all the room, each time: the other begins the next time. */
static void take_outputs(struct relay *relay, const struct pollfd fds[FDS])
{
    const int first = relay->next_output;

    for (int i = 0; i < 2; i++) {
        const int which = (first + i) % 2;

        if (!fds[AT_OUTPUT + which].revents &&
            !(relay->tree.main_ended && relay->serve_out[which] >= 0))
            continue;
        take_output(relay, which);
        relay->next_output = 1 - first;
    }
}

static void move(struct relay *relay)
{
    struct pollfd fds[FDS];

    wait_for(relay, fds);
    if (fds[AT_SIGNALS].revents)
        take_signals(relay);
    take_outputs(relay, fds);
    if (relay->tree.main_ended)
        note_end(relay);
    if (fds[AT_PEER_IN].revents)
        read_peer(relay);
    if (relay->input_len && (fds[AT_INPUT].revents || relay->serve_in < 0))
        give_input(relay);
    write_peer(relay, fds);
    for (int i = 0; i < PENDING_MAX; i++) {
        if (fds[AT_PENDING + i].revents)
            read_pending(relay, &relay->pending[i]);
    }
    if (fds[AT_LISTENER].revents)
        accept_connection(relay);
}

/* The end of its input makes `serve` end its tree and remove the files of the request; what it
 * still says is for nobody. */
static void end_serve(struct relay *relay)
{
    static char nobody[4096];
    long until_ms = now_ms() + ENDING_MS;

    close_fd(&relay->serve_in);
    while (!relay->tree.main_ended && now_ms() < until_ms) {
        struct pollfd fds[] = {{.fd = relay->signals, .events = POLLIN},
                               {.fd = relay->serve_out[0], .events = POLLIN},
                               {.fd = relay->serve_out[1], .events = POLLIN}};

        poll_until(fds, 3, until_ms);
        tree_take_signals(relay->signals);
        tree_reap(&relay->tree);
        for (int i = 0; i < 2; i++) {
            if (fds[1 + i].revents && SYS3(read, fds[1 + i].fd, nobody, sizeof(nobody)) <= 0)
                close_fd(&relay->serve_out[i]);
        }
    }
    tree_end(&relay->tree);
}

static bool is_over(const struct relay *relay)
{
    return relay->quit || now_ms() >= relay->lease_end_ms ||
           (relay->stopped_by && relay->ended && relay->spool.received == relay->spool.end);
}

int relay_run(char *const *args, char *const *env, bool quiet)
{
    static struct relay relay;
    unsigned long ttl_ms;

    if (!args[0] || !args[1] || (args[2] && args[3]) || !parse_number(args[1], &ttl_ms))
        fail(HELPER_EXIT_CANNOT, "relay", "", "usage: relay DIRECTORY TTL_MS [TREE]");
    if (args[2])
        message_files_are_private();
    start_serve(&relay, env);
    relay.shared = args[2] ? hold_tree(args[2]) : -1;
    open_all(&relay, args[0]);
    if (quiet)
        SYS3(dup3, 0, 2, 0);
    relay.lease_end_ms = now_ms() + (long)ttl_ms;
    while (!is_over(&relay))
        move(&relay);
    close_fd(&relay.listener);
    end_serve(&relay);
    SYS3(unlinkat, relay.directory, HELPER_RELAY_SOCKET, 0);
    SYS3(unlinkat, relay.directory, HELPER_RELAY_SPOOL, 0);
    leave_tree(&relay, args[2]);
    /* Its end is the end of the connection: so the runner sees that nothing is left. */
    if (relay.quit)
        return 0;
    return relay.stopped_by ? 128 + relay.stopped_by : HELPER_EXIT_ABANDONED;
}

int command_relay(char *const *args, char *const *env)
{
    return relay_run(args, env, false);
}
