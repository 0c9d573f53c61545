/* Requests, the programs they ask for, and the commands of the helper. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A message from standard input. */
struct message {
    int signal; /* 0: a request */
    char *body; /* of a request: its records, until message_release() */
    size_t size;
};

/* Reads one message; 0, or 1 when there are no more. Ends the helper when it is none. */
int message_read(struct message *message);
void message_release(struct message *message);
/* The HELPER_MARK of a request, in its body, or NULL. */
const char *message_mark(const struct message *message);

/* Of its HELPER_DEADLINE; false: it has none. */
bool message_deadline(const struct message *message, long *ret_deadline_ms, long *ret_grace_ms);
bool message_has_tty(const struct message *message);

/* A HELPER_RETURN record. */
struct returned {
    bool live;
    size_t max_bytes;
    const char *name;
    const char *variable;
};

/* The next HELPER_RETURN behind `at`; NULL to begin with. Returns where to go on, NULL: there are
 * no more. */
const char *message_next_return(const struct message *message, const char *at,
                                struct returned *ret);

/* On a machine that others use too, whose temporary directories they can see: from now on the files
 * of requests are for this user only. */
void message_files_are_private(void);
/* Makes the files, enters the directory and becomes the program. */
_Noreturn void message_become(const struct message *message, char *const *env);

#define MESSAGE_PLACES 3

/* Where a file of the request is, if it is there: one of these. Never given back. */
void message_file_paths(const struct message *message, const char *name,
                        const char *ret[MESSAGE_PLACES]);
/* Writes what a file holds, as request.h says, to a descriptor. */
void send_file(int to, const char *path, size_t max_bytes);
/* Likewise of all HELPER_RETURN files. */
void message_send_files(const struct message *message, int fd);
/* Removes the files again, wherever they were made: that may have been a volume, or a directory of
 * the host. */
void message_remove_files(const struct message *message);

/* With all that is in it. What cannot be removed stays. */
void remove_tree(const char *path);

int command_hold(void);
int command_exec(char *const *env);
int command_serve(char *const *env);
/* `args` are NULL-terminated, behind the command. */
int command_attended(char *const *args, char *const *env);
int command_relay(char *const *args, char *const *env);
/* What that does. `quiet`: nobody reads what it says once it takes connections. */
int relay_run(char *const *args, char *const *env, bool quiet);
int command_lane(char *const *args, char *const *env);
int command_attach(char *const *args);
int command_signal(char *const *args);
int command_renew(char *const *args);
int command_leased(char *const *args);
int command_pack(char *const *args);
int command_unpack(char *const *args);
/* Ends the helper itself when it is not ready. */
int command_probe(char *const *args);
