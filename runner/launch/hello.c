/* The first words of a launcher that is connected to. Both ends are told where they look for the
 * same thing, and whether that is so only the kernel knows: a directory is what its device and
 * number are, whatever it is called in each container. */
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/json_at.h"
#include "launch/inside.h"

/* Of nothing that is there: zeros, which are no directory's. */
static json_t *describe(const char *path)
{
    json_t *name = json_string(path);
    struct stat st;

    if (stat(path, &st) < 0)
        st = (struct stat){0};
    return json_pack("{s:o, s:I, s:I}", "path", name ? name : json_string("(not UTF-8)"), "device",
                     (json_int_t)st.st_dev, "inode", (json_int_t)st.st_ino);
}

void launch_hello_write(const char *history, const char *workdir, struct buf *out)
{
    json_t *hello = json_pack("{s:s, s:o, s:o}", "launcher", RUNNER_VERSION, "history",
                              describe(history), "workdir", describe(workdir));
    char *text = json_dumps(hello, JSON_COMPACT);

    json_decref(hello);
    if (text)
        buf_addstr(out, text);
    free(text);
}

static bool is_same(const json_t *theirs, const char *path)
{
    json_t *ours = describe(path);
    bool same = json_at_int(ours, "inode") &&
                json_at_int(ours, "inode") == json_at_int(theirs, "inode") &&
                json_at_int(ours, "device") == json_at_int(theirs, "device");

    json_decref(ours);
    return same;
}

static int check(const struct launcher_place *place, const json_t *hello, struct err *err)
{
    const char *version = json_at_string(hello, "launcher");
    const char *history = json_at_string(hello, "history.path");
    const char *workdir = json_at_string(hello, "workdir.path");

    if (!*version)
        return err_set(err, ERR_CONFLICT, "what listens on %s is no launcher", place->path);
    if (strcmp(version, RUNNER_VERSION) != 0)
        return err_set(err, ERR_CONFLICT,
                       "the launcher at %s is of runner %s, and this is " RUNNER_VERSION
                       ": start both from the same image",
                       place->path, version);
    if (!is_same(json_at(hello, "history"), place->history))
        return err_set(err, ERR_CONFLICT,
                       "the launcher at %s has another history: its %s is not %s of this server; "
                       "give both the same --history, in a volume that both have mounted",
                       place->path, history, place->history);
    /* Its name is sent with each run. */
    if (strcmp(workdir, place->workdir) != 0 || !is_same(json_at(hello, "workdir"), place->workdir))
        return err_set(err, ERR_CONFLICT,
                       "the launcher at %s has other directories for runs: its %s is not %s of "
                       "this server; give both the same --workdir, in a volume that both have "
                       "mounted there",
                       place->path, workdir, place->workdir);
    return 0;
}

int launch_hello_check(const struct launcher_place *place, const char *hello, size_t size,
                       struct err *err)
{
    json_t *said = json_loadb(hello, size, 0, NULL);
    int result = check(place, said, err);

    json_decref(said);
    return result;
}
