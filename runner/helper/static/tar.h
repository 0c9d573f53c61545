/* The format of `helper pack` and `helper unpack`. Source: POSIX.1-2017, pax, "ustar Interchange
 * Format" and "pax Extended Header"; GNU tar's manual, "Storing Sparse Files", format 1.0. */
#pragma once

#define TAR_BLOCK 512
/* Names are not longer: nor are those of the kernel. */
#define TAR_NAME_MAX 4095

struct tar_header {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char padding[12];
};

enum tar_type {
    TAR_FILE = '0',
    TAR_OLD_FILE = '\0',
    TAR_HARD_LINK = '1',
    TAR_SYMLINK = '2',
    TAR_CHARACTER_DEVICE = '3',
    TAR_BLOCK_DEVICE = '4',
    TAR_DIRECTORY = '5',
    TAR_FIFO = '6',
    TAR_CONTIGUOUS = '7',
    TAR_PAX = 'x',
    TAR_PAX_GLOBAL = 'g',
    TAR_GNU_NAME = 'L',
    TAR_GNU_LINK = 'K',
};

static inline unsigned tar_checksum(const struct tar_header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    unsigned sum = 0;

    for (unsigned i = 0; i < TAR_BLOCK; i++) {
        unsigned at = (unsigned)__builtin_offsetof(struct tar_header, checksum);

        sum += i >= at && i < at + sizeof(header->checksum) ? ' ' : bytes[i];
    }
    return sum;
}
