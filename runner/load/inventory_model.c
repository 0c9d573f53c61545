#include "load/inventory_model.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/parse.h"
#include "load/hosts.h"

void inventory_init(struct inventory *inv, uint32_t file, struct diag_list *diags)
{
    *inv = (struct inventory){.diags = diags, .file = file};
    inventory_group(inv, "all", (struct src_pos){.file = file & 15});
}

void inventory_release_pairs(struct spec_pairs *pairs)
{
    for (size_t i = 0; i < pairs->len; i++) {
        free(pairs->items[i].key);
        free(pairs->items[i].value.text);
    }
    free(pairs->items);
    *pairs = (struct spec_pairs){0};
}

void inventory_release(struct inventory *inv)
{
    vec_foreach (struct inventory_group *, group, &inv->groups) {
        free(group->name);
        inventory_release_pairs(&group->vars);
        vec_release(&group->parents);
    }
    vec_foreach (struct inventory_host *, host, &inv->hosts) {
        free(host->name);
        inventory_release_pairs(&host->vars);
        vec_release(&host->groups);
    }
    vec_release(&inv->groups);
    vec_release(&inv->hosts);
    text_index_release(&inv->group_names);
    text_index_release(&inv->host_names);
}

void inventory_error(struct inventory *inv, struct src_pos pos, const char *fmt, ...)
{
    CLEANUP_BUF struct buf message = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&message, fmt, args);
    va_end(args);
    pos.file = inv->file & 15;
    diag_add(inv->diags, DIAG_ERROR, pos, "", "%s", message.data);
}

/* Once. */
static void too_much(struct inventory *inv, struct src_pos pos, int max, const char *what)
{
    if (!inv->is_full)
        inventory_error(inv, pos, "there are more than %d %s", max, what);
    inv->is_full = true;
}

void inventory_set(struct inventory *inv, struct spec_pairs *pairs, const char *key,
                   const char *text, struct src_pos pos)
{
    struct spec_str value;

    pos.file = inv->file & 15;
    value = (struct spec_str){xstrdup(text), pos};

    for (size_t i = 0; i < pairs->len; i++) {
        if (strcmp(pairs->items[i].key, key) != 0)
            continue;
        free(pairs->items[i].value.text);
        pairs->items[i].value = value;
        return;
    }
    if (pairs->len == INVENTORY_VARS_MAX) {
        too_much(inv, pos, INVENTORY_VARS_MAX, "variables");
        free(value.text);
        return;
    }
    pairs->items = xreallocarray(pairs->items, pairs->len + 1, sizeof(*pairs->items));
    pairs->items[pairs->len++] = (struct spec_pair){xstrdup(key), value};
}

/* --- groups --- */

uint32_t inventory_group(struct inventory *inv, const char *name, struct src_pos pos)
{
    struct err err = ERR_INIT;
    uint32_t number;

    if (text_index_find(&inv->group_names, name, strlen(name), &number))
        return number;
    if (inv->groups.len == INVENTORY_GROUPS_MAX) {
        too_much(inv, pos, INVENTORY_GROUPS_MAX, "groups");
        return 0;
    }
    if (inv->groups.len && host_name_check(name, &err) < 0)
        inventory_error(inv, pos, "the group: %s", err.message);
    number = (uint32_t)inv->groups.len;
    pos.file = inv->file & 15;
    vec_push(&inv->groups, ((struct inventory_group){.name = xstrdup(name), .pos = pos}));
    text_index_set(&inv->group_names, inv->groups.items[number].name, strlen(name), number);
    return number;
}

static void add_number(struct inventory_numbers *numbers, uint32_t number)
{
    for (size_t i = 0; i < numbers->len; i++) {
        if (numbers->items[i] == number)
            return;
    }
    vec_push(numbers, number);
}

void inventory_nest(struct inventory *inv, uint32_t parent, uint32_t child)
{
    if (parent) /* all groups are in "all" */
        add_number(&inv->groups.items[child].parents, parent);
}

