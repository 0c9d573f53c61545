/* What makes items of lists the same when files are merged. Private to this folder. */
#pragma once

#include <jansson.h>

#include "base/buf.h"

void compose_key_text(const json_t *item, struct buf *out);   /* up to "=" */
void compose_key_tmpfs(const json_t *item, struct buf *out);  /* the path */
void compose_key_port(const json_t *item, struct buf *out);   /* address, ports, protocol */
void compose_key_target(const json_t *item, struct buf *out); /* `target` */
void compose_key_secret(const json_t *item, struct buf *out); /* where it is mounted */
void compose_key_config(const json_t *item, struct buf *out); /* likewise */
void compose_key_path(const json_t *item, struct buf *out);   /* `path` */
