/* Where something listens, as people write it. Pure. */
#pragma once

#include <stdbool.h>

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

/* A port of a container, and which one of the host stands for it. */
struct port_mapping {
    unsigned port;
    unsigned host_port; /* 0: any that is free */
    bool udp;
};

/* PORT or HOST_PORT:PORT, with /tcp or /udp behind it. */
int port_mapping_parse(const char *text, struct port_mapping *ret, struct err *err)
    __attribute__((warn_unused_result));

void address_release(struct address *address);
