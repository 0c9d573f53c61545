/* The contract between the executor and the engines that run steps.
 *
 * An engine is a const table of functions. An *instance* is one connection of it (one Docker
 * daemon, one ssh host), shared by all jobs that name the same URL. A *place* is what one job has
 * on an instance: its network, its workspace, its containers. A *runnable* is one thing to run
 * there, complete: nothing in it is looked up or expanded any more.
 *
 *     instance = engine->connect(services, url)        once for each URL
 *       engine->prefetch(instance, image)              a hint: some step will want this image
 *       place = engine->open(instance, job)            once for each job
 *         engine->prepare(place, next)                 a hint: this comes next, get it ready
 *         engine->run(place, runnable, output)         → exit record
 *       engine->close(place)
 *     engine->disconnect(instance)
 *
 * Rules. Nothing but an exit record from run() is a success. run() returns only after the whole
 * process tree of the runnable has ended and everything it printed has been given to `output`; when
 * the context ends first, run() sends SIGTERM, waits the grace, sends SIGKILL, and then returns -1
 * with ERR_TIMEOUT or ERR_CANCELLED; the record then tells how the program ended, if that is known.
 * What an engine creates it notes with own.h before it creates it. close() and disconnect() use
 * contexts of their own and always remove everything.
 *
 * Before run() returns it has called returned() once for each of runnable.returns, in their order,
 * however the program ended. It has not if the program did not begin, if there is no record
 * (EXIT_LOST), or if somebody from outside, or the kernel, ended the program together with what
 * watches it: nothing of this is a success, so that what is missing is never taken for nothing.
 *
 * Of a return that is `live`, an engine calls returned() also when it has changed meanwhile, and
 * before it gives to write() what was written after the change; changes that no output follows it
 * need not tell, and any it may tell more than once.
 *
 * Threads: prepare(), run(), check(), get() and put() of a place may be called by several threads
 * at a time, for steps that run in parallel; open() and close() are by one. Instances are shared.
 * All lock for themselves. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/map.h"
#include "own/own.h"
#include "spec/spec.h"
#include "spec/state.h"

enum output_stream { OUTPUT_STDOUT, OUTPUT_STDERR };

/* A file that a program may write, for the caller to get back. It is there, empty and writable for
 * the program whoever it runs as, before that starts, beside the files that came with it. */
struct runnable_return {
    const char *name;     /* no slash */
    const char *variable; /* of the program's environment: holds the file's absolute path */
    size_t max_bytes;     /* no more of it is given back; below 4 GiB */
    bool live;            /* wanted also while the program runs */
};

enum returned_state {
    RETURNED_WHOLE,      /* nothing is left out; a file that the program removed is an empty one */
    RETURNED_TRUNCATED,  /* it holds more than max_bytes */
    RETURNED_UNREADABLE, /* the program has put something in its place that is no regular file */
};

/* How far something is that a step waits for. */
struct output_progress {
    const char *text;    /* one line, complete by itself */
    int64_t done, total; /* bytes; total 0: not known */
    bool due;            /* also for those who can only add lines: now and then */
};

/* Where the bytes of a running step go. write() takes all of them, always; it may block while the
 * reader is slow, but not beyond the end of ctx, and not at all without one (NULL): that is for
 * who watches room_fd() beside other things. All may be called from one thread at a time. */
struct output {
    void (*write)(struct output *output, const struct ctx *ctx, enum output_stream stream,
                  const void *data, size_t len);
    /* -1 while there is room, else a descriptor that becomes readable when there is again. NULL
     * function: there always is. */
    int (*room_fd)(struct output *output);
    /* A remark of the engine for people, one line. */
    void (*note)(struct output *output, const char *text);
    /* E.g. of an image pull, up to ten times a second; NULL: it has ended. NULL function: what is
     * due comes as a note. */
    void (*progress)(struct output *output, const struct output_progress *progress);
    /* What one of runnable.returns held when the program had ended, or holds now. `data` holds no
     * more than its max_bytes, and is gone when this returns. NULL function: nobody wants it. */
    void (*returned)(struct output *output, const struct runnable_return *file,
                     enum returned_state state, const void *data, size_t size);
    /* What was asked for has begun to run. NULL: nobody wants to know. */
    void (*started)(struct output *output);
    /* A further piece of the log of something that the runnable has deployed, and that has failed:
     * to be kept, not shown. NULL: nobody keeps it. */
    void (*keep)(struct output *output, const char *log, const void *data, size_t len);
};

