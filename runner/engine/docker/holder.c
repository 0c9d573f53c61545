/* The holder of a place, and with it the place's workspace.
 *
 * The holder has the workspace mounted although it needs none: that shows at once, and once,
 * whether the daemon sees the directory. Where it does not, the holder is what a copy goes in
 * through. */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apis/docker/network.h"
#include "apis/docker/timestamp.h"
#include "apis/docker/volume.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/tar.h"
#include "engine/docker/place.h"

#define SEEN_TRIES 5

/* The networks of services that the holder is in; returns how many. The first one takes the place
 * of the daemon's default network. */
static size_t list_networks(const struct docker_place *place, const char **networks)
{
    size_t count = 0;

    if (place->network)
        networks[count++] = place->network;
    for (size_t i = 0; i < place->services_of_count; i++) {
        if (place->services_of[i]->network)
            networks[count++] = place->services_of[i]->network;
    }
    return count;
}

static int join_networks(const struct ctx *ctx, const struct docker_place *place,
                         struct docker_client *client, const char *const *networks, size_t count,
                         struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct docker_network_attach attach = {.network = networks[i]};

        if (docker_network_connect(ctx, client, place->holder, &attach, err) < 0)
            return -1;
    }
    return 0;
}

static int create_holder(const struct ctx *ctx, struct docker_place *place,
                         struct docker_client *client, struct err *err)
{
    static const char *const entrypoint[] = {TOOLS_HELPER, NULL};
    static const char *const cmd[] = {"hold", NULL};
    const struct docker_mount mount = {.type = place->workspace_path.type,
                                       .source = place->workspace_path.source,
                                       .volume_subpath = place->workspace_path.subpath,
                                       .target = place->workspace};
    CLEANUP_STRMAP struct strmap labels = {0};
    CLEANUP_FREE char *id = NULL;
    const char *networks[PLACE_SERVICES_MAX + 1];
    size_t network_count = list_networks(place, networks);
    const struct docker_network_attach attach = {.network = network_count ? networks[0] : NULL};
    struct docker_create create = {.name = place->holder,
                                   .networks = &attach,
                                   .network_count = network_count > 0,
                                   .image = place->instance->tools.image,
                                   .entrypoint = entrypoint,
                                   .cmd = cmd,
                                   .labels = &labels,
                                   .mounts = &mount,
                                   .mount_count = !place->services,
                                   .open_stdin = true,
                                   .stdin_once = true,
                                   .attach_stdin = true,
                                   .log_driver = "none"};

    instance_labels(place->instance, "holder", place->id, &labels);
    if (docker_container_create(ctx, client, &create, &id, err) < 0)
        return -1;
    return network_count > 1
               ? join_networks(ctx, place, client, networks + 1, network_count - 1, err)
               : 0;
}

/* It outlives the holder: the services go on in it. */
static int make_network(const struct ctx *ctx, struct docker_place *place,
                        struct docker_client *client, struct err *err)
{
    CLEANUP_STRMAP struct strmap labels = {0};
    struct docker_network_create create = {.labels = &labels};
    CLEANUP_FREE char *id = NULL;

    if (!place->services || place->network)
        return 0;
    instance_labels(place->instance, "network", place->id, &labels);
    place->network = place->holder_count == 1
                         ? xasprintf("%s-network", place->prefix)
                         : xasprintf("%s-network-%u", place->prefix, place->holder_count);
    create.name = place->network;
    return docker_network_create(ctx, client, &create, &id, err);
}

static ssize_t read_tree(void *arg, char *data, size_t size, struct err *err)
{
    return tar_tree_read(arg, data, size, err);
}

static int fill_copy(const struct ctx *ctx, struct docker_place *place,
                     struct docker_client *client, struct err *err)
{
    CLEANUP_IGNORE struct ignore *ignore = NULL;
    struct tar_tree *tree;
    struct docker_tar tar = {.read = read_tree};
    int result;

