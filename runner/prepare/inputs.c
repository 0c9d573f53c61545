#include "prepare/inputs.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/alloc.h"

enum { ACCOUNT_SIZE = 4096 }; /* of an entry of the user database */

static const char *const always[] = {"PATH", "HOME",   "USER", "LOGNAME",      "LANG",
                                     "TERM", "TMPDIR", "TZ",   "SSH_AUTH_SOCK"};

bool inputs_allows(const struct strvec *allowed, bool allow_all, const char *name)
{
    if (allow_all)
        return true;
    for (size_t i = 0; i < allowed->len; i++) {
        if (strcmp(allowed->items[i], name) == 0)
            return true;
    }
    return false;
}

static bool passes(const char *name)
{
    if (strncmp(name, "LC_", 3) == 0)
        return true;
    for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++) {
        if (strcmp(always[i], name) == 0)
            return true;
    }
    return false;
}

void inputs_passthrough(const struct strvec *allowed, bool allow_all, struct strmap *out)
{
    for (char **entry = environ; *entry; entry++) {
        size_t len = strcspn(*entry, "=");
        CLEANUP_FREE char *name = xstrndup(*entry, len);

        if ((*entry)[len] && (passes(name) || inputs_allows(allowed, allow_all, name)))
            strmap_set(out, name, *entry + len + 1);
    }
}

/* Machine names as Go has them, because existing pipelines compare with those. */
static const char *architecture(const char *machine)
{
    if (strcmp(machine, "x86_64") == 0)
        return "amd64";
    if (strcmp(machine, "aarch64") == 0)
        return "arm64";
    return machine;
}

void inputs_automatic(const char *current_dir, struct strmap *out)
{
    struct utsname kernel = {0};
    struct passwd entry;
    struct passwd *account = NULL;
    char names[ACCOUNT_SIZE];
    const char *user = getenv("USER");

    if (!user && getpwuid_r(geteuid(), &entry, names, sizeof(names), &account) == 0 && account)
        user = account->pw_name;
    uname(&kernel);
    strmap_set(out, "PIPELINE_RUNNER", "pipeline");
    strmap_set(out, "PIPELINE_RUNNER_OS", "linux");
    strmap_set(out, "PIPELINE_RUNNER_ARCH", architecture(kernel.machine));
    strmap_set(out, "PIPELINE_RUNNER_VERSION", RUNNER_VERSION);
    strmap_set(out, "PIPELINE_RUNNER_USER", user ? user : "");
    strmap_set(out, "PIPELINE_RUNNER_WORKDIR", current_dir);
}
