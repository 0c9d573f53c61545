/* libarchive, loaded when the first archive is made or read, as libcurl is (ADR 1): it and what it
 * needs take several times as long to load as the whole program.
 *
 * Only runner/archive includes this header. The functions keep the types of <archive.h>.
 * Threads: libarchive_load() may be called from any; the table is constant once returned. */
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "base/err.h"

/* Every function used; the member is named as in libarchive without "archive_". */
#define LIBARCHIVE_FUNCTIONS(X)                                                                    \
    X(error_string)                                                                                \
    X(entry_new)                                                                                   \
    X(entry_clear)                                                                                 \
    X(entry_free)                                                                                  \
    X(entry_set_pathname)                                                                          \
    X(entry_set_hardlink)                                                                          \
    X(entry_set_symlink)                                                                           \
    X(entry_set_size)                                                                              \
    X(entry_sparse_add_entry)                                                                      \
    X(entry_set_mtime)                                                                             \
    X(entry_set_mode)                                                                              \
    X(entry_set_uid)                                                                               \
    X(entry_set_gid)                                                                               \
    X(entry_pathname)                                                                              \
    X(entry_hardlink)                                                                              \
    X(entry_symlink)                                                                               \
    X(entry_size)                                                                                  \
    X(entry_mode)                                                                                  \
    X(entry_uid)                                                                                   \
    X(entry_gid)                                                                                   \
    X(entry_mtime)                                                                                 \
    X(entry_mtime_nsec)                                                                            \
    X(write_new)                                                                                   \
    X(write_set_format_pax)                                                                        \
    X(write_set_format_option)                                                                     \
    X(write_add_filter_zstd)                                                                       \
    X(write_set_filter_option)                                                                     \
    X(write_set_bytes_per_block)                                                                   \
    X(write_set_bytes_in_last_block)                                                               \
    X(write_open)                                                                                  \
    X(write_header)                                                                                \
    X(write_data)                                                                                  \
    X(write_finish_entry)                                                                          \
    X(write_close)                                                                                 \
    X(write_fail)                                                                                  \
    X(write_free)                                                                                  \
    X(read_new)                                                                                    \
    X(read_support_filter_zstd)                                                                    \
    X(read_support_format_tar)                                                                     \
    X(read_support_format_raw)                                                                     \
    X(read_open)                                                                                   \
    X(read_next_header)                                                                            \
    X(read_next_header2)                                                                           \
    X(read_data_block)                                                                             \
    X(read_free)

struct libarchive {
#define LIBARCHIVE_MEMBER(name) __typeof__(archive_##name) *name;
    LIBARCHIVE_FUNCTIONS(LIBARCHIVE_MEMBER)
#undef LIBARCHIVE_MEMBER
};

/* NULL with ERR_UNSUPPORTED when the library is not installed or lacks a function. */
const struct libarchive *libarchive_load(struct err *err) __attribute__((warn_unused_result));
