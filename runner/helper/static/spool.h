/* The output of `helper serve` that the runner has not received: the newest of it in memory, what
 * does not fit there before it in a file. A program that writes no more than its reader takes in
 * time never touches the disk, and one that has filled the disk can still say so.
 *
 * The file is a ring, too: it needs nothing of the file system but bytes, and is never larger than
 * HELPER_RELAY_SPOOL_MAX. It is emptied whenever all that is in it has been received. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Offsets are those of relay.h. received <= spilled <= end. */
struct spool {
    char *memory; /* holds spilled..end */
    char *piece;  /* of the file, for spool_read() */
    int fd;       /* holds received..spilled; -1: there is no file */
    bool fd_full; /* until something of it has been received */
    unsigned long received;
    unsigned long spilled;
    unsigned long end;
    unsigned long base; /* what the file began with when it was empty */
};

/* `directory` is open. Without a file there, it is memory only. */
void spool_open(struct spool *spool, int directory);
/* Whether a record of data has room. Moves what is in memory to the file for it, if it may. */
bool spool_has_room(struct spool *spool, bool may_spill);
/* Nothing of it is in the file. */
static inline bool spool_in_memory(const struct spool *spool)
{
    return spool->spilled <= spool->received;
}
/* Adds a record with what a read of `from` gives, whose result it returns. There must be room. */
long spool_add_from(struct spool *spool, char stream, int from);
/* Likewise, of little data. */
void spool_add(struct spool *spool, char stream, const char *data, size_t size);
/* The output from `offset` on: as much as there is in one piece, until the next call. 0: the file
 * cannot be read. */
size_t spool_read(struct spool *spool, unsigned long offset, const char **ret);
/* What comes before `offset`, which must not be behind the end, is not needed any more. */
void spool_received(struct spool *spool, unsigned long offset);
