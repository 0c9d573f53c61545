#include "program.h"

#include <asm/errno.h>
#include <linux/fcntl.h>

#include "../request.h"
#include "rt.h"
#include "sys.h"

/* A request as it was parsed: NULL-terminated vectors that point into the message. */
struct program {
    char **argv;
    char **env;
    const char *cwd;       /* NULL: as it is */
    const char *directory; /* name for the directory of the files */
    const char *not_found; /* NULL: the usual words */
    const char *body;
    const char *body_end;
};

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Where a directory for the files may be made; the last is there and writable in every container,
 * even in one with a read-only root file system. */
static const char *const places[] = {"/tmp/", "/var/tmp/", "/dev/shm/"};

static size_t get_u32(const char *at)
{
    const unsigned char *u = (const unsigned char *)at;

    return u[0] | (size_t)u[1] << 8 | (size_t)u[2] << 16 | (size_t)u[3] << 24;
}

static _Noreturn void bad_request(void)
{
    fail(HELPER_EXIT_CANNOT, "understand the request of the runner", "", NULL);
}

/* The next record; NULL behind the last. */
static const char *next_record(const char *at, const char *end, char *ret_type, size_t *ret_size)
{
    if (at == end)
        return NULL;
    if (end - at < HELPER_RECORD_SIZE)
        bad_request();
    *ret_type = *at;
    *ret_size = get_u32(at + 1);
    at += HELPER_RECORD_SIZE;
    if (*ret_size > (size_t)(end - at))
        bad_request();
    return at;
}

static void set_env(char **env, size_t *count, char *entry)
{
    const char *equals = find_char(entry, '=');
    size_t len = equals ? (size_t)(equals - entry) + 1 : strlen(entry);

    for (size_t i = 0; i < *count; i++) {
        size_t same = 0;

        while (same < len && env[i][same] == entry[same])
            same++;
        if (same == len) {
            env[i] = entry;
            return;
        }
    }
    env[(*count)++] = entry;
}

static void take_record(struct program *program, char type, char *data, size_t size, size_t *argc,
                        size_t *envc)
{
    bool text =
        type == HELPER_ENV || type == HELPER_ARG || type == HELPER_CWD || type == HELPER_DIRECTORY;

    if (text && (size == 0 || data[size - 1] != '\0'))
        bad_request();
    if (type == HELPER_ENV)
        set_env(program->env, envc, data);
    else if (type == HELPER_CLEAR_ENV)
        *envc = 0;
    else if (type == HELPER_ARG)
        program->argv[(*argc)++] = data;
    else if (type == HELPER_CWD)
        program->cwd = data;
    else if (type == HELPER_DIRECTORY)
        program->directory = data;
    else if (type == HELPER_NOT_FOUND)
        program->not_found = data;
}

static void parse(struct program *program, char *const *env)
{
    size_t count = 0, envc = 0, argc = 0, size;
    const char *at;
    char type;

    for (at = program->body; (at = next_record(at, program->body_end, &type, &size)); at += size)
        count++;
    while (env[envc])
        envc++;
    program->argv = allocate((count + 1) * sizeof(char *));
    program->env = allocate((envc + count + 1) * sizeof(char *));
    memcpy(program->env, env, envc * sizeof(char *));
    for (at = program->body; (at = next_record(at, program->body_end, &type, &size)); at += size)
        take_record(program, type, (char *)at, size, &argc, &envc);
    program->env[envc] = NULL;
    if (argc == 0)
        bad_request();
}

static bool is_magic(const char *head, const char *magic)
{
    for (int i = 0; i < 4; i++) {
        if (head[i] != magic[i])
            return false;
    }
    return true;
}

static void check_records(const struct message *message)
{
    const char *end = message->body + message->size, *at;
    size_t size;
    char type;

    for (at = message->body; (at = next_record(at, end, &type, &size)); at += size)
        ;
}