enum exit_kind {
    EXIT_LOST,   /* no record could be had; `detail` says why */
    EXIT_CODE,   /* the process ended by itself with `code` */
    EXIT_SIGNAL, /* a signal ended it; code is 128 + signal */
};

struct exit_record {
    enum exit_kind kind;
    int code;
    int signal;
    enum reason reason; /* REASON_NONE, or a cause that the engine knows: oom, lost … */
    char detail[256];   /* one line for people, may be empty */
};

/* A file that has to be there before the program starts, in the runnable's own directory. */
struct runnable_file {
    const char *name; /* no slash */
    const void *data;
    size_t size;
    bool executable;
};

/* A file that has to be at exactly this place in a container, whatever user, shell and rights its
 * image has. All can read it. Not for engines without containers. */
struct placed_file {
    const char *path; /* absolute, at least one directory deep */
    const void *data;
    size_t size;
};

/* Credentials and policy of an image; strings may be NULL. */
struct image_source {
    const char *image; /* complete reference */
    const char *registry;
    const char *username;
    const char *password;
    const enum spec_pull *pull;
    size_t pull_count;
    int64_t pull_timeout_ms; /* how long run() waits for it; 0 or less: as long as it runs */
};

struct mount_spec {
    char *source; /* host path or volume name */
    char *target;
    bool read_only;
};

/* What a container may do beyond, or less than, what the engine lets all of them do. */
struct container_security {
    bool read_only; /* its root file system */
    bool no_new_privileges;
    const char *const *cap_add; /* NULL-terminated; NULL: none */
    const char *const *cap_drop;
    const char *userns;  /* NULL: the engine's default */
    const char *seccomp; /* the path of a profile, or "unconfined"; NULL: the engine's default */
};

/* Whether a runnable can do with an image: asked before anything of the image runs. */
struct image_check {
    /* `labels` are the image's; NULL: the engine cannot see them. What is missing in the
     * environment of the runnable is added to `environment`. -1 with what is wrong in err, and
     * remarks on each problem as notes of `output`, when the image must not run. */
    int (*run)(const void *arg, const struct strmap *labels, struct strmap *environment,
               struct output *output, struct err *err);
    const void *arg;
};

/* What makes the container of a runnable what it is. */
struct container_shape {
    struct image_source source;
    const char *platform;
    const char *network; /* NULL: the job's own network */
    const struct mount_spec *mounts;
    size_t mount_count;
    const char *const *entrypoint; /* NULL: the image's is kept; {NULL}: none */
    bool privileged;
    bool sandbox; /* the strict preset */
    bool shared;  /* isolation: job */
    const struct spec_resources *resources;
    struct container_security security;
    const struct image_check *check; /* NULL: any image will do */
    const json_t *kubernetes;        /* the step's key of that name, expanded; NULL: not given */
};

/* What makes a runnable a service: a container that runs the program of its image for others. It
 * does not share the network of the place, but is reached by its name from there, and from the
 * places that were opened for that. */
struct service_shape {
    const char *name;
    const struct port_mapping *ports; /* for those who are not in its network */
    size_t port_count;
};

/* What makes a runnable a deployment: something that is brought up by an API and stays, such as a
 * Compose project, a stack of a swarm or manifests. It has run when all of it is there, and ready
 * if that is waited for; what it is told of where things are comes as returned files. When it fails
 * or its context ends, what it has made by then is removed, and nothing that was there before. */
struct deployment_shape {
    const char *name;      /* of the project, the stack, the set */
    const char *file;      /* what it is made from, absolute; NULL: `text` is */
    const char *text;      /* not interpolated yet */
    const char *directory; /* absolute: relative paths in `text` start there */
    bool lasting;          /* close() leaves it there */
    bool wait;
    bool prune;
    int64_t timeout_ms; /* of waiting; 0: as long as it may run */
};

