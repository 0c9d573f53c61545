#include "program.h"

#include <asm/errno.h>
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#include "../request.h"
#include "bytes.h"
#include "elf.h"
#include "rt.h"
#include "sys.h"

/* A request as it was parsed: NULL-terminated vectors that point into the message. */
struct program {
    char **argv;
    char **env;
    const char *cwd;       /* NULL: as it is */
    const char *directory; /* name for the directory of the files */
    const char *not_found; /* NULL: the usual words */
    const char *tried;     /* path of the file that was executed last */
    const char *body;
    const char *body_end;
};

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Where a directory for the files may be made; the last is there and writable in every container,
 * even in one with a read-only root file system. */
static const char *const places[MESSAGE_PLACES] = {"/tmp/", "/var/tmp/", "/dev/shm/"};

static bool files_are_private;

void message_files_are_private(void)
{
    files_are_private = true;
}

/* The i-th place to try: the last comes first where nothing needs to be executed, as that never
 * waits for a disk. */
static const char *place(size_t i, bool has_files)
{
    return has_files ? places[i] : places[(i + MESSAGE_PLACES - 1) % MESSAGE_PLACES];
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
    *ret_size = get_le(at + 1, 4);
    at += HELPER_RECORD_SIZE;
    if (*ret_size > (size_t)(end - at))
        bad_request();
    return at;
}

