/* How to tell that something in the background is ready, with nothing left to look up. */
#pragma once

#include <stdint.h>

#include "base/vec.h"
#include "engine/engine.h"
#include "expr/pattern.h"
#include "plan/settings.h"

#define READY_TIMEOUT_DEFAULT_MS  60000
#define READY_INTERVAL_DEFAULT_MS 1000

struct readiness {
    struct probe probes[4]; /* all of them must hold */
    size_t probe_count;
    struct expr_pattern *log; /* of a line of its output; NULL: none */
    const char *log_text;
    int64_t timeout_ms;
    int64_t interval_ms;
    struct strvec argv;  /* of the probe that is a command */
    struct strvec owned; /* strings that the above borrow */
};

/* *ret goes to the caller: readiness_free(). `shell` runs a command; NULL: sh. */
int readiness_lower(const struct plan *plan, const struct plan_settings *settings,
                    const char *shell, const struct spec_ready *spec, struct readiness **ret,
                    struct err *err) __attribute__((warn_unused_result));
/* What the image itself says is asked first. NULL in *readiness: nothing else is said, so that
 * without a health check its ports are looked at. */
void readiness_add_image(struct readiness **readiness);
void readiness_free(struct readiness *readiness);
