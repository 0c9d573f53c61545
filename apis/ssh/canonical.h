/* CanonicalizeHostname: the full name of a host that was given by a short one.
 *
 * Only apis/ssh/config.c includes this header. Source: ssh_config(5), "CanonicalizeHostname" and
 * the keywords after it; without CanonicalizePermittedCNAMEs. */
#pragma once

#include "apis/ssh/config.h"

/* Of settings->host_name, which may be it already. Looks names up, unless CanonicalizeHostname is
 * "no" or the settings have nothing to try. ERR_NOT_FOUND: there is none, and
 * CanonicalizeFallbackLocal is "no". */
int ssh_canonical_name(const struct ctx *ctx, const struct ssh_config_source *source,
                       const struct ssh_settings *settings, char **ret, struct err *err)
    __attribute__((warn_unused_result));