struct runnable {
    const char *id;   /* RUN.0.1.2 */
    const char *name; /* of the step, for messages */
    const char *const *argv;
    const struct strmap *environment; /* complete */
    const char *workdir; /* absolute, but see ENGINE_REMOTE; NULL: the place's workspace */
    const char *user;    /* NULL: the engine's default */
    bool tty;            /* its output is a terminal of 80 columns: one stream, OUTPUT_STDOUT */
    const struct runnable_file *files;
    size_t file_count;
    const struct runnable_return *returns;
    size_t return_count;
    /* Where `files` will be found is known only to the engine: an argv element that starts with
     * this marker has it replaced by their directory. */
#define RUNNABLE_FILES "@files@/"
    const struct placed_file *placed;
    size_t placed_count;
    /* What to say (exit code 127) when argv[0] does not exist; NULL: the usual words. Not for an
     * entrypoint in front of it. */
    const char *not_found;
    int64_t grace_ms;
    const struct container_shape *container; /* NULL for engines without containers */
    /* NULL: it is a step. Of a service argv may be NULL, which means the image's, and workdir NULL
     * likewise. Only for engines with ENGINE_SERVICES. */
    const struct service_shape *service;
    /* NULL: it is none. Then there is no argv, and the environment is what the text is interpolated
     * with. Only for engines with ENGINE_DEPLOYS, which run nothing else. */
    const struct deployment_shape *deployment;
};

/* One way to see whether something that runs is ready for others. */
enum probe_kind {
    PROBE_TCP,     /* something accepts connections at host:port */
    PROBE_HTTP,    /* a GET of path at host:port is answered with a status of 200 to 399 */
    PROBE_COMMAND, /* argv, run beside it, ends with 0 */
    PROBE_IMAGE,   /* of a service: the health check of its image holds; if there is none and
                      `listening`, all TCP ports that it exposes accept connections */
};

struct probe {
    enum probe_kind kind;
    const char *host; /* NULL: what is asked about itself */
    unsigned port;
    const char *path;
    const char *const *argv;
    bool listening;
};

/* What the program gives to engines. */
struct engine_services {
    struct own_run *run; /* NULL: only for a sweep, nothing will be created */
    /* Gives the caller a connected socket to a fresh step supervisor (see host/supervisor.h). */
    int (*supervisor)(void *arg, const struct ctx *ctx, int *ret_fd, struct err *err);
    void *supervisor_arg;
    const char *docker_host; /* --docker-host; NULL: found from the environment */
    const char *kubeconfig;  /* --kubeconfig: the only file to read; NULL: found from the
                                environment */
    /* For an engine URL that does not name one itself; NULL: what the kubeconfig says, or what a
     * pod finds in its container. */
    const char *context; /* --context */
    const char *ns;      /* --namespace */
    bool keep;           /* --keep: remove nothing */
};

#define PLACE_SERVICES_MAX 2

struct place_options {
    const char *id;        /* RUN.0.1: the job */
    const char *name;      /* of the job, for messages */
    const char *workspace; /* absolute path of the workdir on the runner's side; exists */
    /* Not the files there, but none: the place has an empty workspace of its own, which runnables
     * find at that path. Never for ENGINE_LOCAL, where `workspace` is that directory itself. */
    bool empty;
    bool services; /* it will run services, and nothing else */
    /* Places with services, which can be reached from this one; of the same instance. */
    struct place *const *services_of;
    size_t services_of_count; /* at most PLACE_SERVICES_MAX */
    /* The rest is for ENGINE_PODS. What will run in the place, as far as that is known beforehand;
     * complete are only id, name, user, service and container of each, and the paths of what is
     * placed. Valid until open() returns. */
    const struct runnable *const *expected;
    size_t expected_count;
    bool overlapping; /* several steps of those may run at a time */
    /* The job's key of that name, with what it inherits, expanded (see plan/settings.h); NULL:
     * nothing is given. */
    const json_t *kubernetes;
    int64_t timeout_ms;          /* of the job; 0: none */
    int64_t schedule_timeout_ms; /* until the place has a machine; 0: the engine's default */
};

/* Asked of sweep(): remove what belongs to one run, or to any dead owner. */
struct sweep_request {
    const char *run_id; /* NULL: of every dead owner */
    bool dry_run;
    /* Called for each object found, e.g. ("container", "runner-…-step"). */
    void (*found)(void *arg, const char *kind, const char *name, const char *run_id);
    void *found_arg;
};