/* --- hosts --- */

static struct inventory_host *get_host(struct inventory *inv, const char *name, struct src_pos pos)
{
    struct err err = ERR_INIT;
    uint32_t number;

    if (text_index_find(&inv->host_names, name, strlen(name), &number))
        return &inv->hosts.items[number];
    if (inv->hosts.len == INVENTORY_HOSTS_MAX) {
        too_much(inv, pos, INVENTORY_HOSTS_MAX, "hosts");
        return NULL;
    }
    if (host_name_check(name, &err) < 0) {
        inventory_error(inv, pos, "the host: %s", err.message);
        return NULL;
    }
    number = (uint32_t)inv->hosts.len;
    pos.file = inv->file & 15;
    vec_push(&inv->hosts, ((struct inventory_host){.name = xstrdup(name), .pos = pos}));
    text_index_set(&inv->host_names, inv->hosts.items[number].name, strlen(name), number);
    return &inv->hosts.items[number];
}

static bool add_host(struct inventory *inv, uint32_t group, const char *name, struct src_pos pos,
                     const struct spec_pairs *vars)
{
    struct inventory_host *host = get_host(inv, name, pos);

    if (!host)
        return false;
    add_number(&host->groups, group);
    for (size_t i = 0; i < vars->len; i++)
        inventory_set(inv, &host->vars, vars->items[i].key, vars->items[i].value.text,
                      vars->items[i].value.pos);
    return true;
}

/* What stands in [START:END] or [START:END:STEP]. */
struct range {
    int64_t start;
    int64_t end;
    int64_t step;
    int width;       /* of numbers with zeros in front; 0: as they are */
    bool is_letters; /* one letter each */
};

/* The parts between the colons; returns how many there are, at most `max` + 1. */
static size_t split_range(const char *text, size_t len, char parts[][16], size_t max)
{
    size_t count = 0;

    while (count <= max) {
        const char *colon = memchr(text, ':', len);
        size_t part = colon ? (size_t)(colon - text) : len;

        if (count == max || part >= sizeof(parts[0]))
            return max + 1;
        memcpy(parts[count], text, part);
        parts[count++][part] = '\0';
        if (!colon)
            return count;
        text += part + 1;
        len -= part + 1;
    }
    return count;
}

static bool is_number(const char *text)
{
    return *text && !text[strspn(text, "0123456789")];
}

static bool read_range(const char *text, size_t len, struct range *ret)
{
    char parts[3][16];
    size_t count = split_range(text, len, parts, 3);

    *ret = (struct range){.step = 1};
    if (count < 2 || count > 3)
        return false;
    if (count == 3 && (!is_number(parts[2]) || parse_int64(parts[2], &ret->step, NULL) < 0))
        return false;
    if (is_number(parts[0]) && is_number(parts[1])) {
        if (parts[0][0] == '0' && parts[0][1])
            ret->width = (int)strlen(parts[0]);
        return parse_int64(parts[0], &ret->start, NULL) == 0 &&
               parse_int64(parts[1], &ret->end, NULL) == 0 && ret->start <= ret->end &&
               ret->step > 0;
    }
    ret->is_letters = true;
    ret->start = parts[0][0];
    ret->end = parts[1][0];
    return strlen(parts[0]) == 1 && strlen(parts[1]) == 1 && isalpha((unsigned char)parts[0][0]) &&
           isalpha((unsigned char)parts[1][0]) &&
           !isupper((unsigned char)parts[0][0]) == !isupper((unsigned char)parts[1][0]) &&
           ret->start <= ret->end && ret->step > 0;
}

/* The first range of the pattern is written out, then those behind it. */
static bool add_pattern(struct inventory *inv, uint32_t group, const char *pattern,
                        struct src_pos pos, const struct spec_pairs *vars)
{
    const char *open = strchr(pattern, '[');
    const char *close = open ? strchr(open, ']') : NULL;
    struct range range;