int message_read(struct message *message)
{
    char head[HELPER_HEADER_SIZE];
    int ended = read_all(0, head, sizeof(head));
    size_t value = get_u32(head + 4);

    message->signal = 0;
    if (ended == 1)
        return 1;
    if (ended == 0 && is_magic(head, HELPER_SIGNAL)) {
        message->signal = (int)value;
        return 0;
    }
    if (ended || !is_magic(head, HELPER_REQUEST) || value > HELPER_REQUEST_MAX)
        bad_request();
    message->size = value;
    message->body = map_memory(value + 1);
    if (value > 0 && read_all(0, message->body, value) != 0)
        bad_request();
    check_records(message);
    return 0;
}

void message_release(struct message *message)
{
    SYS2(munmap, message->body, message->size + 1);
}

const char *message_mark(const struct message *message)
{
    const char *end = message->body + message->size, *at;
    size_t size;
    char type;

    for (at = message->body; (at = next_record(at, end, &type, &size)); at += size) {
        if (type == HELPER_MARK && size > 0 && at[size - 1] == '\0')
            return at;
    }
    return NULL;
}

static void make_parents(char *path)
{
    for (char *at = path + 1; *at; at++) {
        if (*at == '/') {
            *at = '\0';
            SYS3(mkdirat, AT_FDCWD, path, 0777);
            *at = '/';
        }
    }
    SYS3(mkdirat, AT_FDCWD, path, 0777);
}

static void enter(const char *path)
{
    long error = SYS1(chdir, path);

    if (error == -ENOENT) {
        make_parents(join(path, NULL));
        error = SYS1(chdir, path);
    }
    if (error < 0)
        fail(HELPER_EXIT_CANNOT, "enter the working directory", path, error_text(error));
}

static void write_file(const char *path, const char *data, size_t size, bool executable)
{
    long fd = SYS4(openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                   executable ? 0755 : 0644);
    int error;

    if (fd < 0)
        fail(HELPER_EXIT_CANNOT, "write", path, error_text(fd));
    error = write_all((int)fd, data, size);
    if (error)
        fail(HELPER_EXIT_CANNOT, "write", path, error_text(error));
    SYS1(close, fd);
}

/* Makes the directory in the first place that allows it; with a trailing slash. */
static const char *make_directory(const struct program *program)
{
    long error = -ENOENT;

    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        const char *path = join(places[i], program->directory, NULL);

        error = SYS3(mkdirat, AT_FDCWD, path, 0755);
        if (error == 0 || error == -EEXIST)
            return join(path, "/", NULL);
    }
    fail(HELPER_EXIT_CANNOT, "make a directory for the files of the step in", "/tmp",
         error_text(error));
}

static void make_files(struct program *program)
{
    const char *directory = NULL, *at;
    size_t size;
    char type;

    for (at = program->body; (at = next_record(at, program->body_end, &type, &size)); at += size) {
        size_t name_size;

        if (type != HELPER_FILE)
            continue;
        if (!program->directory || size < 3)
            bad_request();
        if (!directory)
            directory = make_directory(program);
        name_size = strlen(at + 1) + 1;
        if (1 + name_size > size)
            bad_request();
        write_file(join(directory, at + 1, NULL), at + 1 + name_size, size - 1 - name_size, *at);
    }
    if (!directory)
        return;
    for (char **arg = program->argv; *arg; arg++) {
        if (has_prefix(*arg, HELPER_FILES_MARK))
            *arg = join(directory, *arg + strlen(HELPER_FILES_MARK), NULL);
    }
}

