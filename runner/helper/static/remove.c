/* Removing a directory with all that is in it. Links are removed, and never followed. */
#include <asm/errno.h>
#include <linux/fcntl.h>

#include "program.h"
#include "rt.h"
#include "sys.h"

#define ENTRIES_BYTES 2048

static bool remove_entry(int directory, const char *name);

/* Closes it. What is removed moves the others: until nothing is found any more that can be. */
static void empty_directory(int fd)
{
    char entries[ENTRIES_BYTES] __attribute__((aligned(8)));
    bool found;
    long n;

    SYS2(fchmod, fd, 0700);
    do {
        found = false;
        SYS3(lseek, fd, 0, 0);
        while ((n = SYS3(getdents64, fd, entries, sizeof(entries))) > 0) {
            for (long at = 0; at < n;) {
                const struct directory_entry *entry =
                    (const struct directory_entry *)(entries + at);

                at += entry->size;
                if (str_equal(entry->name, ".") || str_equal(entry->name, ".."))
                    continue;
                if (remove_entry(fd, entry->name))
                    found = true;
            }
        }
    } while (found);
    close_fd(&fd);
}

/* Whether it was there, and is not any more. */
static bool remove_entry(int directory, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    long error = SYS3(unlinkat, directory, name, 0);
    long fd;

    if (error != -EISDIR)
        return error == 0;
    fd = SYS4(openat, directory, name, flags, 0);
    if (fd == -EACCES && SYS3(fchmodat, directory, name, 0700) == 0)
        fd = SYS4(openat, directory, name, flags, 0);
    if (fd >= 0)
        empty_directory((int)fd);
    return SYS3(unlinkat, directory, name, AT_REMOVEDIR) == 0;
}

void remove_tree(const char *path)
{
    remove_entry(AT_FDCWD, path);
}