    if (ignore_read(place->workspace, &ignore, err) < 0 ||
        tar_tree_open(place->workspace, &tree, err) < 0)
        return -1;
    tar_tree_ignore(tree, ignore);
    tar.arg = tree;
    result = docker_container_archive_put(ctx, client, place->holder, place->workspace, &tar, err);
    tar_tree_close(tree);
    return result < 0 ? err_wrap(err, "cannot copy %s to the Docker host", place->workspace) : 0;
}

static int make_volume(const struct ctx *ctx, struct docker_place *place,
                       struct docker_client *client, struct output *output, struct err *err)
{
    CLEANUP_STRMAP struct strmap labels = {0};
    struct docker_volume_create create = {.labels = &labels};
    struct docker_volume volume = {0};
    char text[512];

    if (output && !place->empty) {
        snprintf(text, sizeof(text), "the Docker host does not see %s: steps work on a copy",
                 place->workspace);
        output->note(output, text);
    }
    instance_labels(place->instance, "workspace", place->id, &labels);
    create.name = place->volume = xasprintf("%s-workspace", place->prefix);
    if (docker_volume_create(ctx, client, &create, &volume, err) < 0)
        return -1;
    docker_volume_release(&volume);
    return 0;
}

/* The volume outlives its holder: when that is made anew, what steps changed is still there. */
static int create_with_copy(const struct ctx *ctx, struct docker_place *place,
                            struct docker_client *client, struct output *output, struct err *err)
{
    if (!place->volume && make_volume(ctx, place, client, output, err) < 0)
        return -1;
    self_path_release(&place->workspace_path);
    place->workspace_path =
        (struct self_path){.type = DOCKER_MOUNT_VOLUME, .source = xstrdup(place->volume)};
    if (create_holder(ctx, place, client, err) < 0)
        return -1;
    if (!place->volume_filled && !place->empty && fill_copy(ctx, place, client, err) < 0)
        return -1;
    place->volume_filled = true;
    return 0;
}

/* Whether the daemon refused a mount because it has no such directory. */
static bool is_missing_source(const struct err *err)
{
    return err->code == ERR_INVALID && strstr(err->message, "bind source path does not exist");
}

/* When that path was modified, as the holder has it; 0: it is not there. */
static int64_t time_in_holder(const struct ctx *ctx, struct docker_place *place,
                              struct docker_client *client, const char *in_holder)
{
    static const char stat_header[] = "x-docker-container-path-stat";
    static const char *const keep[] = {stat_header, NULL};
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP_BUF struct buf path = BUF_INIT;
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct http_request request = {.method = "HEAD", .keep = keep};
    const char *header;
    int64_t time_ns;
    json_t *stat;

    buf_addf(&path, "/containers/%s/archive?path=", place->holder);
    http_escape(&path, in_holder);
    request.path = path.data;
    if (docker_call_raw(ctx, client, &request, &response, NULL) < 0)
        return 0;
    header = strmap_get(&response.headers, stat_header);
    if (!header || base64_decode(&text, header, NULL) < 0)
        return 0;
    stat = json_loadb(text.data, text.len, 0, NULL);
    time_ns = timestamp_ns(json_string_value(json_object_get(stat, "mtime")));
    json_decref(stat);
    return time_ns;
}

static int64_t time_here(const struct docker_place *place)
{
    struct stat status;

    if (stat(place->workspace, &status) < 0)
        return -1;
    return status.st_mtim.tv_sec * INT64_C(1000000000) + status.st_mtim.tv_nsec;
}

/* Somebody may be working in it, hence several tries. */
static bool has_same_time(const struct ctx *ctx, struct docker_place *place,
                          struct docker_client *client)
{
    for (int i = 0; i < SEEN_TRIES; i++) {
        int64_t before = time_here(place);
        int64_t there = time_in_holder(ctx, place, client, place->workspace);

        if (there != 0 && (there == before || there == time_here(place)))
            return true;
        if (there == 0)
            break;
    }
    return false;
}

