/* Where something listens, as people write it. Pure. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

struct address {
    char *host; /* NULL: not said */
    unsigned port;
    char *path; /* of a URL, with its query; "/" when it has none; else NULL */
};

#define CLEANUP_ADDRESS CLEANUP(address_release)

/* PORT, HOST:PORT or [IPV6]:PORT. ERR_INVALID; *ret is then untouched. */
int address_parse(const char *text, struct address *ret, struct err *err)
    __attribute__((warn_unused_result));
/* http://HOST[:PORT][/PATH]. Likewise. */
int address_parse_http(const char *url, struct address *ret, struct err *err)
    __attribute__((warn_unused_result));
void address_release(struct address *address);
