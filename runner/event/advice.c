#include "event/advice.h"

#include <string.h>

/* What the runner and shells say of E2BIG, apart from the first letter's case. */
static bool says_too_long(const char *text)
{
    return text && strstr(text, "rgument list too long");
}

static const char *for_not_executable(const struct node *node)
{
    if (says_too_long(node->error) || says_too_long(node->tail))
        return "a program takes about 128 KiB in one argument or variable and 2 MiB in all: give "
               "it large data in a file or through a pipe";
    return "the command exists but cannot be executed: check its permissions and its #! line";
}

static const char *for_exit_code(const struct node *node)
{
    switch (node->exit_code) {
    case 126:
        return for_not_executable(node);
    case 127:
        return "a command was not found: check its spelling, PATH, and that the host or image has "
               "it";
    case 137:
        return "SIGKILL ended it: look for an out-of-memory kill or something that stopped it";
    case 139:
        return "it crashed (SIGSEGV): run the command by itself under a debugger";
    case 143:
        return "SIGTERM ended it: something outside of the run asked it to stop";
    default:
        return "see its last output; run the command by itself to reproduce it";
    }
}

const char *advice_for(const struct node *node)
{
    switch ((enum reason)node->reason) {
    case REASON_TIMEOUT:
        return "raise `timeout` at the level named above, or make the step faster";
    case REASON_LOST:
        return "its outcome is unknown: check that the engine is up, then run it again";
    case REASON_OOM:
        return "raise `resources.memory`, or make the step use less";
    case REASON_EVICTED:
        return "the node ran out of resources: set requests, or run it again";
    case REASON_IMAGE_PULL:
        return "check the image's name, the registry and its credentials, or set `pull`";
    case REASON_UNSCHEDULABLE:
        return "ask for less, or for other nodes, or raise `schedule_timeout`";
    case REASON_POLICY:
        return "the step is not allowed to do this here";
    default:
        return node->has_exit_code ? for_exit_code(node) : "";
    }
}
