/* An inventory of hosts as Ansible has it, in YAML or INI: groups become roles.
 *
 * Source: Ansible documentation, "How to build your inventory"; docs/hosts.md says what is taken
 * over, and how. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "spec/spec.h"

enum inventory_format { INVENTORY_GUESS, INVENTORY_YAML, INVENTORY_INI };

/* By the end of a file's name. */
enum inventory_format inventory_format_of(const char *name);

/* Appends the hosts of an inventory to *hosts, whose names they must not have; all that is wrong
 * goes to diags. The text is followed by a NUL that len does not count. `file` is what positions in
 * it have (struct src_pos). */
void inventory_read(const char *text, size_t len, enum inventory_format format, uint32_t file,
                    struct spec_hosts *hosts, struct diag_list *diags);
