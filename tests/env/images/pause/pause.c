#include <signal.h>
#include <unistd.h>

static void end(int number)
{
    (void)number;
    _exit(0);
}

/* The first process of a pod: holds its name spaces, and does nothing until it is told to end. */
int main(void)
{
    signal(SIGCHLD, SIG_IGN);
    signal(SIGINT, end);
    signal(SIGTERM, end);
    for (;;) {
        pause();
    }
}
