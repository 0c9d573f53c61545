/* libFuzzer harness: any bytes as an ssh_config, known_hosts, a key file, or a URL; the first byte
 * says as which. An ssh_config may not include others here.
 *
 *     build/fuzz/tests/fuzz_ssh -max_len=2000 -timeout=5 corpus/ */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apis/ssh/config.h"
#include "apis/ssh/key.h"
#include "apis/ssh/known_hosts.h"
#include "apis/ssh/url.h"
#include "base/alloc.h"

enum { LOOK_MS = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool resolves(const char *name)
{
    return strlen(name) % 2;
}

static void config(const char *text, size_t len)
{
    static char path[] = "/tmp/runner-fuzz-ssh-XXXXXX";
    static int fd = -1;
    const struct ssh_config_source source = {.home = "/h",
                                             .local_user = "u",
                                             .user_file = path,
                                             .resolves = resolves};
    CLEANUP_SSH_SETTINGS struct ssh_settings settings = {0};
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, LOOK_MS);
    if (strcasestr(text, "include"))
        return;
    if (fd < 0)
        fd = mkstemp(path);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, len, 0) < 0)
        abort();
    if (ssh_config_read(&ctx, &source, "web1", NULL, &settings, NULL) == 0 && !settings.host_name)
        abort();
}

/* What is found is found again when it is written as one line. */
static void known_hosts(const char *text)
{
    CLEANUP_SSH_KNOWN_HOSTS struct ssh_known_hosts known = {0};
    CLEANUP_STRVEC struct strvec types = {0};

    ssh_known_hosts_parse(&known, "f", text);
    ssh_known_hosts_types(&known, "web1", &types);
    vec_foreach (const struct ssh_known_entry *, entry, &known) {
        const enum ssh_known got =
            ssh_known_hosts_check(&known, "web1", entry->blob.data, entry->blob.len, NULL);

        if ((got == SSH_KNOWN_NOT || got == SSH_KNOWN_OTHER) && strvec_has(&types, entry->type))
            abort();
    }
}

static void url(const char *text)
{
    const struct ssh_environment environment = {.home = (char *)"/h",
                                                .local_user = (char *)"u",
                                                .user_config = "/h/none"};
    CLEANUP_SSH_TARGET struct ssh_target *target = NULL;
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, LOOK_MS);
    if (ssh_target_parse(&ctx, text, &environment, &target, NULL) == 0 &&
        (!target->port || !*target->host || !*target->user))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_FREE char *text = NULL;
    CLEANUP_SSH_KEY_INFO struct ssh_key_info info = SSH_KEY_INFO_INIT;

    if (len < 1)
        return 0;
    text = xstrndup((const char *)data + 1, len - 1);
    switch (data[0] % 4) {
    case 0:
        config(text, strlen(text));
        break;
    case 1:
        known_hosts(text);
        break;
    case 2:
        (void)!ssh_key_inspect(text, &info, NULL);
        ssh_key_parse_public(text, &info.public_blob);
        break;
    default:
        url(text);
        break;
    }
    return 0;
}
