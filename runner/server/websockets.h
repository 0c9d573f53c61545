/* libwebsockets, loaded by the first server, as libcurl is by the first client (ADR 1, ADR 47): it
 * brings TLS along.
 *
 * Only the transport includes this header. The functions keep the types of <libwebsockets.h>; the
 * library that is loaded is the one whose headers the program was built with.
 * Threads: websockets_load() may be called from any; the table is constant once returned. */
#pragma once

#include <libwebsockets.h>

#include "base/err.h"

/* Every function used; the member is named as in the library without "lws_". */
#define WEBSOCKETS_FUNCTIONS(X)                                                                    \
    X(add_http_header_by_name)                                                                     \
    X(add_http_header_status)                                                                      \
    X(adopt_descriptor_vhost_via_info)                                                             \
    X(callback_on_writable)                                                                        \
    X(cancel_service)                                                                              \
    X(close_reason)                                                                                \
    X(context_destroy)                                                                             \
    X(context_user)                                                                                \
    X(create_context)                                                                              \
    X(create_vhost)                                                                                \
    X(finalize_http_header)                                                                        \
    X(frame_is_binary)                                                                             \
    X(get_context)                                                                                 \
    X(get_network_wsi)                                                                             \
    X(get_opaque_user_data)                                                                        \
    X(get_peer_write_allowance)                                                                    \
    X(get_protocol)                                                                                \
    X(get_socket_fd)                                                                               \
    X(hdr_copy)                                                                                    \
    X(hdr_copy_fragment)                                                                           \
    X(hdr_custom_copy)                                                                             \
    X(hdr_custom_length)                                                                           \
    X(hdr_fragment_length)                                                                         \
    X(hdr_total_length)                                                                            \
    X(http_transaction_completed)                                                                  \
    X(is_final_fragment)                                                                           \
    X(is_ssl)                                                                                      \
    X(rx_flow_control)                                                                             \
    X(send_pipe_choked)                                                                            \
    X(service)                                                                                     \
    X(set_log_level)                                                                               \
    X(set_opaque_user_data)                                                                        \
    X(set_timeout)                                                                                 \
    X(sul_cancel)                                                                                  \
    X(sul_schedule)                                                                                \
    X(write)

struct websockets {
#define WEBSOCKETS_MEMBER(name) __typeof__(lws_##name) *name;
    WEBSOCKETS_FUNCTIONS(WEBSOCKETS_MEMBER)
#undef WEBSOCKETS_MEMBER
};

/* NULL with ERR_UNSUPPORTED when the library is not installed or lacks a function. */
const struct websockets *websockets_load(struct err *err) __attribute__((warn_unused_result));
