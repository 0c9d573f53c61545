/* libcurl, loaded when the first HTTP client is made rather than when the program starts (see
 * docs/adr/0001-libcurl-loaded-on-first-use.md).
 *
 *     const struct libcurl *curl = libcurl_load(err);
 *     if (!curl)
 *         return -1;
 *     CURL *easy = curl->easy_init();
 *
 * Only apis/http includes this header. The functions keep the types of <curl/curl.h>.
 * Threads: libcurl_load() may be called from any; the table is constant once returned. */
#pragma once

#include <curl/curl.h>

#include "base/err.h"

/* Every function used; the member is named as in libcurl without "curl_". */
#define LIBCURL_FUNCTIONS(X)                                                                       \
    X(global_init)                                                                                 \
    X(easy_init)                                                                                   \
    X(easy_cleanup)                                                                                \
    X(easy_reset)                                                                                  \
    X(easy_setopt)                                                                                 \
    X(easy_getinfo)                                                                                \
    X(easy_strerror)                                                                               \
    X(easy_send)                                                                                   \
    X(easy_recv)                                                                                   \
    X(multi_init)                                                                                  \
    X(multi_cleanup)                                                                               \
    X(multi_setopt)                                                                                \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_perform)                                                                               \
    X(multi_poll)                                                                                  \
    X(multi_info_read)                                                                             \
    X(multi_strerror)                                                                              \
    X(slist_append)                                                                                \
    X(slist_free_all)

struct libcurl {
#define LIBCURL_MEMBER(name) __typeof__(curl_##name) *name;
    LIBCURL_FUNCTIONS(LIBCURL_MEMBER)
#undef LIBCURL_MEMBER
};

/* NULL with ERR_UNSUPPORTED when the library is not installed or lacks a function. */
const struct libcurl *libcurl_load(struct err *err) __attribute__((warn_unused_result));
