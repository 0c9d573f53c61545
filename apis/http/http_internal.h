/* Shared by the files of apis/http; not for others. */
#pragma once

#include "apis/http/http.h"
#include "apis/http/libcurl.h"
#include "base/vec.h"

struct http_client {
    const struct libcurl *curl;
    CURLM *multi;
    char *base_url; /* its host is what TLS expects the server to be */
    char *unix_socket;
    char *proxy;                   /* NULL: what the environment says */
    char *authority;               /* "host:port" of the Host header; NULL: base_url's */
    struct curl_slist *connect_to; /* goes with it: what to connect to */
    bool local; /* a unix socket or a loopback address: reached without a proxy */
    char *peer;
    char *ca_file, *ca_pem, *cert_file, *cert_pem, *key_file, *key_pem;
    bool insecure;
    int connect_timeout_ms;
    int stall_timeout_s; /* 0: none */
    struct strvec headers;
    VEC(CURL *)
    idle;                    /* handles that finished calls gave back */
    struct http_call *calls; /* those under way */
    bool moved;              /* a callback or a completion happened since it was cleared */
};

/* Sets what all requests of the client have in common: URL, socket, TLS, time-outs. `url` and
 * `error_text` (CURL_ERROR_SIZE bytes) must live as long as the transfer. */
int http_client_apply(const struct http_client *client, CURL *easy, const char *url,
                      char *error_text, struct err *err);
/* Fills err from how a transfer failed. */
int http_client_error(const struct http_client *client, CURLcode code, long os_errno,
                      const char *error_text, struct err *err);
/* Waits on `multi`, the ctx and foreign descriptors (whose revents it sets), at most timeout_ms
 * (< 0: no limit). Returns the number of ready foreign descriptors. */
int http_multi_wait(const struct ctx *ctx, const struct libcurl *curl, CURLM *multi,
                    struct pollfd *fds, size_t count, int timeout_ms, struct err *err);
