/* libarchive takes the compression off as it does for "raw" files: one entry, whose content are the
 * bytes of the tar archive. Pieces go round in a ring. */
#include "archive/decompress.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

enum { INPUT_BYTES = 256 * 1024, PIECE_BYTES = 256 * 1024, PIECES = 8 };

struct piece {
    char *data;
    size_t len;
};

struct decompress {
    const struct ctx *ctx;
    const struct libarchive *lib;
    int fd;
    struct archive *archive; /* of the thread, as the next three */
    char *input;
    struct err failure; /* of reading; of the thread until `ended` */
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct piece ring[PIECES];
    unsigned made; /* pieces filled so far; the next is ring[made % PIECES], the thread's own */
    unsigned used; /* pieces given back so far */
    bool lent;     /* the reader has ring[used % PIECES] */
    bool ended;    /* no more comes: all of it is there, or `failure` says why not */
    bool stop;
};

static ssize_t read_in(struct archive *archive, void *arg, const void **ret_data)
{
    struct decompress *d = arg;
    ssize_t got;

    (void)archive;
    if (ctx_check(d->ctx, &d->failure) < 0)
        return -1;
    do {
        got = read(d->fd, d->input, INPUT_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        err_errno(&d->failure, "cannot read the archive");
    *ret_data = d->input;
    return got;
}

static void note_damage(struct decompress *d)
{
    const char *message = d->archive ? d->lib->error_string(d->archive) : "no memory";

    if (d->failure.code == ERR_NONE)
        err_set(&d->failure, ERR_PROTOCOL, "the archive is damaged: %s",
                message ? message : "no reason");
}

/* Hands over the piece that has been filled. False: nobody wants more. */
static bool pass_on(struct decompress *d)
{
    bool wanted;

    pthread_mutex_lock(&d->mu);
    d->made++;
    pthread_cond_broadcast(&d->changed);
    while (d->made - d->used == PIECES && !d->stop)
        pthread_cond_wait(&d->changed, &d->mu);
    wanted = !d->stop;
    pthread_mutex_unlock(&d->mu);
    if (wanted)
        d->ring[d->made % PIECES].len = 0;
    return wanted;
}

/* Small blocks are put together, as each piece costs the reader a wake-up. */
static bool add(struct decompress *d, const char *data, size_t len)
{
    while (len > 0) {
        struct piece *piece = &d->ring[d->made % PIECES];
        size_t room = PIECE_BYTES - piece->len;
        size_t now = len < room ? len : room;

        memcpy(piece->data + piece->len, data, now);
        piece->len += now;
        data += now;
        len -= now;
        if (piece->len == PIECE_BYTES && !pass_on(d))
            return false;
    }
    return true;
}

static void decompress_all(struct decompress *d)
{
    struct archive_entry *entry;
    const void *data;
    la_int64_t at;
    size_t len;
    int status;

    d->archive = d->lib->read_new();
    if (!d->archive || d->lib->read_support_filter_zstd(d->archive) < ARCHIVE_WARN ||
        d->lib->read_support_format_raw(d->archive) < ARCHIVE_WARN ||
        d->lib->read_open(d->archive, d, NULL, read_in, NULL) < ARCHIVE_OK ||
        d->lib->read_next_header(d->archive, &entry) < ARCHIVE_WARN) {
        note_damage(d);
        return;
    }
    while ((status = d->lib->read_data_block(d->archive, &data, &len, &at)) == ARCHIVE_OK) {
        if (!add(d, data, len))
            return;
    }
    if (status != ARCHIVE_EOF)
        note_damage(d);
    else if (d->ring[d->made % PIECES].len > 0)
        pass_on(d);
}

static void *thread_main(void *arg)
{
    struct decompress *d = arg;

    decompress_all(d);
    if (d->archive)
        d->lib->read_free(d->archive);
    pthread_mutex_lock(&d->mu);
    d->ended = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->mu);
    return NULL;
}

static void release(struct decompress *d)
{
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->mu);
    for (size_t i = 0; i < PIECES; i++)
        free(d->ring[i].data);
    free(d->input);
    free(d);
}

int decompress_start(const struct ctx *ctx, const struct libarchive *lib, int fd,
                     struct decompress **ret, struct err *err)
{
    struct decompress *d = xcalloc(1, sizeof(*d));

    d->ctx = ctx;
    d->lib = lib;
    d->fd = fd;
    d->input = xmalloc(INPUT_BYTES);
    for (size_t i = 0; i < PIECES; i++)
        d->ring[i].data = xmalloc(PIECE_BYTES);
    pthread_mutex_init(&d->mu, NULL);
    pthread_cond_init(&d->changed, NULL);
    errno = pthread_create(&d->thread, NULL, thread_main, d);
    if (errno) {
        err_errno(err, "cannot start a thread that decompresses");
        release(d);
        return -1;
    }
    *ret = d;
    return 0;
}

ssize_t decompress_read(struct decompress *d, const void **ret_data, struct err *err)
{
    const struct piece *piece = NULL;

    pthread_mutex_lock(&d->mu);
    if (d->lent) {
        d->used++;
        d->lent = false;
        pthread_cond_broadcast(&d->changed);
    }
    while (d->used == d->made && !d->ended)
        pthread_cond_wait(&d->changed, &d->mu);
    if (d->used != d->made) {
        piece = &d->ring[d->used % PIECES];
        d->lent = true;
    }
    pthread_mutex_unlock(&d->mu);
    if (piece) {
        *ret_data = piece->data;
        return (ssize_t)piece->len;
    }
    if (d->failure.code == ERR_NONE)
        return 0;
    if (err)
        *err = d->failure;
    return -1;
}

void decompress_stop(struct decompress *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->mu);
    d->stop = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->mu);
    pthread_join(d->thread, NULL);
    release(d);
}
