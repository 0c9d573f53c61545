#include "apis/s3/credentials.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"

enum { FILE_MAX = 1 << 20 };

static const struct setting {
    const char *key; /* in the files */
    size_t offset;
} settings[] = {
    {"aws_access_key_id", offsetof(struct s3_credentials, access_key_id)},
    {"aws_secret_access_key", offsetof(struct s3_credentials, secret_access_key)},
    {"aws_session_token", offsetof(struct s3_credentials, session_token)},
    {"region", offsetof(struct s3_credentials, region)},
    {"endpoint_url", offsetof(struct s3_credentials, endpoint)},
    {"ca_bundle", offsetof(struct s3_credentials, ca_bundle)},
};

static char **member(struct s3_credentials *credentials, const struct setting *setting)
{
    return (char **)(void *)((char *)credentials + setting->offset);
}

static void free_wiped(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void s3_credentials_release(struct s3_credentials *c)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        char **text = member(c, &settings[i]);

        free_wiped(*text);
        *text = NULL;
    }
}

/* An empty variable is as good as none. */
static const char *from_environment(const char *const *environment, const char *name)
{
    size_t len = strlen(name);

    for (; *environment; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return (*environment)[len + 1] ? *environment + len + 1 : NULL;
    }
    return NULL;
}

/* --- files --- */

struct profile_file {
    const char *path;
    const char *profile;
    bool is_config; /* sections are called "profile NAME" */
    bool inside;    /* of the section looked for */
    bool found;
    struct s3_credentials *ret;
};

static char *strip(char *text)
{
    char *end;

    while (isspace((unsigned char)*text))
        text++;
    end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

static bool is_section(const struct profile_file *file, char *name)
{
    name = strip(name);
    if (file->is_config && strncmp(name, "profile", 7) == 0 && isspace((unsigned char)name[7]))
        return strcmp(strip(name + 7), file->profile) == 0;
    /* In the configuration only the default one may go without the word. */
    return strcmp(name, file->profile) == 0 && (!file->is_config || strcmp(name, "default") == 0);
}

static void take_setting(struct profile_file *file, char *key, char *value)
{
    key = strip(key);
    value = strip(value);
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        if (strcasecmp(settings[i].key, key) == 0 && *value) {
            char **text = member(file->ret, &settings[i]);

            free_wiped(*text);
            *text = xstrdup(value);
        }
    }
}

static int take_line(struct profile_file *file, char *line, unsigned number, struct err *err)
{
    bool nested = isspace((unsigned char)*line);
    char *text = strip(line);
    char *end;

    if (!*text || *text == '#' || *text == ';')
        return 0;
    if (*text == '[') {
        end = strchr(text, ']');
        if (!end)
            return err_set(err, ERR_INVALID, "%s:%u: \"[\" without \"]\"", file->path, number);
        *end = '\0';
        file->inside = is_section(file, text + 1);
        file->found |= file->inside;
        return 0;
    }
    end = strchr(text, '=');
    if (!end)
        return err_set(err, ERR_INVALID, "%s:%u: not of the form KEY = VALUE", file->path, number);
    *end = '\0';
    if (file->inside && !nested) /* what is indented belongs to a setting such as "s3 =" */
        take_setting(file, text, end + 1);
    return 0;
}

static int read_lines(struct profile_file *file, char *text, struct err *err)
{
    for (unsigned number = 1; text; number++) {
        char *next = strchr(text, '\n');

        if (next)
            *next++ = '\0';
        if (take_line(file, text, number, err) < 0)
            return -1;
        text = next;
    }
    return 0;
}

static int read_profile(struct profile_file *file, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    int result;

    if (!file->path || !fs_exists(file->path))
        return 0;
    if (fs_read_file(file->path, FILE_MAX, &text, err) < 0)
        return -1;
    result = read_lines(file, text.data, err);
    explicit_bzero(text.data, text.len);
    return result;
}

static char *path_of(const char *const *environment, const char *variable, const char *name)
{
    const char *path = from_environment(environment, variable);
    const char *home = from_environment(environment, "HOME");

    if (path)
        return xstrdup(path);
    return home ? xasprintf("%s/.aws/%s", home, name) : NULL;
}

static int read_files(const char *const *environment, const char *profile, bool asked_for,
                      struct s3_credentials *ret, struct err *err)
{
    CLEANUP_FREE char *config = path_of(environment, "AWS_CONFIG_FILE", "config");
    CLEANUP_FREE char *shared = path_of(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
    struct profile_file files[] = {
        {.path = config, .profile = profile, .is_config = true, .ret = ret},
        {.path = shared, .profile = profile, .ret = ret},
    };

    /* The second one wins. */
    if (read_profile(&files[0], err) < 0 || read_profile(&files[1], err) < 0)
        return -1;
    if (asked_for && !files[0].found && !files[1].found)
        return err_set(err, ERR_NOT_FOUND, "there is no AWS profile \"%s\" in %s and %s", profile,
                       config ? config : "~/.aws/config", shared ? shared : "~/.aws/credentials");
    return 0;
}

/* --- together --- */

static void replace(char **text, const char *value)
{
    if (!value)
        return;
    free_wiped(*text);
    *text = xstrdup(value);
}

static void take_keys(const char *const *environment, struct s3_credentials *ret)
{
    const char *id = from_environment(environment, "AWS_ACCESS_KEY_ID");
    const char *secret = from_environment(environment, "AWS_SECRET_ACCESS_KEY");

    if (!id || !secret)
        return;
    free_wiped(ret->session_token);
    ret->session_token = NULL;
    replace(&ret->access_key_id, id);
    replace(&ret->secret_access_key, secret);
    replace(&ret->session_token, from_environment(environment, "AWS_SESSION_TOKEN"));
}

int s3_credentials_find(const char *const *environment, const char *profile,
                        struct s3_credentials *ret, struct err *err)
{
    CLEANUP_S3_CREDENTIALS struct s3_credentials found = {0};
    const char *named = profile ? profile : from_environment(environment, "AWS_PROFILE");

    if (read_files(environment, named ? named : "default", named, &found, err) < 0)
        return -1;
    if (!profile || !found.access_key_id)
        take_keys(environment, &found);
    replace(&found.region, from_environment(environment, "AWS_DEFAULT_REGION"));
    replace(&found.region, from_environment(environment, "AWS_REGION"));
    replace(&found.endpoint, from_environment(environment, "AWS_ENDPOINT_URL"));
    replace(&found.endpoint, from_environment(environment, "AWS_ENDPOINT_URL_S3"));
    replace(&found.ca_bundle, from_environment(environment, "AWS_CA_BUNDLE"));
    if (!found.access_key_id || !found.secret_access_key)
        return err_set(err, ERR_DENIED,
                       "no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                       "write a profile \"%s\" into ~/.aws/credentials",
                       named ? named : "default");
    *ret = found;
    found = (struct s3_credentials){0};
    return 0;
}
