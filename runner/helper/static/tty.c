#include "tty.h"

#include <asm/errno.h>
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <linux/fcntl.h>

#include "../request.h"
#include "rt.h"
#include "sys.h"

/* asm/termios.h, which has it, defines struct termios in its own way, too. */
struct window {
    unsigned short rows;
    unsigned short columns;
    unsigned short unused[2];
};

/* Lines end as the program ends them, and nothing is echoed. */
static void set_modes(int fd)
{
    static const struct window window = {24, 80, {0}};
    struct termios modes;

    if (SYS3(ioctl, fd, TCGETS, &modes) == 0) {
        modes.c_oflag &= ~(tcflag_t)OPOST;
        modes.c_lflag &= ~(tcflag_t)ECHO;
        SYS3(ioctl, fd, TCSETS, &modes);
    }
    SYS3(ioctl, fd, TIOCSWINSZ, &window);
}

void tty_open(struct tty *tty)
{
    int unlocked = 0;

    tty->slave = -1;
    tty->master =
        (int)SYS4(openat, AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0);
    tty->error = tty->master;
    if (tty->master < 0)
        return;
    tty->error = SYS3(ioctl, tty->master, TIOCSPTLCK, &unlocked);
    if (tty->error == 0)
        tty->error = SYS3(ioctl, tty->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    tty->slave = (int)tty->error;
    if (tty->slave >= 0)
        set_modes(tty->slave);
}

void tty_become(const struct tty *tty)
{
    if (tty->error < 0)
        fail(HELPER_EXIT_CANNOT, "open a terminal,", "/dev/ptmx", error_text(tty->error));
    SYS3(ioctl, tty->slave, TIOCSCTTY, 0);
    SYS3(dup3, tty->slave, 1, 0);
    SYS3(dup3, tty->slave, 2, 0);
}
