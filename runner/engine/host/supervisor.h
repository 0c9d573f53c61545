/* The supervisor of a step on the host: a single-threaded process that starts the step's program
 * and sees to it that nothing of its process tree outlives it.
 *
 * It runs one program at a time and is then ready for the next. It is the parent of every orphan
 * below it (PR_SET_CHILD_SUBREAPER), so daemons and setsid'ed processes of a step cannot get away.
 *
 *     main process ends       its status is reported, what is left of the tree is killed
 *     TERM, KILL              see wire.h
 *     engine's socket closes  the runner has died: the tree is killed, the supervisor ends
 *     keeper's pipe closes    nobody could clean up after us any more: the same */
#pragma once

/* Runs until the socket or the keeper's pipe (-1: none) closes. To be called in a process of
 * its own (base/forked.h). */
void supervisor_main(int socket, int keeper);
