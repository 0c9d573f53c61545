/* A terminal for a program: what it writes there comes out of the master's side. */
#pragma once

struct tty {
    int master; /* -1: none */
    int slave;  /* kept open, so that the master never sees an end */
    long error; /* negative: why there is none although one was wanted */
};

/* As the program's user, who may then open it by its name. */
void tty_open(struct tty *tty);
/* In the program's process, a session leader: makes it its terminal, and its output. */
void tty_become(const struct tty *tty);
