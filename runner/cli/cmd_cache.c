/* `runner cache`: what is kept between runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/parse.h"
#include "cli/commands.h"
#include "cli/stores.h"
#include "control/signals.h"

#define PREFIX "cache/"

struct cache_args {
    char *store;
    char *cache_dir;
    char *cache_size;
    char *pipeline;
    bool all;
    bool dry_run;
    char *max_size;
    int64_t unused_ms;
    int format;
};

static const char *const formats[] = {"text", "json", NULL};

#define AT(field) offsetof(struct cache_args, field)

static const struct cli_option options[] = {
    {"store", 0, CLI_STRING, AT(store), "URL", "look into s3://BUCKET/PREFIX, not the local store",
     NULL, NULL},
    CLI_STORE_OPTIONS(AT(cache_dir), AT(cache_size)),
    {"pipeline", 0, CLI_STRING, AT(pipeline), "NAME", "only what this pipeline has saved", NULL,
     NULL},
    {"all", 0, CLI_FLAG, AT(all), NULL, "rm: all entries", NULL, NULL},
    {"max-size", 0, CLI_STRING, AT(max_size), "SIZE",
     "prune: how much may stay (default: --cache-size)", NULL, NULL},
    {"unused", 0, CLI_DURATION, AT(unused_ms), "DURATION",
     "prune: remove what has not been used for so long", NULL, NULL},
    {"dry-run", 0, CLI_FLAG, AT(dry_run), NULL, "only show what would be removed", NULL, NULL},
    {"format", 0, CLI_CHOICE, AT(format), NULL, "of the list", formats, NULL},
    {0},
};

/* An object's key is cache/PIPELINE/PATHS/KEY (exec/caching.c). */
struct entry {
    const struct object_info *info;
    char *pipeline;
    char *key;
};

static void entry_release(struct entry *entry)
{
    free(entry->pipeline);
    free(entry->key);
}

static bool entry_parse(const struct object_info *info, struct entry *ret)
{
    const char *pipeline = info->key + strlen(PREFIX);
    const char *paths;
    const char *key;
    struct buf text[2] = {BUF_INIT, BUF_INIT};

    if (strncmp(info->key, PREFIX, strlen(PREFIX)) != 0)
        return false;
    paths = strchr(pipeline, '/');
    key = paths ? strchr(paths + 1, '/') : NULL;
    if (!key)
        return false;
    object_key_add_plain(&text[0], pipeline, (size_t)(paths - pipeline));
    object_key_add_plain(&text[1], key + 1, strlen(key + 1));
    *ret = (struct entry){info, buf_steal(&text[0]), buf_steal(&text[1])};
    return true;
}

struct cache {
    const struct cache_args *args;
    const struct strvec *keys;
    struct object_store *store;
    json_t *list; /* of --format json; NULL: text */
    size_t count;
    int64_t bytes;
};

static void show_text(const struct cache *c, const char *verb, const struct entry *entry)
{
    int64_t unused_ms = clock_wall_ms() - entry->info->used_ms;
    char used[CLOCK_DURATION_SIZE];

    clock_format_duration(unused_ms > 0 ? unused_ms : 0, used, sizeof(used));
    if (!c->count)
        printf("%s%12s  %10s  %-20s  %s\n", *verb ? "           " : "", "BYTES", "UNUSED FOR",
               "PIPELINE", "KEY");
    printf("%s%12lld  %10s  %-20s  %s\n", verb, (long long)entry->info->size_bytes, used,
           entry->pipeline, entry->key);
}

static json_t *to_json(const struct entry *entry)
{
    char stored[CLOCK_RFC3339_SIZE];
    char used[CLOCK_RFC3339_SIZE];

    clock_rfc3339(entry->info->stored_ms, stored);
    clock_rfc3339(entry->info->used_ms, used);
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "pipeline", entry->pipeline, "key",
                     entry->key, "object", entry->info->key, "size_bytes",
                     (json_int_t)entry->info->size_bytes, "stored_at", stored, "used_at", used,
                     "sha256", entry->info->sha256);
}

static void show(struct cache *c, const char *verb, const struct entry *entry)
{
    if (c->list) {
        json_t *one = to_json(entry);

        if (one) /* else a name is not UTF-8 */
            json_array_append_new(c->list, one);
    } else {
        show_text(c, verb, entry);
    }
    c->count++;
    c->bytes += entry->info->size_bytes;
}

static const char *removed_verb(const struct cache *c)
{
    return c->args->dry_run ? "would rm   " : "removed    ";
}

static bool is_wanted(const struct cache *c, const struct entry *entry)
{
    if (c->args->pipeline && strcmp(c->args->pipeline, entry->pipeline) != 0)
        return false;
    for (size_t i = 1; i < c->keys->len; i++) {
        if (strcmp(c->keys->items[i], entry->key) == 0)
            return true;
    }
    return c->keys->len < 2;
}

