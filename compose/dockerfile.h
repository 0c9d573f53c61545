/* What a Dockerfile has that only BuildKit understands. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Finds the first flag or here-document which the builder that is part of the daemon does not have:
 * "RUN --mount", "COPY <<EOF". Other builders with Docker's API (Podman's) have them, so that it is
 * no error by itself. *ret_line: from 1; *ret_what is for the caller to free. */
bool compose_dockerfile_find_buildkit(const char *text, size_t *ret_line, char **ret_what);
