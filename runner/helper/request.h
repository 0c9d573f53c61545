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
 *     on standard output   MARK file* " " CODE "\n"     a file for each HELPER_RETURN, in order
 *     on standard error    MARK " " CODE "\n"
 *     file                 ( HELPER_DATA size[4] data[size] )* HELPER_DATA_END state[1]
 *
 * CODE being the exit code in decimal, with HELPER_TIMED_OUT behind it when the program had not
 * ended by its HELPER_DEADLINE, and HELPER_OUT_OF_MEMORY when the kernel has meanwhile killed a
 * process of the container for want of memory; and state one of enum helper_returned. While the
 * program runs, there is in front of what it wrote after it had changed a live HELPER_RETURN
 *
 *     on either            MARK HELPER_CHANGED number[1] file
 *
 * with what that holds now, counted from 0, on each of the two before its next output. */
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
    HELPER_RETURN = 'R',    /* live[1] max_bytes[4] name NUL variable NUL: an empty file that the
                               program may write, whose path the variable holds, and that is sent
                               back; live: not 0, sent also when it has changed */
    HELPER_DEADLINE = 'L',  /* deadline_ms[4] grace_ms[4]: so long after its start the tree of the
                               program gets SIGTERM, and is killed when the grace is over, too */
};

#define HELPER_TIMED_OUT     't'
#define HELPER_OUT_OF_MEMORY 'o'
#define HELPER_CHANGED       'C'
#define HELPER_DATA          'D'
#define HELPER_DATA_END      'E'

enum helper_returned {
    HELPER_WHOLE = 'w',
    HELPER_TRUNCATED = 't',  /* max_bytes were sent, and there is more */
    HELPER_UNREADABLE = 'u', /* what is there under its name cannot be read, or is a link */
};

/* An argument that begins so has it replaced by the directory of the files. */
#define HELPER_FILES_MARK "@files@/"

/* What is in the directory of `helper attended`: itself, and the fifo that is its input. */
#define HELPER_ATTENDED_PROGRAM "helper"
#define HELPER_ATTENDED_INPUT   "input"

/* Exit codes of the helper itself, beside those of the program. */
#define HELPER_EXIT_NOT_READY 1   /* of a probe */
#define HELPER_EXIT_ABANDONED 74  /* of a relay or service whose lease was not renewed */
#define HELPER_EXIT_NO_RELAY  76  /* of an attach: nothing takes connections there */
#define HELPER_EXIT_UNUSED    75  /* standard input ended before a request came */
#define HELPER_EXIT_CANNOT    126 /* the program is there but cannot be run; also bad requests */
#define HELPER_EXIT_NOT_FOUND 127
/* The last word of `pack` and `unpack` on standard output, behind the end of an archive: who asks
 * over a connection that breaks may be told of an exit with 0 that never was. */
#define HELPER_DONE "runner: done\n"
/* How its messages on standard error begin; each is one line. */
#define HELPER_MESSAGE_PREFIX "runner: cannot "
