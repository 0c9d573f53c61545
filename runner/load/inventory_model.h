/* What an inventory says, while it is read: groups in groups, and hosts in them. Private to load/.
 */
#pragma once

#include "base/diag.h"
#include "base/text_index.h"
#include "base/vec.h"
#include "spec/spec.h"

/* How many there may be, ranges written out; how many variables in one host or group, and how many
 * of these and roles in all hosts together; how long the pattern of hosts may be. */
#define INVENTORY_HOSTS_MAX   10000
#define INVENTORY_GROUPS_MAX  1000
#define INVENTORY_VARS_MAX    1000
#define INVENTORY_TOTAL_MAX   200000
#define INVENTORY_PATTERN_MAX 255

struct inventory_numbers {
    uint32_t *items;
    size_t len;
    size_t cap;
};

struct inventory_group {
    char *name;
    struct src_pos pos;
    struct spec_pairs vars;
    struct inventory_numbers parents; /* groups */
    uint32_t depth;                   /* below "all" */
    uint8_t visit;                    /* of inventory_finish() */
};

struct inventory_host {
    char *name;
    struct src_pos pos;
    struct spec_pairs vars;
    struct inventory_numbers groups;
};

struct inventory {
    struct diag_list *diags;
    uint32_t file;
    VEC(struct inventory_group)
    groups; /* the first is "all" */
    VEC(struct inventory_host)
    hosts;
    struct text_index group_names;
    struct text_index host_names;
    bool is_full; /* that there is too much has been said */
};

void inventory_init(struct inventory *inventory, uint32_t file, struct diag_list *diags);
void inventory_release(struct inventory *inventory);

void inventory_error(struct inventory *inventory, struct src_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The number of the group of that name, which is added if it is not there; 0 ("all") when there are
 * too many, which has been added. */
uint32_t inventory_group(struct inventory *inventory, const char *name, struct src_pos pos);
/* Puts a group into another. */
void inventory_nest(struct inventory *inventory, uint32_t parent, uint32_t child);
/* Puts the hosts that a pattern such as web[01:50] names into a group, and sets variables of
 * theirs, which stay the caller's. */
void inventory_add_hosts(struct inventory *inventory, uint32_t group, const char *pattern,
                         struct src_pos pos, const struct spec_pairs *vars);
/* Adds or replaces; `text` is copied. */
void inventory_set(struct inventory *inventory, struct spec_pairs *pairs, const char *key,
                   const char *text, struct src_pos pos);
void inventory_release_pairs(struct spec_pairs *pairs);
/* Appends what has come together to *hosts. */
void inventory_finish(struct inventory *inventory, struct spec_hosts *hosts);

/* inventory_ini.c, inventory_yaml.c */
void inventory_read_ini(struct inventory *inventory, const char *text, size_t len);
void inventory_read_yaml(struct inventory *inventory, const char *text, size_t len);

/* inventory_host.c: what a host is, by the variables that it and its groups have. false: something
 * about its engine is wrong, which has been added. */
bool inventory_make_host(struct inventory *inventory, const struct inventory_host *host,
                         const struct spec_pairs *vars, struct spec_host *ret);
