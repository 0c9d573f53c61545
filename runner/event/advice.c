#include "event/advice.h"

static const char *for_exit_code(int code)
{
    switch (code) {
    case 126:
        return "the command exists but cannot be executed: check its permissions and its #! line";
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
        return "see its last output above; run the command by itself to reproduce it";
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
    case REASON_POLICY:
        return "the step is not allowed to do this here";
    default:
        return node->has_exit_code ? for_exit_code(node->exit_code) : "";
    }
}
