/* Shared by the tests of this folder: assertions, and kubeconfigs in a directory of their own. */
#pragma once

#include "tests/unit/assert_err.h"

#include <signal.h>
#include <sys/stat.h>

#include "apis/kube/client.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"

static char *test_dir;

static inline int make_dir(void)
{
    char pattern[] = "/tmp/kube-test-XXXXXX";

    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(pattern))
        return -1;
    test_dir = xstrdup(pattern);
    return 0;
}

static inline void remove_dir(void)
{
    (void)!fs_remove_tree(test_dir, NULL);
    free(test_dir);
}

/* The path of a file in the directory; freed by the caller. */
static inline char *file_path(const char *name)
{
    return xasprintf("%s/%s", test_dir, name);
}

static inline void write_file(const char *name, const char *text, mode_t mode)
{
    CLEANUP_FREE char *path = file_path(name);

    assert_ok(fs_write_file(path, text, strlen(text), mode, &test_err));
}

/* The current context of a kubeconfig with that text. */
static inline int select_text(const char *text, struct kube_cluster **ret)
{
    CLEANUP_FREE char *path = file_path("config");
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;
    const struct kube_env env = {.file = path};

    write_file("config", text, 0600);
    if (kube_config_load(&env, &config, &test_err) < 0)
        return -1;
    return kube_config_select(config, NULL, NULL, ret, &test_err);
}
