#include "spool.h"

#include <linux/fcntl.h>
#include <linux/uio.h>

#include "../relay.h"
#include "../request.h"
#include "bytes.h"
#include "rt.h"
#include "sys.h"

#define MEMORY   HELPER_RELAY_MEMORY
#define FILE_MAX HELPER_RELAY_SPOOL_MAX
#define PIECE    HELPER_RELAY_DATA_MAX
/* How much is moved to the file at once. */
#define SPILL (256u << 10)

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

void spool_open(struct spool *spool, int directory)
{
    const int flags = O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;

    *spool = (struct spool){.memory = map_memory(MEMORY), .piece = map_memory(PIECE)};
    spool->fd = (int)SYS4(openat, directory, HELPER_RELAY_SPOOL, flags, 0600);
}

static size_t free_memory(const struct spool *spool)
{
    return MEMORY - (spool->end - spool->spilled);
}

static bool spill(struct spool *spool)
{
    unsigned long in_file = spool->spilled - spool->received;
    size_t from = spool->spilled % MEMORY;
    size_t to = (spool->spilled - spool->base) % FILE_MAX;
    size_t size = min_size(SPILL, FILE_MAX - in_file);
    long n;

    if (spool->fd < 0 || spool->fd_full || size == 0)
        return false;
    size = min_size(size, min_size(MEMORY - from, FILE_MAX - to));
    size = min_size(size, spool->end - spool->spilled);
    n = SYS4(pwrite64, spool->fd, spool->memory + from, size, to);
    if (n <= 0) {
        spool->fd_full = true;
        return false;
    }
    spool->spilled += (unsigned long)n;
    return true;
}

bool spool_has_room(struct spool *spool, bool may_spill)
{
    const size_t wanted = HELPER_RECORD_SIZE + PIECE;

    while (free_memory(spool) < wanted) {
        if (!may_spill || !spill(spool))
            return false;
    }
    return true;
}

/* The ring from an offset on, in up to two pieces. */
static void pieces(struct spool *spool, unsigned long offset, size_t size, struct iovec ret[2])
{
    size_t at = offset % MEMORY;
    size_t first = min_size(size, MEMORY - at);

    ret[0] = (struct iovec){.iov_base = spool->memory + at, .iov_len = first};
    ret[1] = (struct iovec){.iov_base = spool->memory, .iov_len = size - first};
}

static void put(struct spool *spool, const char *data, size_t size)
{
    struct iovec to[2];

    pieces(spool, spool->end, size, to);
    memcpy(to[0].iov_base, data, to[0].iov_len);
    memcpy(to[1].iov_base, data + to[0].iov_len, to[1].iov_len);
    spool->end += size;
}

static void put_head(struct spool *spool, char stream, size_t size)
{
    char head[HELPER_RECORD_SIZE] = {stream};

    put_le(head + 1, 4, size);
    put(spool, head, sizeof(head));
}

long spool_add_from(struct spool *spool, char stream, int from)
{
    struct iovec to[2];
    long n;

    pieces(spool, spool->end + HELPER_RECORD_SIZE, PIECE, to);
    n = SYS3(readv, from, to, 2);
    if (n > 0) {
        put_head(spool, stream, (size_t)n);
        spool->end += (unsigned long)n;
    }
    return n;
}

void spool_add(struct spool *spool, char stream, const char *data, size_t size)
{
    put_head(spool, stream, size);
    put(spool, data, size);
}

size_t spool_read(struct spool *spool, unsigned long offset, const char **ret)
{
    size_t at = (offset - spool->base) % FILE_MAX;
    size_t size;
    long n;

    if (offset >= spool->spilled) {
        at = offset % MEMORY;
        *ret = spool->memory + at;
        return min_size(spool->end - offset, MEMORY - at);
    }
    size = min_size(min_size(spool->spilled - offset, PIECE), FILE_MAX - at);
    n = SYS4(pread64, spool->fd, spool->piece, size, at);
    *ret = spool->piece;
    return n < 0 ? 0 : (size_t)n;
}

void spool_received(struct spool *spool, unsigned long offset)
{
    if (offset <= spool->received)
        return;
    spool->received = offset;
    spool->fd_full = false;
    if (offset < spool->spilled)
        return;
    /* Where nothing has been spilled, this costs nothing either. */
    if (spool->spilled > spool->base)
        SYS2(ftruncate, spool->fd, 0);
    spool->spilled = spool->base = offset;
}
