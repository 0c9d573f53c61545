#include "apis/docker/image_ref.h"

#include <ctype.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/buf.h"

enum { NAME_MAX_LEN = 255, TAG_MAX_LEN = 128 };

void docker_image_ref_release(struct docker_image_ref *ref)
{
    free(ref->registry);
    free(ref->repository);
    free(ref->tag);
    free(ref->digest);
    *ref = (struct docker_image_ref){0};
}

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* One path component: lower-case letters and digits, joined by ".", "_", "__" or dashes. */
static bool component_valid(const char *s, size_t len)
{
    size_t i = 0;

    if (!len || !is_lower_alnum(s[0]) || !is_lower_alnum(s[len - 1]))
        return false;
    while (i < len) {
        size_t start = i;

        if (is_lower_alnum(s[i])) {
            i++;
            continue;
        }
        while (i < len && s[i] == s[start] && strchr("._-", s[i]))
            i++;
        if (i == start || (s[start] == '.' && i - start > 1) ||
            (s[start] == '_' && i - start > 2) || (i < len && !is_lower_alnum(s[i])))
            return false;
    }
    return true;
}

static bool repository_valid(const char *s)
{
    for (;;) {
        size_t len = strcspn(s, "/");

        if (!component_valid(s, len))
            return false;
        if (!s[len])
            return true;
        s += len + 1;
    }
}

static bool tag_valid(const char *s)
{
    size_t len = strlen(s);

    if (!len || len > TAG_MAX_LEN || !(isalnum((unsigned char)s[0]) || s[0] == '_'))
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

static bool digest_valid(const char *s)
{
    const char *colon = strchr(s, ':');
    const char *hex = colon ? colon + 1 : "";
    size_t len = strlen(hex);

    if (!colon || colon == s || strspn(hex, "0123456789abcdef") != len)
        return false;
    if (strncmp(s, "sha256:", 7) == 0)
        return len == 64;
    if (strncmp(s, "sha512:", 7) == 0)
        return len == 128;
    return len >= 32;
}

static bool registry_valid(const char *s)
{
    const char *port;

    if (*s == '[') { /* IPv6 */
        port = strchr(s, ']');
        if (!port || (port[1] && port[1] != ':'))
            return false;
        port = port[1] ? port + 2 : NULL;
    } else {
        size_t len = strcspn(s, ":");

        if (!len || !isalnum((unsigned char)s[0]))
            return false;
        for (size_t i = 0; i < len; i++) {
            if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '.')
                return false;
        }
        port = s[len] ? s + len + 1 : NULL;
    }
    return !port || (*port && strspn(port, "0123456789") == strlen(port));
}

/* The first component names a registry if it looks like a host: a dot, a port, or localhost. */
static bool names_registry(const char *name, size_t len)
{
    return memchr(name, '.', len) || memchr(name, ':', len) || *name == '[' ||
           (len == 9 && strncmp(name, "localhost", 9) == 0);
}

static void split_registry(const char *name, struct docker_image_ref *ref)
{
    size_t len = strcspn(name, "/");

    if (name[len] && names_registry(name, len)) {
        ref->registry = xstrndup(name, len);
        for (char *c = ref->registry; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        name += len + 1;
    } else {
        ref->registry = xstrdup("docker.io");
    }
    if (strcmp(ref->registry, "index.docker.io") == 0) {
        free(ref->registry);
        ref->registry = xstrdup("docker.io");
    }
    if (strcmp(ref->registry, "docker.io") == 0 && !strchr(name, '/'))
        ref->repository = xasprintf("library/%s", name);
    else
        ref->repository = xstrdup(name);
}

int docker_image_ref_parse(const char *text, struct docker_image_ref *ret, struct err *err)
{
    CLEANUP_DOCKER_IMAGE_REF struct docker_image_ref ref = {0};
    CLEANUP_FREE char *name = xstrdup(text);
    char *at = strchr(name, '@');
    char *slash;
    char *colon;

    if (at) {
        *at = '\0';
        ref.digest = xstrdup(at + 1);
    }
    slash = strrchr(name, '/');
    colon = strrchr(slash ? slash : name, ':');
    if (colon) {
        *colon = '\0';
        ref.tag = xstrdup(colon + 1);
    }
    if (!*name)
        return err_set(err, ERR_INVALID, "image \"%s\": the name is missing", text);
    split_registry(name, &ref);
    if (!registry_valid(ref.registry))
        return err_set(err, ERR_INVALID, "image \"%s\": \"%s\" is not a registry's host name", text,
                       ref.registry);
    if (strlen(ref.repository) > NAME_MAX_LEN)
        return err_set(err, ERR_INVALID, "image \"%.80s…\": the name is longer than %d characters",
                       text, NAME_MAX_LEN);
    if (!repository_valid(ref.repository))
        return err_set(err, ERR_INVALID,
                       "image \"%s\": a name has only lower-case letters, digits and single "
                       "separators (. _ -)",
                       text);
    if (ref.tag && !tag_valid(ref.tag))
        return err_set(err, ERR_INVALID, "image \"%s\": \"%s\" is not a tag", text, ref.tag);
    if (ref.digest && !digest_valid(ref.digest))
        return err_set(err, ERR_INVALID,
                       "image \"%s\": \"%s\" is not a digest (sha256: and 64 hexadecimal digits)",
                       text, ref.digest);
    *ret = ref;
    ref = (struct docker_image_ref){0};
    return 0;
}

char *docker_image_ref_name(const struct docker_image_ref *ref)
{
    static const char library[] = "library/";
    size_t len = strcspn(ref->repository, "/");

    /* docker.io is left out only where it would be understood. */
    if (strcmp(ref->registry, "docker.io") != 0 || names_registry(ref->repository, len))
        return xasprintf("%s/%s", ref->registry, ref->repository);
    if (strncmp(ref->repository, library, strlen(library)) == 0 &&
        !strchr(ref->repository + strlen(library), '/'))
        return xstrdup(ref->repository + strlen(library));
    return xstrdup(ref->repository);
}

char *docker_image_ref_full(const struct docker_image_ref *ref)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    CLEANUP_FREE char *name = docker_image_ref_name(ref);

    buf_addstr(&out, name);
    if (ref->tag)
        buf_addf(&out, ":%s", ref->tag);
    else if (!ref->digest)
        buf_addstr(&out, ":latest");
    if (ref->digest)
        buf_addf(&out, "@%s", ref->digest);
    return buf_steal(&out);
}
