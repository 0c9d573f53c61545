/* Starting the program that a request asks for, and the commands of the helper. */
#pragma once

/* A request as it was read: NULL-terminated vectors that point into its memory. */
struct program {
    char **argv;
    char **env;
    const char *cwd;       /* NULL: as it is */
    const char *directory; /* name for the directory of the files */
    const char *body;      /* records, for the files */
    const char *body_end;
};

/* Reads the request from standard input; ends the helper when there is none or it is bad. */
void program_read(struct program *program, char *const *env);
/* Makes the files, enters the directory and becomes the program. */
_Noreturn void program_become(struct program *program);

int command_hold(void);
int command_exec(char *const *env);
