/* libpq, loaded when the first database is opened, as libcurl is (ADR 1): it brings LDAP, Kerberos
 * and TLS along.
 *
 * Only runner/store includes this header. The functions keep the types of <libpq-fe.h>.
 * Threads: libpq_load() may be called from any; the table is constant once returned. */
#pragma once

#include <libpq-fe.h>

#include "base/err.h"

/* Every function used; the member is named as in libpq without "PQ". */
#define LIBPQ_FUNCTIONS(X)                                                                         \
    X(connectStartParams)                                                                          \
    X(connectPoll)                                                                                 \
    X(connectionNeedsPassword)                                                                     \
    X(status)                                                                                      \
    X(socket)                                                                                      \
    X(serverVersion)                                                                               \
    X(errorMessage)                                                                                \
    X(finish)                                                                                      \
    X(setnonblocking)                                                                              \
    X(setNoticeProcessor)                                                                          \
    X(sendQuery)                                                                                   \
    X(sendQueryParams)                                                                             \
    X(flush)                                                                                       \
    X(consumeInput)                                                                                \
    X(isBusy)                                                                                      \
    X(getResult)                                                                                   \
    X(clear)                                                                                       \
    X(resultStatus)                                                                                \
    X(resultErrorField)                                                                            \
    X(ntuples)                                                                                     \
    X(nfields)                                                                                     \
    X(ftype)                                                                                       \
    X(getvalue)                                                                                    \
    X(getlength)                                                                                   \
    X(getisnull)

struct libpq {
#define LIBPQ_MEMBER(name) __typeof__(PQ##name) *name;
    LIBPQ_FUNCTIONS(LIBPQ_MEMBER)
#undef LIBPQ_MEMBER
};

/* NULL with ERR_UNSUPPORTED when the library is not installed or lacks a function. */
const struct libpq *libpq_load(struct err *err) __attribute__((warn_unused_result));
