/* libssh2, loaded when the first session is opened rather than when the program starts: it brings
 * OpenSSL with it (see docs/adr/0001-libcurl-loaded-on-first-use.md).
 *
 * Only apis/ssh includes this header. The functions keep the types of <libssh2.h>.
 * Threads: libssh2_load() may be called from any; the table is constant once returned. */
#pragma once

#include <libssh2.h>

#include "base/err.h"

/* Every function used; the member is named as in libssh2 without "libssh2_". */
#define LIBSSH2_FUNCTIONS(X)                                                                       \
    X(init)                                                                                        \
    X(version)                                                                                     \
    X(session_init_ex)                                                                             \
    X(session_callback_set)                                                                        \
    X(session_method_pref)                                                                         \
    X(session_supported_algs)                                                                      \
    X(session_handshake)                                                                           \
    X(session_hostkey)                                                                             \
    X(session_set_blocking)                                                                        \
    X(session_last_error)                                                                          \
    X(session_disconnect_ex)                                                                       \
    X(session_free)                                                                                \
    X(userauth_list)                                                                               \
    X(userauth_authenticated)                                                                      \
    X(userauth_password_ex)                                                                        \
    X(userauth_keyboard_interactive_ex)                                                            \
    X(userauth_publickey)                                                                          \
    X(userauth_publickey_frommemory)                                                               \
    X(channel_open_ex)                                                                             \
    X(channel_direct_tcpip_ex)                                                                     \
    X(channel_request_pty_ex)                                                                      \
    X(channel_request_pty_size_ex)                                                                 \
    X(channel_process_startup)                                                                     \
    X(channel_read_ex)                                                                             \
    X(channel_write_ex)                                                                            \
    X(channel_send_eof)                                                                            \
    X(channel_eof)                                                                                 \
    X(channel_wait_closed)                                                                         \
    X(channel_get_exit_status)                                                                     \
    X(channel_get_exit_signal)                                                                     \
    X(channel_free)                                                                                \
    X(keepalive_config)                                                                            \
    X(keepalive_send)                                                                              \
    X(free)

struct libssh2 {
#define LIBSSH2_MEMBER(name) __typeof__(libssh2_##name) *name;
    LIBSSH2_FUNCTIONS(LIBSSH2_MEMBER)
#undef LIBSSH2_MEMBER
};

/* NULL with ERR_UNSUPPORTED when the library is not installed or lacks a function. */
const struct libssh2 *libssh2_load(struct err *err) __attribute__((warn_unused_result));