    if (!open)
        return add_host(inv, group, pattern, pos, vars);
    if (!close || !read_range(open + 1, (size_t)(close - open - 1), &range)) {
        inventory_error(inv, pos,
                        "\"%s\" is no range of hosts; write web[01:50], web[1:9:2] or web[a:f]",
                        pattern);
        return false;
    }
    for (int64_t i = range.start; i <= range.end; i += range.step) {
        CLEANUP_BUF struct buf name = BUF_INIT;

        buf_add(&name, pattern, (size_t)(open - pattern));
        if (range.is_letters)
            buf_addch(&name, (char)i);
        else
            buf_addf(&name, "%0*lld", range.width, (long long)i);
        buf_addstr(&name, close + 1);
        if (!add_pattern(inv, group, name.data, pos, vars))
            return false;
        if (i > range.end - range.step)
            break;
    }
    return true;
}

void inventory_add_hosts(struct inventory *inv, uint32_t group, const char *pattern,
                         struct src_pos pos, const struct spec_pairs *vars)
{
    if (strlen(pattern) > INVENTORY_PATTERN_MAX)
        inventory_error(inv, pos, "the name of the host has more than %d bytes",
                        INVENTORY_PATTERN_MAX);
    else
        add_pattern(inv, group, pattern, pos, vars);
}

/* --- what comes of it --- */

enum { UNSEEN, ON_PATH, DONE };

struct visit {
    uint32_t group;
    size_t next; /* parent to look at */
};

static void report_cycle(struct inventory *inv, const struct visit *path, size_t len,
                         uint32_t first)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    size_t start = len;

    while (path[--start].group != first)
        ;
    for (size_t i = start; i < len; i++)
        buf_addf(&text, "\"%s\" in ", inv->groups.items[path[i].group].name);
    buf_addf(&text, "\"%s\"", inv->groups.items[first].name);
    inventory_error(inv, inv->groups.items[first].pos, "the groups contain each other: %s",
                    text.data);
}

/* The longest way down from "all" to each group, without recursion: nesting may be as deep as the
 * file is long. */
static bool find_depths(struct inventory *inv)
{
    CLEANUP_FREE struct visit *path = xcalloc(inv->groups.len, sizeof(*path));

    for (uint32_t root = 0; root < inv->groups.len; root++) {
        size_t len = 0;

        if (inv->groups.items[root].visit != UNSEEN)
            continue;
        path[len++] = (struct visit){.group = root};
        inv->groups.items[root].visit = ON_PATH;
        while (len > 0) {
            struct visit *top = &path[len - 1];
            struct inventory_group *group = &inv->groups.items[top->group];
            struct inventory_group *parent;

            if (top->next == group->parents.len) {
                group->depth = group->depth ? group->depth : top->group != 0;
                for (size_t i = 0; i < group->parents.len; i++) {
                    parent = &inv->groups.items[group->parents.items[i]];
                    if (group->depth <= parent->depth)
                        group->depth = parent->depth + 1;
                }
                group->visit = DONE;
                len--;
                continue;
            }
            parent = &inv->groups.items[group->parents.items[top->next++]];
            if (parent->visit == ON_PATH) {
                report_cycle(inv, path, len, (uint32_t)(parent - inv->groups.items));
                return false;
            }
            if (parent->visit == UNSEEN) {
                parent->visit = ON_PATH;
                path[len++] = (struct visit){.group = (uint32_t)(parent - inv->groups.items)};
            }
        }
    }
    return true;
}

static int by_depth(const void *a, const void *b, void *arg)
{
    const struct inventory *inv = arg;
    const struct inventory_group *first = &inv->groups.items[*(const uint32_t *)a];
    const struct inventory_group *second = &inv->groups.items[*(const uint32_t *)b];

    if (first->depth != second->depth)
        return first->depth < second->depth ? -1 : 1;
    return strcmp(first->name, second->name);
}