static bool has_record(const char *at, const char *end, char wanted)
{
    size_t size;
    char type;

    for (; (at = next_record(at, end, &type, &size)); at += size) {
        if (type == wanted)
            return true;
    }
    return false;
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

static struct returned parse_return(const char *data, size_t size)
{
    struct returned returned = {0};

    if (size < 5 + 2 + 2 || data[size - 1] != '\0')
        bad_request();
    returned.live = *data != 0;
    returned.max_bytes = get_le(data + 1, 4);
    returned.name = data + 5;
    returned.variable = returned.name + strlen(returned.name) + 1;
    if (returned.variable >= data + size)
        bad_request();
    return returned;
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
    size_t value = get_le(head + 4, 4);

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

/* The first record of a type; NULL: there is none. */
static const char *find_record(const struct message *message, char wanted, size_t *ret_size)
{
    const char *end = message->body + message->size, *at;
    char type;

    for (at = message->body; (at = next_record(at, end, &type, ret_size)); at += *ret_size) {
        if (type == wanted)
            return at;
    }
    return NULL;
}

bool message_has_tty(const struct message *message)
{
    size_t size;

    return find_record(message, HELPER_TTY, &size) != NULL;
}

bool message_deadline(const struct message *message, long *ret_deadline_ms, long *ret_grace_ms)
{
    size_t size;
    const char *at = find_record(message, HELPER_DEADLINE, &size);

    if (!at)
        return false;
    if (size != 8)
        bad_request();
    *ret_deadline_ms = (long)get_le(at, 4);
    *ret_grace_ms = (long)get_le(at + 4, 4);
    return true;
}

const char *message_next_return(const struct message *message, const char *at, struct returned *ret)
{
    const char *end = message->body + message->size;
    size_t size;
    char type;

    for (at = at ? at : message->body; (at = next_record(at, end, &type, &size)); at += size) {
        if (type == HELPER_RETURN) {
            *ret = parse_return(at, size);
            return at + size;
        }
    }
    return NULL;
}

const char *message_mark(const struct message *message)
{
    size_t size;
    const char *at = find_record(message, HELPER_MARK, &size);

    return at && size > 0 && at[size - 1] == '\0' ? at : NULL;
}

static void enter(const char *path)
{
    long error = SYS1(chdir, path);

    if (error == -ENOENT) {
        make_directories(join(path, NULL));
        error = SYS1(chdir, path);
    }
    if (error < 0)
        fail(HELPER_EXIT_CANNOT, "enter the working directory", path, error_text(error));
}

static void write_file(const char *path, const char *data, size_t size, int mode)
{
    long fd =
        SYS4(openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    int error;

    if (fd < 0)
        fail(HELPER_EXIT_CANNOT, "write", path, error_text(fd));
    error = write_all((int)fd, data, size);
    if (error)
        fail(HELPER_EXIT_CANNOT, "write", path, error_text(error));
    SYS1(close, fd);
}

/* Whether only this user could have put something into it, if files are private. */
static bool is_ours(const char *path)
{
    struct stat status;

    if (!files_are_private)
        return true;
    return SYS4(newfstatat, AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (status.st_mode & S_IFMT) == S_IFDIR && status.st_uid == (unsigned)SYS0(geteuid) &&
           !(status.st_mode & 077);
}

/* Makes the directory in the first place that allows it; with a trailing slash. */
static const char *make_directory(const struct program *program)
{
    long error = -ENOENT;

    bool has_files = has_record(program->body, program->body_end, HELPER_FILE);

    for (size_t i = 0; i < MESSAGE_PLACES; i++) {
        const char *path = join(place(i, has_files), program->directory, NULL);

        error = SYS3(mkdirat, AT_FDCWD, path, files_are_private ? 0700 : 0755);
        if (error == 0 || (error == -EEXIST && is_ours(path)))
            return join(path, "/", NULL);
    }
    fail(HELPER_EXIT_CANNOT, "make a directory for the files of the step in", "/tmp",
         error_text(error));
}

static void make_file(const char *directory, const char *data, size_t size)
{
    size_t name_size;

    if (size < 3)
        bad_request();
    name_size = strlen(data + 1) + 1;
    if (1 + name_size > size)
        bad_request();
    write_file(join(directory, data + 1, NULL), data + 1 + name_size, size - 1 - name_size,
               *data ? 0755 : 0644);
}

/* An entrypoint may go on as another user: the file is for all who are in here. */
static void make_return(struct program *program, const char *directory,
                        const struct returned *returned)
{
    char *path = join(directory, returned->name, NULL);
    size_t count = 0;

    write_file(path, "", 0, 0666);
    SYS3(fchmodat, AT_FDCWD, path, 0666); /* whatever the umask */
    while (program->env[count])
        count++;
    set_env(program->env, &count, join(returned->variable, "=", path, NULL));
    program->env[count] = NULL;
}

static void make_files(struct program *program)
{
    const char *directory = NULL, *at;
    size_t size;
    char type;

    for (at = program->body; (at = next_record(at, program->body_end, &type, &size)); at += size) {
        if (type != HELPER_FILE && type != HELPER_RETURN)
            continue;
        if (!program->directory)
            bad_request();
        if (!directory)
            directory = make_directory(program);
        if (type == HELPER_FILE) {
            make_file(directory, at, size);
        } else {
            struct returned returned = parse_return(at, size);

            make_return(program, directory, &returned);
        }
    }
    if (!directory)
        return;
    for (char **arg = program->argv; *arg; arg++) {
        if (has_prefix(*arg, HELPER_FILES_MARK))
            *arg = join(directory, *arg + strlen(HELPER_FILES_MARK), NULL);
    }
}

static const char *directory_of(const struct message *message)
{
    const char *end = message->body + message->size, *at, *directory = NULL;
    size_t size;
    char type;

    for (at = message->body; (at = next_record(at, end, &type, &size)); at += size) {
        if (type == HELPER_DIRECTORY)
            directory = at;
    }
    return directory;
}

static bool is_directory(const char *path)
{
    long fd = SYS4(openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);

    if (fd >= 0)
        SYS1(close, fd);
    return fd >= 0;
}

/* At most `left` bytes of what is open as `from`. */
static char send_data(int to, int from, size_t left)
{
    static char record[HELPER_RECORD_SIZE + 32768];
    char *data = record + HELPER_RECORD_SIZE;

    for (;;) {
        long n = SYS3(read, from, data, sizeof(record) - HELPER_RECORD_SIZE);
        size_t size;

        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? HELPER_WHOLE : HELPER_UNREADABLE;
        size = (size_t)n < left ? (size_t)n : left;
        record[0] = HELPER_DATA;
        put_le(record + 1, 4, size);
        write_all(to, record, HELPER_RECORD_SIZE + size);
        left -= size;
        if (size < (size_t)n)
            return HELPER_TRUNCATED;
    }
}

void send_file(int to, const char *path, size_t max_bytes)
{
    long fd =
        SYS4(openat, AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    char end[2] = {HELPER_DATA_END, HELPER_WHOLE};

    if (fd >= 0) {
        end[1] = send_data(to, (int)fd, max_bytes);
        SYS1(close, fd);
    } else if (fd != -ENOENT) {
        end[1] = HELPER_UNREADABLE;
    }
    write_all(to, end, sizeof(end));
}

void message_file_paths(const struct message *message, const char *name,
                        const char *ret[MESSAGE_PLACES])
{
    bool has_files = has_record(message->body, message->body + message->size, HELPER_FILE);
    const char *directory = directory_of(message);

    for (size_t i = 0; i < MESSAGE_PLACES; i++)
        ret[i] = join(place(i, has_files), directory ? directory : "", "/", name, NULL);
}

/* Nothing of the program is left that could write to them. */
void message_send_files(const struct message *message, int fd)
{
    const char *end = message->body + message->size, *at, *directory = directory_of(message);
    bool has_files = has_record(message->body, end, HELPER_FILE);
    struct returned returned;
    const char *found = NULL;

    for (size_t i = 0; directory && !found && i < MESSAGE_PLACES; i++) {
        const char *path = join(place(i, has_files), directory, "/", NULL);

        if (is_directory(path))
            found = path;
    }
    for (at = NULL; (at = message_next_return(message, at, &returned));)
        send_file(fd, join(found ? found : "", returned.name, NULL), returned.max_bytes);
}

static void remove_file(const char *directory, const char *name)
{
    SYS3(unlinkat, AT_FDCWD, join(directory, "/", name, NULL), 0);
}

void message_remove_files(const struct message *message)
{
    const char *end = message->body + message->size, *at, *directory = directory_of(message);
    size_t size;
    char type;

    for (size_t i = 0; directory && i < MESSAGE_PLACES; i++) {
        const char *path = join(places[i], directory, NULL);

        if (!is_directory(path))
            continue;
        for (at = message->body; (at = next_record(at, end, &type, &size)); at += size) {
            if (type == HELPER_FILE && size > 1)
                remove_file(path, at + 1);
            else if (type == HELPER_RETURN)
                remove_file(path, parse_return(at, size).name);
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
        program->tried = join(len ? dir : ".", "/", name, NULL);
        result = SYS3(execve, program->tried, program->argv, program->env);
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
    if (error == -ENOEXEC && elf_foreign(program->tried))
        fail(HELPER_EXIT_CANNOT, "run", name,
             join("not an executable for this machine: ", elf_foreign(program->tried), NULL));
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
    program.tried = name;
    if (find_char(name, '/'))
        fail_to_run(&program, SYS3(execve, name, program.argv, program.env));
    fail_to_run(&program, execute_in_path(&program));
}
