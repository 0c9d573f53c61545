/* Shared by the files of a session. Only apis/ssh includes this header. */
#pragma once

#include <pthread.h>

#include "apis/ssh/exec.h"
#include "apis/ssh/io.h"
#include "apis/ssh/known_hosts.h"
#include "apis/ssh/libssh2.h"

enum ssh_channel_kind { SSH_CHANNEL_EXEC, SSH_CHANNEL_FORWARD };

enum ssh_channel_state {
    SSH_CHANNEL_OPENING,
    SSH_CHANNEL_STARTING, /* open; the tty and the command are being asked for */
    SSH_CHANNEL_RUNNING,
    SSH_CHANNEL_ENDED, /* the server has closed it, or `error` says what happened */
};

/* A piece of what comes or goes. */
struct ssh_chunk {
    struct ssh_chunk *next;
    int stream; /* of libssh2: 0 output or input, 1 errors */
    size_t at;
    size_t len;
    char data[];
};

struct ssh_queue {
    struct ssh_chunk *first;
    struct ssh_chunk **last;
    size_t bytes;
};

void ssh_queue_init(struct ssh_queue *queue);
void ssh_queue_push(struct ssh_queue *queue, struct ssh_chunk *chunk);
struct ssh_chunk *ssh_queue_pop(struct ssh_queue *queue);
void ssh_queue_release(struct ssh_queue *queue);

/* A channel of a session. Callers see it as an ssh_exec, or as the other end of a socket. */
struct ssh_channel {
    struct ssh_session *session;
    enum ssh_channel_kind kind;
    char *command; /* or the host to connect to */
    unsigned port;
    bool tty;
    int event_fd; /* readable while something is new */

    struct ssh_channel *next; /* this and the rest: guarded by session->mu */
    enum ssh_channel_state state;
    struct ssh_queue in;
    struct ssh_queue out;
    bool signalled;
    bool starved;   /* a write was refused: tell when there is room */
    bool stalled;   /* nothing is read from the server until `in` has room */
    bool eof_asked; /* no more input comes behind `out` */
    bool resized;
    int columns;
    int rows;
    bool abandoned; /* its owner is gone */
    bool handed;    /* a forward that runs: it is the thread's */
    struct err error;
    struct ssh_exec_result result;

    LIBSSH2_CHANNEL *channel; /* this and the rest: the session's thread only */
    int64_t asked_ms;         /* when the request went out that is to be answered; 0: none is */
    bool tty_given;
    bool eof_sent;
    bool closing; /* the server has closed it; `outcome` is what it said */
    struct ssh_exec_result outcome;
    int fd; /* a forward's end of the socket; -1: closed */
    bool fd_ended;
};

struct ssh_session {
    const struct libssh2 *lib;
    char *peer;
    char fingerprint[SSH_FINGERPRINT_SIZE];
    struct strvec notes;
    struct ssh_session *jump; /* through which it goes; owned */
    int64_t alive_interval_ms;
    int64_t answer_ms; /* what the server may take to open a channel, or to start its command */

    /* While opening: the opener's. Then the session's thread only. */
    LIBSSH2_SESSION *ssh;
    struct ssh_io io;
    char last_words[256];        /* of the server's, when it ends the connection */
    const char *password;        /* for keyboard-interactive, while opening */
    struct ssh_chunk *spare;     /* to be read into */
    struct ssh_channel *opening; /* whose open is under way: libssh2 does one at a time */
    bool pinging;                /* or a question that only wants an answer is */
    int64_t pinged_ms;           /* when it went out */
    bool closed;                 /* a channel, and the server may not have done so yet */

    pthread_t thread;
    bool started;
    int wake_fd;
    pthread_mutex_t mu;
    struct ssh_channel *channels; /* guarded by mu; only the thread takes any out */
    bool woken;                   /* likewise */
    bool stopping;
    bool dead;
    struct err why;
};

/* --- while opening (session.c) --- */

/* Sends what is to be sent and waits until something has come. */
int ssh_session_wait(const struct ctx *ctx, struct ssh_session *session, struct err *err)
    __attribute__((warn_unused_result));
/* Repeats a call of libssh2 until it is through; LIBSSH2_ERROR_EAGAIN: *err says why not. */
#define ssh_drive(ctx, session, call, err)                                                         \
    ({                                                                                             \
        int ssh_drive_result;                                                                      \
        while ((ssh_drive_result = (call)) == LIBSSH2_ERROR_EAGAIN)                                \
            if (ssh_session_wait(ctx, session, err) < 0)                                           \
                break;                                                                             \
        ssh_drive_result;                                                                          \
    })
/* Sets the algorithms of a kind (LIBSSH2_METHOD_…) to those of a list that libssh2 knows; names are
 * parted by commas. -1 when it knows none. libssh2 1.10 would overwrite its memory while it takes
 * out the others. */
int ssh_prefer(struct ssh_session *session, int kind, const char *names)
    __attribute__((warn_unused_result));
/* libssh2's message for what failed last. */
const char *ssh_session_failure(struct ssh_session *session);

/* --- host_key.c --- */

/* Prefers the types of keys that are known; of `only` (may be NULL) alone. */
int ssh_host_key_prefer(struct ssh_session *session, const struct ssh_target *target,
                        const char *only, struct err *err) __attribute__((warn_unused_result));
/* Of the key that the server has shown. *ret_mismatch: it is not the pinned one, but another of the
 * server's may be. */
int ssh_host_key_check(struct ssh_session *session, const struct ssh_target *target,
                       bool *ret_mismatch, struct err *err) __attribute__((warn_unused_result));

/* --- auth.c --- */

int ssh_auth(const struct ctx *ctx, struct ssh_session *session, const struct ssh_target *target,
             struct err *err) __attribute__((warn_unused_result));

/* --- serve.c: what the thread does for channels --- */

enum { SSH_OUT_BYTES = 256 << 10 }; /* of a channel, taken from its owner and not sent yet */

/* The connection is of no use any more: session->why. */
void ssh_lose(struct ssh_session *session, enum err_code code, const char *what);
/* Likewise, by what a call of libssh2 has returned. */
void ssh_lose_by(struct ssh_session *session, int result);
bool ssh_serve_ping(struct ssh_session *session);
/* May free it. */
bool ssh_serve_channel(struct ssh_session *session, struct ssh_channel *channel);
bool ssh_channel_is_stalled(struct ssh_session *session, const struct ssh_channel *channel);

/* --- pump.c: the thread --- */

int ssh_pump_start(struct ssh_session *session, struct err *err)
    __attribute__((warn_unused_result));
void ssh_pump_stop(struct ssh_session *session);

/* --- channel.c: what callers do with channels --- */

int ssh_channel_new(struct ssh_session *session, enum ssh_channel_kind kind,
                    struct ssh_channel **ret, struct err *err) __attribute__((warn_unused_result));
/* Hands it to the thread and waits until it runs. On failure it is gone. */
int ssh_channel_open(const struct ctx *ctx, struct ssh_channel *channel, struct err *err)
    __attribute__((warn_unused_result));
/* Gives it up; the thread frees it when the server lets it go. */
void ssh_channel_abandon(struct ssh_channel *channel);
void ssh_channel_free(struct ssh_channel *channel);
/* mu must be held. */
void ssh_channel_signal(struct ssh_channel *channel);
void ssh_session_wake(struct ssh_session *session);
