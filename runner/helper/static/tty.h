/* A terminal for a program: what it writes there comes out of the master's side. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct tty {
    int master;     /* -1: none */
    int slave;      /* kept open, so that the master never sees an end */
    long error;     /* negative: why there is none although one was wanted */
    size_t pending; /* bytes in `data` that have not been passed on */
    char data[4096];
};

/* As the program's user, who may then open it by its name. */
void tty_open(struct tty *tty);
void tty_close(struct tty *tty);
/* In the program's process, a session leader: makes it its terminal, and its output. */
void tty_become(const struct tty *tty);
/* Passes on some of it to standard output; `readable` and `writable` are what poll() says about
 * the two ends. Does not block. */
void tty_pass(struct tty *tty, bool readable, bool writable);
/* Passes on all that is left. */
void tty_drain(struct tty *tty);