/* All groups that the host is in, those above first; `seen` is all false before and after. */
static void find_groups(struct inventory *inv, const struct inventory_host *host, bool *seen,
                        struct inventory_numbers *ret)
{
    vec_push(ret, 0);
    seen[0] = true;
    for (size_t i = 0; i < host->groups.len; i++) {
        if (!seen[host->groups.items[i]])
            vec_push(ret, host->groups.items[i]);
        seen[host->groups.items[i]] = true;
    }
    for (size_t i = 1; i < ret->len; i++) {
        const struct inventory_numbers *parents = &inv->groups.items[ret->items[i]].parents;

        for (size_t j = 0; j < parents->len; j++) {
            if (!seen[parents->items[j]])
                vec_push(ret, parents->items[j]);
            seen[parents->items[j]] = true;
        }
    }
    for (size_t i = 0; i < ret->len; i++)
        seen[ret->items[i]] = false;
    qsort_r(ret->items, ret->len, sizeof(*ret->items), by_depth, inv);
}

static void merge(struct inventory *inv, struct spec_pairs *to, const struct spec_pairs *from)
{
    for (size_t i = 0; i < from->len; i++)
        inventory_set(inv, to, from->items[i].key, from->items[i].value.text,
                      from->items[i].value.pos);
}

static void add_role(struct spec_host *host, const struct inventory_group *group)
{
    if (strcmp(group->name, "all") == 0 || strcmp(group->name, "ungrouped") == 0)
        return;
    host->roles.items =
        xreallocarray(host->roles.items, host->roles.len + 1, sizeof(*host->roles.items));
    host->roles.items[host->roles.len++] = (struct spec_str){xstrdup(group->name), group->pos};
}

/* false: no further host is to be looked at. */
static bool finish_host(struct inventory *inv, const struct inventory_host *host, bool *seen,
                        struct spec_host *ret, size_t *total)
{
    struct inventory_numbers groups = {0};
    struct spec_pairs vars = {0};
    bool well;

    find_groups(inv, host, seen, &groups);
    for (size_t i = 0; i < groups.len; i++) {
        merge(inv, &vars, &inv->groups.items[groups.items[i]].vars);
        add_role(ret, &inv->groups.items[groups.items[i]]);
    }
    merge(inv, &vars, &host->vars);
    *total += vars.len + groups.len;
    well = *total <= INVENTORY_TOTAL_MAX;
    if (!well)
        too_much(inv, host->pos, INVENTORY_TOTAL_MAX, "variables and roles of hosts");
    well = well && inventory_make_host(inv, host, &vars, ret);
    inventory_release_pairs(&vars);
    vec_release(&groups);
    return well;
}

void inventory_finish(struct inventory *inv, struct spec_hosts *hosts)
{
    CLEANUP_FREE bool *seen = xcalloc(inv->groups.len, sizeof(*seen));
    CLEANUP_TEXT_INDEX struct text_index names = {0};
    size_t total = 0;

    if (!find_depths(inv))
        return;
    for (size_t i = 0; i < hosts->len; i++)
        text_index_set(&names, hosts->items[i].name.text, strlen(hosts->items[i].name.text),
                       (uint32_t)i);
    hosts->items =
        xreallocarray(hosts->items, hosts->len + inv->hosts.len + 1, sizeof(*hosts->items));
    vec_foreach (struct inventory_host *, host, &inv->hosts) {
        struct spec_host *to = &hosts->items[hosts->len];
        uint32_t earlier;

        if (text_index_find(&names, host->name, strlen(host->name), &earlier)) {
            inventory_error(inv, host->pos,
                            "the host \"%s\" is in the pipeline file, too, on line %u", host->name,
                            hosts->items[earlier].name.pos.line);
            continue;
        }
        hosts->len++;
        *to = (struct spec_host){.pos = host->pos, .name = {xstrdup(host->name), host->pos}};
        if (!finish_host(inv, host, seen, to, &total))
            return;
    }
}
