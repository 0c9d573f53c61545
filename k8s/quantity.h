/* Quantities of resources as Kubernetes writes them: "100m", "1.5", "64Mi", "1G", "2e3".
 *
 *     quantity = [sign] digits [suffix]                digits with at most one "."
 *     suffix   = Ki Mi Gi Ti Pi Ei | n u m k M G T P E | e [sign] digits
 *
 * As there, what is finer than a billionth is rounded away from zero, and what is more than 2^63 -
 * 1 counts as that. Pure. Source: k8s.io/apimachinery/pkg/api/resource, Quantity. */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* Both parts have the sign of the quantity. */
struct quantity {
    int64_t whole;
    int32_t nano; /* billionths, less than a whole one */
};

/* ERR_INVALID for what is none. */
int quantity_parse(const char *text, struct quantity *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Less than, equal to or greater than 0. */
int quantity_compare(const struct quantity *a, const struct quantity *b);