/* Shows all that are wanted, and removes them if `remove` is set. */
static int walk(const struct ctx *ctx, struct cache *c, bool remove, struct err *err)
{
    CLEANUP_OBJECT_LIST struct object_list list = {0};

    if (c->store->ops->list(ctx, c->store, PREFIX, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.len; i++) {
        struct entry entry;
        bool wanted;
        int result = 0;

        if (!entry_parse(&list.items[i], &entry))
            continue;
        wanted = is_wanted(c, &entry);
        if (wanted && remove && !c->args->dry_run)
            result = c->store->ops->remove(ctx, c->store, entry.info->key, err);
        if (wanted && result == 0)
            show(c, remove ? removed_verb(c) : "", &entry);
        entry_release(&entry);
        if (result < 0 && err->code != ERR_NOT_FOUND)
            return -1;
    }
    return 0;
}

static int list_entries(const struct ctx *ctx, struct cache *c, struct err *err)
{
    return walk(ctx, c, false, err);
}

static int remove_entries(const struct ctx *ctx, struct cache *c, struct err *err)
{
    if (c->keys->len < 2 && !c->args->all && !c->args->pipeline)
        return err_set(err, ERR_INVALID, "rm takes keys, --pipeline NAME or --all");
    if (walk(ctx, c, true, err) < 0)
        return -1;
    if (!c->count && c->keys->len > 1)
        return err_set(err, ERR_NOT_FOUND, "there is no entry with such a key");
    return 0;
}

static void pruned(void *arg, const struct object_info *info)
{
    struct cache *c = arg;
    struct entry entry;

    if (!entry_parse(info, &entry))
        return;
    show(c, removed_verb(c), &entry);
    entry_release(&entry);
}

static int prune_entries(const struct ctx *ctx, struct cache *c, struct err *err)
{
    const char *size = c->args->max_size     ? c->args->max_size
                       : c->args->cache_size ? c->args->cache_size
                                             : CLI_STORE_SIZE_DEFAULT;
    struct object_trim trim = {.unused_ms = c->args->unused_ms ? c->args->unused_ms : -1,
                               .dry_run = c->args->dry_run,
                               .removed = pruned,
                               .arg = c};

    if (c->keys->len > 1)
        return err_set(err, ERR_INVALID, "prune takes no keys; use rm");
    if (parse_size_bytes(size, &trim.max_bytes, err) < 0)
        return err_wrap(err, "--max-size");
    if (!trim.max_bytes && !c->args->max_size)
        trim.max_bytes = -1;
    return object_store_trim(ctx, c->store, PREFIX, &trim, err);
}

static const struct action {
    const char *name;
    int (*run)(const struct ctx *ctx, struct cache *c, struct err *err);
    bool removes;
} actions[] = {{"ls", list_entries, false},
               {"rm", remove_entries, true},
               {"prune", prune_entries, true}};

static void finish(struct cache *c, bool removes)
{
    if (c->list) {
        json_dumpf(c->list, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (!c->count) {
        puts(removes ? "nothing to remove" : "no caches");
    } else {
        printf("%zu %s, %lld bytes\n", c->count, c->count == 1 ? "entry" : "entries",
               (long long)c->bytes);
    }
}

struct call {
    const struct action *action;
    const struct cache_args *args;
    const struct strvec *operands;
};

static int act(const struct ctx *ctx, void *arg, struct err *err)
{
    const struct call *call = arg;
    const struct cache_args *args = call->args;
    CLEANUP_OBJECT_STORE struct object_store *store = NULL;
    struct object_store_places where;
    struct cache c = {.args = args, .keys = call->operands};
    int result;

    if (cli_store_options(args->cache_dir, args->cache_size, &where, err) < 0 ||
        object_store_open_at(&where, args->store ? args->store : "local", &store, err) < 0)
        return -1;
    c.store = store;
    if (args->format == 1)
        c.list = json_array();
    result = call->action->run(ctx, &c, err);
    if (result == 0)
        finish(&c, call->action->removes);
    json_decref(c.list);
    return result;
}

static int run_action(const struct action *action, const struct cache_args *args,
                      const struct strvec *operands)
{
    struct call call = {action, args, operands};
    struct err err = ERR_INIT;
    int result;
    int signal;

    result = signals_run(act, &call, &signal, &err);
    if (result < 0)
        fprintf(stderr, "runner cache %s: %s\n", action->name, err.message);
    if (signal)
        return 128 + signal;
    if (result == 0)
        return CLI_EXIT_OK;
    return err.code == ERR_INVALID ? CLI_EXIT_USAGE : CLI_EXIT_FAILED;
}

static int run(void *args, const struct strvec *operands)
{
    for (size_t i = 0; operands->len && i < sizeof(actions) / sizeof(*actions); i++) {
        if (strcmp(actions[i].name, operands->items[0]) == 0)
            return run_action(&actions[i], args, operands);
    }
    if (operands->len)
        fprintf(stderr, "runner cache: there is no \"%s\"; it is ls, rm or prune\n",
                operands->items[0]);
    else
        fputs("runner cache: what to do? ls, rm or prune\n", stderr);
    return CLI_EXIT_USAGE;
}

const struct cli_command cmd_cache = {
    .name = "cache",
    .operands = "ls|rm|prune [KEY...]",
    .summary = "show and remove what is kept between runs",
    .description = "ls lists the entries, the last used first; rm removes those with the keys "
                   "given; prune removes what has not been used for long, or is too much.",
    .options = options,
    .args_size = sizeof(struct cache_args),
    .run = run,
};