void message_remove_files(const struct message *message)
{
    const char *end = message->body + message->size, *at, *directory = NULL;
    size_t size;
    char type;

    for (at = message->body; (at = next_record(at, end, &type, &size)); at += size) {
        if (type == HELPER_DIRECTORY)
            directory = at;
    }
    for (size_t i = 0; directory && i < sizeof(places) / sizeof(*places); i++) {
        const char *path = join(places[i], directory, NULL);

        for (at = message->body; (at = next_record(at, end, &type, &size)); at += size) {
            if (type == HELPER_FILE && size > 1)
                SYS3(unlinkat, AT_FDCWD, join(path, "/", at + 1, NULL), 0);
        }
        SYS3(unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
    }
}

/* As execvp(): the first entry of PATH that can be executed, remembering a denial. */
static long execute_in_path(struct program *program)
{
    const char *name = program->argv[0];
    const char *path = env_get(program->env, "PATH");
    long error = -ENOENT;

    if (!path || !*path)
        path = DEFAULT_PATH;
    for (;;) {
        const char *end = find_char(path, ':');
        size_t len = end ? (size_t)(end - path) : strlen(path);
        char *dir = allocate(len + 1);
        long result;

        memcpy(dir, path, len);
        result = SYS3(execve, join(len ? dir : ".", "/", name, NULL), program->argv, program->env);
        if (result != -ENOENT && result != -ENOTDIR)
            error = result;
        if (result != -ENOENT && result != -ENOTDIR && result != -EACCES)
            return result;
        if (!end)
            return error;
        path = end + 1;
    }
}

static void stdin_from_null(void)
{
    long fd = SYS4(openat, AT_FDCWD, "/dev/null", O_RDONLY, 0);

    if (fd < 0)
        fail(HELPER_EXIT_CANNOT, "open", "/dev/null", error_text(fd));
    if (fd != 0) {
        SYS3(dup3, fd, 0, 0);
        SYS1(close, fd);
    }
}

/* "the variable NAME" or "an argument": what has the most bytes of all that a program is given. */
static const char *largest_of(const struct program *program)
{
    const char *variable = "";
    size_t largest = 0;
    size_t name_size;
    char *name;

    for (char **entry = program->env; *entry; entry++) {
        if (strlen(*entry) > largest) {
            largest = strlen(*entry);
            variable = *entry;
        }
    }
    for (char **arg = program->argv; *arg; arg++) {
        if (strlen(*arg) > largest)
            return "an argument";
    }
    for (name_size = 0; variable[name_size] && variable[name_size] != '='; name_size++)
        ;
    if (name_size > 64)
        name_size = 64;
    name = allocate(name_size + 1);
    memcpy(name, variable, name_size);
    return join("the variable ", name, NULL);
}

static _Noreturn void fail_to_run(const struct program *program, long error)
{
    const char *name = program->argv[0];
    bool path = find_char(name, '/') != NULL;

    if (error == -ENOENT && path && SYS3(faccessat, AT_FDCWD, name, 0) == 0)
        fail(HELPER_EXIT_NOT_FOUND, "run", name, "its interpreter or loader was not found");
    if (error == -E2BIG)
        fail(HELPER_EXIT_CANNOT, "run", name,
             join(error_text(error), ": ", largest_of(program), " has the most bytes", NULL));
    if (error != -ENOENT && error != -ENOTDIR)
        fail(HELPER_EXIT_CANNOT, "run", name, error_text(error));
    if (!program->not_found)
        fail(HELPER_EXIT_NOT_FOUND, "run", name, error_text(error));
    write_all(2, program->not_found, strlen(program->not_found));
    write_all(2, "\n", 1);
    sys_exit(HELPER_EXIT_NOT_FOUND);
}

_Noreturn void message_become(const struct message *message, char *const *env)
{
    struct program program = {.body = message->body, .body_end = message->body + message->size};
    const char *name;

    parse(&program, env);
    stdin_from_null();
    make_files(&program);
    if (program.cwd)
        enter(program.cwd);
    name = program.argv[0];
    if (find_char(name, '/'))
        fail_to_run(&program, SYS3(execve, name, program.argv, program.env));
    fail_to_run(&program, execute_in_path(&program));
}