static bool set_mark(struct own_run *run, const char *mark)
{
    if (own_run_note(run, OWN_DIRECTORY, mark, NULL) < 0)
        return false;
    if (mkdir(mark, 0700) == 0)
        return true;
    own_run_forget(run, OWN_DIRECTORY, mark);
    return false;
}

/* What cannot be removed now is still in the journal. */
static void remove_mark(struct own_run *run, const char *mark)
{
    if (rmdir(mark) == 0 || errno == ENOENT)
        own_run_forget(run, OWN_DIRECTORY, mark);
}

/* Whether the directory that the daemon has under the workspace's name is that one: a mark that is
 * made here is there too. Where none can be made the times have to do, which two directories can
 * have in common. */
static bool is_seen(const struct ctx *ctx, struct docker_place *place, struct docker_client *client)
{
    struct own_run *run = place->instance->services->run;
    CLEANUP_FREE char *mark = xasprintf("%s/.%s", place->workspace, place->holder);
    bool seen;

    if (!set_mark(run, mark))
        return has_same_time(ctx, place, client);
    seen = time_in_holder(ctx, place, client, mark) != 0;
    remove_mark(run, mark);
    return seen;
}

static int create_with_workspace(const struct ctx *ctx, struct docker_place *place,
                                 struct docker_client *client, struct output *output,
                                 struct err *err)
{
    const struct self *self = &place->instance->self;
    struct err why = ERR_INIT;

    if (place->services)
        return create_holder(ctx, place, client, err);
    self_path_release(&place->workspace_path);
    if (place->volume || place->empty || self->place == SELF_ELSEWHERE ||
        self_translate(self, place->workspace, place->instance->api_minor, &place->workspace_path,
                       NULL) < 0)
        return create_with_copy(ctx, place, client, output, err);
    if (create_holder(ctx, place, client, &why) == 0) {
        if (self->place != SELF_UNCERTAIN || is_seen(ctx, place, client))
            return 0;
        if (instance_remove_container(ctx, place->instance, client, place->holder, err) < 0)
            return -1;
        return create_with_copy(ctx, place, client, output, err);
    }
    if (is_missing_source(&why))
        return create_with_copy(ctx, place, client, output, err);
    *err = why;
    return -1;
}

static int start_holder(const struct ctx *ctx, struct docker_place *place,
                        struct docker_client *client, struct err *err)
{
    int result;

    if (docker_container_attach(ctx, client, place->holder, DOCKER_ATTACH_STDIN,
                                &place->holder_lease, err) < 0 ||
        gate_enter(ctx, &place->instance->starts, err) < 0)
        return -1;
    result = docker_container_start(ctx, client, place->holder, err);
    gate_leave(&place->instance->starts);
    return result;
}

static void remove_holder(const struct ctx *ctx, struct docker_place *place,
                          struct docker_client *client)
{
    struct err err = ERR_INIT;

    http_stream_free(steal_ptr(&place->holder_lease));
    if (place->holder &&
        instance_remove_container(ctx, place->instance, client, place->holder, &err) < 0)
        instance_remove_failed(place->instance, "container", place->holder, &err);
    free(steal_ptr(&place->holder));
}

void place_holder_remove(const struct ctx *ctx, struct docker_place *place,
                         struct docker_client *client)
{
    struct err err = ERR_INIT;

    remove_holder(ctx, place, client);
    if (place->volume &&
        instance_remove_volume(ctx, place->instance, client, place->volume, &err) < 0)
        instance_remove_failed(place->instance, "volume", place->volume, &err);
    free(steal_ptr(&place->volume));
    place->volume_filled = false;
    if (place->network &&
        instance_remove_network(ctx, place->instance, client, place->network, &err) < 0)
        instance_remove_failed(place->instance, "network", place->network, &err);
    free(steal_ptr(&place->network));
}

