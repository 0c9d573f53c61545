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

bool message_has_tty(const struct message *message);

/* Makes the files, enters the directory and becomes the program. */
_Noreturn void message_become(const struct message *message, char *const *env);

/* Writes what the HELPER_RETURN files hold, as request.h says, to a descriptor. */
void message_send_files(const struct message *message, int fd);
/* Removes the files again, wherever they were made: that may have been a volume, or a directory of
 * the host. */
void message_remove_files(const struct message *message);

int command_hold(void);
int command_exec(char *const *env);
int command_serve(char *const *env);
/* NULL-terminated, behind the command. Ends the helper itself when it is not ready. */
int command_probe(char *const *args);
