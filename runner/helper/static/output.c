#include "output.h"

#include <asm/errno.h>
#include <asm/ioctls.h>
#include <linux/fcntl.h>

#include "../request.h"
#include "rt.h"
#include "sys.h"

#define SPLICE_F_MOVE     1
#define SPLICE_F_NONBLOCK 2

#define CHANNEL_BYTES 65536
/* Less is read: pieces of pages fill a pipe without being much. */
#define SPLICE_MIN (16 << 10)
/* What is taken at the end from something that does not end. */
#define LEFT_BYTES_MAX (4u << 20)

static char buffers[2][CHANNEL_BYTES];

static void open_pipe(struct output *output, int which)
{
    int ends[2];
    long error = SYS2(pipe2, ends, O_CLOEXEC);

    if (error < 0)
        fail(HELPER_EXIT_CANNOT, "make a pipe", "", error_text(error));
    output->channels[which].from = ends[0];
    output->program_side[which] = ends[1];
}

void output_open(struct output *output, const struct message *message)
{
    output->tty = (struct tty){.master = -1, .slave = -1};
    for (int i = 0; i < 2; i++) {
        output->channels[i] =
            (struct channel){.from = -1, .to = i + 1, .data = buffers[i], .splices = true};
        output->program_side[i] = -1;
    }
    live_init(&output->live, message);
    if (message_has_tty(message)) {
        tty_open(&output->tty);
        output->channels[0].from = output->tty.master;
    } else if (output->live.count) {
        open_pipe(output, 0);
        open_pipe(output, 1);
    }
    for (int i = 0; i < 2; i++) {
        if (output->channels[i].from < 0)
            continue;
        set_nonblocking(output->channels[i].from);
        set_nonblocking(output->channels[i].to);
    }
}

void output_become(const struct output *output)
{
    if (output->tty.slave >= 0 || output->tty.error < 0)
        tty_become(&output->tty);
    for (int i = 0; i < 2; i++) {
        if (output->program_side[i] >= 0)
            SYS3(dup3, output->program_side[i], i + 1, 0);
    }
}

void output_started(struct output *output)
{
    for (int i = 0; i < 2; i++)
        close_fd(&output->program_side[i]);
}

/* What is in the pipe need not be read to be passed on: false when it is little, or cannot be. What
 * comes behind it after the look at the live files has to wait for the next one. */
static bool look(struct output *output, struct channel *channel)
{
    int size = 0;

    if (!channel->splices || SYS3(ioctl, channel->from, FIONREAD, &size) < 0 || size < SPLICE_MIN)
        return false;
    if (size >= PIPE_FULL_BYTES)
        enlarge_pipe(channel->from);
    channel->seen = (size_t)size;
    live_send(&output->live, channel->to);
    return true;
}

/* False when there is nothing. */
static bool read_some(struct output *output, struct channel *channel)
{
    long n;

    if (channel->from < 0)
        return false;
    if (look(output, channel))
        return true;
    n = SYS3(read, channel->from, channel->data, CHANNEL_BYTES);
    if (is_again(n))
        return false;
    if (n <= 0) {
        close_fd(&channel->from);
        return false;
    }
    if (n >= PIPE_FULL_BYTES)
        enlarge_pipe(channel->from);
    channel->at = 0;
    channel->len = (size_t)n;
    live_send(&output->live, channel->to);
    return true;
}

/* Others may have taken of it: a program that reads what it has written. */
static void see_less(struct channel *channel)
{
    int size = 0;

    if (SYS3(ioctl, channel->from, FIONREAD, &size) < 0 || (size_t)size < channel->seen)
        channel->seen = size > 0 ? (size_t)size : 0;
}

static long splice(struct channel *channel)
{
    long n = SYS6(splice, channel->from, NULL, channel->to, NULL, channel->seen,
                  SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

    if (n > 0) {
        channel->seen -= (size_t)n;
    } else if (is_again(n)) {
        see_less(channel);
    } else {
        /* It is read then: at the end, from what cannot be spliced, and where the call is
         * forbidden; nothing has been taken. */
        channel->splices = false;
        channel->seen = 0;
        n = 0;
    }
    return n;
}

/* Once nobody reads it, the program is to find that out as if it wrote there itself. */
static void drop(struct channel *channel)
{
    channel->len = channel->seen = 0;
    close_fd(&channel->from);
}

static void write_some(struct channel *channel)
{
    bool splices = channel->seen > 0;
    long n = splices ? splice(channel)
                     : SYS3(write, channel->to, channel->data + channel->at, channel->len);

    if (is_again(n))
        return;
    if (n < 0) {
        drop(channel);
        return;
    }
    if (splices)
        return;
    channel->at += (size_t)n;
    channel->len -= (size_t)n;
}

static bool has_some(const struct channel *channel)
{
    return channel->len || channel->seen;
}

void output_wait_for(const struct output *output, struct pollfd fds[OUTPUT_FDS])
{
    for (int i = 0; i < 2; i++) {
        const struct channel *channel = &output->channels[i];

        if (has_some(channel))
            fds[i] = (struct pollfd){.fd = channel->to, .events = POLLOUT};
        else
            fds[i] = (struct pollfd){.fd = channel->from, .events = POLLIN};
    }
}

void output_pass(struct output *output, const struct pollfd fds[OUTPUT_FDS])
{
    for (int i = 0; i < 2; i++) {
        struct channel *channel = &output->channels[i];

        if (fds[i].revents && (has_some(channel) || read_some(output, channel)))
            write_some(channel);
    }
}

static void pass_rest(struct output *output, struct channel *channel, bool all_ended)
{
    size_t passed = 0;

    channel->splices = false;
    channel->seen = 0;
    do {
        if (write_all(channel->to, channel->data + channel->at, channel->len) < 0)
            drop(channel);
        passed += channel->len;
        channel->len = 0;
    } while ((all_ended || passed < LEFT_BYTES_MAX) && read_some(output, channel));
}

void output_finish(struct output *output, bool all_ended)
{
    for (int i = 0; i < 2; i++) {
        pass_rest(output, &output->channels[i], all_ended);
        close_fd(&output->channels[i].from);
    }
    close_fd(&output->tty.slave);
}