/* After a failure the next call begins anew. */
static int make(const struct ctx *ctx, struct docker_place *place, struct docker_client *client,
                struct output *output, struct err *err)
{
    if (tools_ensure(ctx, place->instance, client, err) < 0)
        return -1;
    /* A creation that was broken off may still take its name. */
    place->holder = place->holder_count++ == 0
                        ? xasprintf("%s-holder", place->prefix)
                        : xasprintf("%s-holder-%u", place->prefix, place->holder_count);
    if (make_network(ctx, place, client, err) < 0 ||
        create_with_workspace(ctx, place, client, output, err) < 0 ||
        start_holder(ctx, place, client, err) < 0) {
        CLEANUP_CTX struct ctx cleanup;

        instance_create_failed(place->instance, err);
        ctx_init_cleanup(&cleanup, 10000);
        /* A copy that steps have worked on cannot be had again. */
        if (place->volume_filled || place->holder_count > 1)
            remove_holder(&cleanup, place, client);
        else
            place_holder_remove(&cleanup, place, client);
        return err_wrap(err, "cannot make the network of the job");
    }
    return 0;
}

static void view(const struct docker_place *place, struct arena *arena, struct place_view *ret)
{
    const struct self_path *path = &place->workspace_path;
    CLEANUP_FREE char *mode = xasprintf("container:%s", place->holder);

    ret->network_mode = arena_strndup(arena, mode, strlen(mode));
    if (place->services)
        return;
    ret->workspace =
        (struct docker_mount){.type = path->type,
                              .source = arena_strndup(arena, path->source, strlen(path->source)),
                              .volume_subpath = path->subpath ? arena_strndup(arena, path->subpath,
                                                                              strlen(path->subpath))
                                                              : NULL,
                              .target = place->workspace};
}

int place_holder_ensure(const struct ctx *ctx, struct docker_place *place,
                        struct docker_client *client, struct output *output, struct arena *arena,
                        struct place_view *ret, struct err *err)
{
    int result = 0;

    if (gate_enter(ctx, &place->holder_busy, err) < 0)
        return -1;
    if (!place->holder_ready) {
        result = make(ctx, place, client, output, err);
        place->holder_ready = result == 0;
    }
    if (result == 0)
        view(place, arena, ret);
    gate_leave(&place->holder_busy);
    return result;
}

char *place_holder_name(const struct ctx *ctx, struct docker_place *place)
{
    char *name;

    if (gate_enter(ctx, &place->holder_busy, NULL) < 0)
        return NULL;
    name = place->holder_ready ? xstrdup(place->holder) : NULL;
    gate_leave(&place->holder_busy);
    return name;
}

bool place_has_copy(const struct ctx *ctx, struct docker_place *place)
{
    bool has;

    if (gate_enter(ctx, &place->holder_busy, NULL) < 0)
        return true;
    has = place->volume != NULL;
    gate_leave(&place->holder_busy);
    return has;
}

/* Holding holder_busy. */
static bool forget_if_ended(const struct ctx *ctx, struct docker_place *place,
                            struct docker_client *client)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container holder = {0};
    struct err err = ERR_INIT;

    if (!place->holder_ready)
        return false;
    if (docker_container_inspect(ctx, client, place->holder, &holder, &err) < 0) {
        if (err.code != ERR_NOT_FOUND)
            return false;
    } else if (holder.running ||
               instance_remove_container(ctx, place->instance, client, place->holder, &err) < 0) {
        return false;
    }
    http_stream_free(steal_ptr(&place->holder_lease));
    free(steal_ptr(&place->holder));
    place->holder_ready = false;
    return true;
}

bool place_holder_is_lost(const struct ctx *ctx, struct docker_place *place)
{
    struct docker_client *client = NULL;
    struct err err = ERR_INIT;
    bool lost = false;

    if (instance_client_take(place->instance, &client, &err) == 0 &&
        gate_enter(ctx, &place->holder_busy, &err) == 0) {
        lost = forget_if_ended(ctx, place, client);
        gate_leave(&place->holder_busy);
    }
    instance_client_give(place->instance, client);
    return lost;
}
