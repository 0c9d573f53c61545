#include "sender.h"

#include <asm/errno.h>
#include <linux/uio.h>

#include "../relay.h"
#include "bytes.h"
#include "rt.h"
#include "sys.h"

#define PACKED_HEAD 9
/* Less is not worth it. */
#define PACKED_MIN 4096
/* What the first packed frame of a connection stands for; each that has been sent doubles it. A
 * frame is of use when it has come as a whole: a line that breaks again soon gets further by small
 * ones. */
#define PACKED_FIRST (8u << 10)
/* A frame that would not be smaller by so much of it is not either. */
#define GAIN_PART 8
/* So many are then not tried, at most: after each further one, twice as many as before. */
#define PAUSE_MAX 16
/* Frames in one go, so that others come to their turn. */
#define FRAMES 2

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

void sender_init(struct sender *sender, struct spool *spool)
{
    *sender = (struct sender){.spool = spool,
                              .places = map_memory(sizeof(*sender->places)),
                              .frame = map_memory(HELPER_RELAY_PACKED_MAX),
                              .next_pause = 1};
}

void sender_begin(struct sender *sender, unsigned long taken)
{
    memcpy(sender->frame, HELPER_RELAY_WELCOME, 4);
    put_le(sender->frame + 4, 8, taken);
    sender->at = 0;
    sender->len = HELPER_RELAY_WELCOME_SIZE;
    sender->output_left = 0;
    sender->packed = 0;
    sender->packed_max = PACKED_FIRST;
    sender->sent = sender->spool->received;
    sender->told = taken;
    sender->asked = false;
}

bool sender_wants(const struct sender *sender, unsigned long taken)
{
    return sender->len || sender->output_left || sender->asked || sender->told != taken ||
           sender->sent != sender->spool->end;
}

static void put_head(struct sender *sender, char type, size_t size, unsigned long number)
{
    sender->frame[0] = type;
    put_le(sender->frame + 1, size, number);
    sender->at = 0;
    sender->len = 1 + size;
}

/* False: it is to be sent as it is. */
static bool pack_output(struct sender *sender, const char *data, size_t size)
{
    size_t packed;

    if (size < PACKED_MIN)
        return false;
    if (sender->pause) {
        sender->pause--;
        return false;
    }
    packed =
        lz4_pack(sender->places, data, size, sender->frame + PACKED_HEAD, size - size / GAIN_PART);
    if (!packed) {
        sender->pause = sender->next_pause;
        sender->next_pause = min_size(2 * sender->next_pause, PAUSE_MAX);
        return false;
    }
    sender->next_pause = 1;
    put_head(sender, HELPER_RELAY_PACKED, 4, packed);
    put_le(sender->frame + 5, 4, size);
    sender->len = PACKED_HEAD + packed;
    sender->packed = size;
    return true;
}

/* False: there is none. */
static bool begin_frame(struct sender *sender, unsigned long taken)
{
    const char *data;
    size_t size;

    if (sender->len || sender->output_left)
        return true;
    if (sender->asked || sender->told != taken) {
        put_head(sender, HELPER_RELAY_TAKEN, 8, taken);
        sender->told = taken;
        sender->asked = false;
        return true;
    }
    if (sender->sent == sender->spool->end)
        return false;
    size = spool_read(sender->spool, sender->sent, &data);
    if (pack_output(sender, data, min_size(size, sender->packed_max)))
        return true;
    sender->output_left = min_size(sender->spool->end - sender->sent, HELPER_RELAY_DATA_MAX);
    put_head(sender, HELPER_RELAY_OUTPUT, 4, sender->output_left);
    return true;
}

static void note_sent(struct sender *sender, size_t size)
{
    size_t of_frame = min_size(size, sender->len);

    sender->at += of_frame;
    sender->len -= of_frame;
    sender->sent += size - of_frame;
    sender->output_left -= size - of_frame;
    if (!sender->len && sender->packed) {
        sender->sent += sender->packed;
        sender->packed = 0;
        sender->packed_max = min_size(2 * sender->packed_max, HELPER_RELAY_PACKED_MAX);
    }
}

/* What system calls return. */
static long write_some(struct sender *sender, int fd)
{
    struct iovec parts[] = {{.iov_base = sender->frame + sender->at, .iov_len = sender->len}, {0}};
    const char *data;
    long n;

    if (sender->output_left) {
        parts[1].iov_len =
            min_size(spool_read(sender->spool, sender->sent, &data), sender->output_left);
        parts[1].iov_base = (char *)data;
        if (!parts[1].iov_len)
            return -EIO;
    }
    n = SYS3(writev, fd, parts, 2);
    if (n > 0)
        note_sent(sender, (size_t)n);
    return n;
}

bool sender_write(struct sender *sender, int fd, unsigned long taken)
{
    int frames = 0;

    while (begin_frame(sender, taken)) {
        long n = write_some(sender, fd);

        if (n < 0)
            return is_again(n);
        if (!sender->len && !sender->output_left && ++frames == FRAMES)
            break;
    }
    return true;
}