enum engine_capability {
    ENGINE_CONTAINERS = 1 << 0, /* runnables have a container shape */
    ENGINE_LOCAL = 1 << 1,      /* shares the runner's file system: passed-through environment */
    ENGINE_SERVICES = 1 << 2,   /* runs services */
    ENGINE_PODS = 1 << 3,    /* a place has all its containers from the beginning: open() wants to
                                know what is expected, and the services of a job run in the
                                place of its steps */
    ENGINE_DEPLOYS = 1 << 4, /* runs deployments, and nothing else; never named by a file */
    ENGINE_REMOTE = 1 << 5,  /* the machine of a login, with files of its own: a runnable whose step
                                says no workdir has none, and runs where the login does; one that
                                says a relative one means it from there */
};

struct engine;
struct engine_instance; /* engine's own struct begins with: const struct engine *engine; */
struct place;           /* likewise */

struct engine {
    const char *name; /* as spec/engine_names.h has it */
    unsigned capabilities;

    /* ERR_NOT_FOUND only when nothing says that there is such a thing, and it is not where it
     * usually is: it is simply not set up. What is named and is not there is another error. */
    int (*connect)(const struct ctx *ctx, const struct engine_services *services, const char *url,
                   struct engine_instance **ret, struct err *err);
    void (*disconnect)(struct engine_instance *instance);
    /* A hint: steps to come will want this image. Blocks until it is there, cannot be had, or ctx
     * ends; a failure is not told, as a step that needs the image will find it out for itself.
     * Gives way to what steps wait for. Called from several threads at a time, and not from those
     * that run steps. NULL: nothing can be fetched ahead. */
    void (*prefetch)(const struct ctx *ctx, struct engine_instance *instance,
                     const struct image_source *source, const char *platform);
    /* Adds one line on what works here, and further lines on what would with something more, and
     * with what. -1 when jobs cannot run here: then err says why, and what has been added to the
     * report, if anything, is how to mend that. */
    int (*probe)(const struct ctx *ctx, struct engine_instance *instance, struct buf *report,
                 struct err *err);
    /* What to do about an error of connect() or probe(), beyond what its message says: one line, or
     * NULL. NULL function: never anything. */
    const char *(*mend)(const struct err *err);
    int (*open)(const struct ctx *ctx, struct engine_instance *instance,
                const struct place_options *options, struct place **ret, struct err *err);
    /* `next` stays valid until it has run or the place is closed. It has the id of what will run,
     * and is that but for the content of placed files. NULL function: nothing to do. */
    void (*prepare)(struct place *place, const struct runnable *next);
    int (*run)(const struct ctx *ctx, struct place *place, const struct runnable *runnable,
               struct output *output, struct exit_record *ret, struct err *err);
    /* Looks once whether what run() is running, for `running`, is ready: 0 when it is, else -1 and
     * why not. After ERR_INVALID and ERR_UNSUPPORTED there is no use in looking again. What it
     * starts for that ends with it. NULL: cannot be told. */
    int (*check)(const struct ctx *ctx, struct place *place, const struct runnable *running,
                 const struct probe *probe, struct err *err);
    /* Whether what has run in the place has worked on options->workspace itself, and not on a copy
     * from which nothing comes back: then files can be restored there before, and kept after, a
     * step. NULL function: never. */
    bool (*shares_workspace)(const struct ctx *ctx, struct place *place);
    /* For places that do not share the workspace: brings a file, or a directory with all that is in
     * it, from there to the directory `into` of this machine. `path` is relative to the workspace,
     * and to `into`; "": the whole workspace. What is not there is not brought, and no error. NULL:
     * nothing comes back. */
    int (*get)(const struct ctx *ctx, struct place *place, const char *path, const char *into,
               struct err *err);
    /* The other way: files and directories of options->workspace, by their relative paths, which
     * end with NULL. */
    int (*put)(const struct ctx *ctx, struct place *place, const char *const *paths,
               struct err *err);
    /* Where the ports of a running service are for this process: "5432" and "53/udp" become
     * "HOST:PORT". NULL: nowhere. */
    int (*published)(const struct ctx *ctx, struct place *place, const struct runnable *service,
                     struct strmap *ret, struct err *err);
    void (*close)(struct place *place);
    int (*sweep)(const struct ctx *ctx, struct engine_instance *instance,
                 const struct sweep_request *request, size_t *ret_count, struct err *err);
};

/* The table that the composition root hands in: NULL-terminated. The URL is named in a file, by a
 * row of spec/engine_names.h, or begins with the name of an engine that no file names. */
const struct engine *engine_find(const struct engine *const *engines, const char *url);
