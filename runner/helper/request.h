/* What the helper reads from its standard input (see helper.h): what both sides agree on. Used by
 * the runner and by the freestanding helper, hence constants only.
 *
 *     message  = HELPER_REQUEST body_size[4] record*     start this program
 *              | HELPER_SIGNAL signal[4]                 send this to its whole process tree
 *     record   = type[1] size[4] data[size]
 *
 * Integers are little-endian. Strings carry their terminating NUL, which is counted in `size`. A
 * signal while no program runs is ignored: it may have crossed the program's end.
 *
 * When the tree of a program with a HELPER_MARK has ended, the helper writes behind the output
 *
 *     on standard output   MARK file* " " CODE "\n"      a file for each HELPER_RETURN, in their
 * order on standard error    MARK " " CODE "\n" file = ( HELPER_DATA size[4] data[size] )*
 * HELPER_DATA_END state[1]
 *
 * CODE being the exit code in decimal, and state one of enum helper_returned. */
#pragma once

#define HELPER_REQUEST     "RNQ1"
#define HELPER_SIGNAL      "RNS1"
#define HELPER_HEADER_SIZE 8
#define HELPER_RECORD_SIZE 5
/* A request beyond this is refused by both sides. */
#define HELPER_REQUEST_MAX (64u << 20)

enum helper_record {
    HELPER_ENV = 'E',       /* "KEY=VALUE", replaces what the container has under KEY */
    HELPER_CLEAR_ENV = 'C', /* "": what the container has is dropped first */
    HELPER_ARG = 'A',       /* next element of argv; see HELPER_FILES_MARK */
    HELPER_CWD = 'W',       /* absolute; made when missing */
    HELPER_DIRECTORY = 'D', /* name of the directory that is made for files, without a slash */
    HELPER_FILE = 'F',      /* executable[1] name NUL content */
    HELPER_NOT_FOUND = 'N', /* the line to say when argv[0] does not exist */
    HELPER_TTY = 'T',       /* "": its output is a terminal; all of it comes on standard output */
    HELPER_MARK = 'M',      /* unguessable text; see above */
    HELPER_RETURN = 'R', /* max_bytes[4] name NUL variable NUL: an empty file that the program may
                            write, whose path the variable holds, and that is sent back */
};

#define HELPER_DATA     'D'
#define HELPER_DATA_END 'E'

enum helper_returned {
    HELPER_WHOLE = 'w',
    HELPER_TRUNCATED = 't',  /* max_bytes were sent, and there is more */
    HELPER_UNREADABLE = 'u', /* what is there under its name cannot be read, or is a link */
};

/* An argument that begins so has it replaced by the directory of the files. */
#define HELPER_FILES_MARK "@files@/"

/* Exit codes of the helper itself, beside those of the program. */
#define HELPER_EXIT_NOT_READY 1   /* of a probe */
#define HELPER_EXIT_UNUSED    75  /* standard input ended before a request came */
#define HELPER_EXIT_CANNOT    126 /* the program is there but cannot be run; also bad requests */
#define HELPER_EXIT_NOT_FOUND 127
/* How its messages on standard error begin; each is one line. */
#define HELPER_MESSAGE_PREFIX "runner: cannot "
