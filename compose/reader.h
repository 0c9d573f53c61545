/* From YAML nodes to values of the model. Private to this folder.
 *
 * A reader is one file on its way: what it says about the file goes to the file's diagnostics, with
 * the position and the path of the node. A value that cannot be read is complained about and left
 * out, so that the rest of the file is still looked at. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/interpolate.h"
#include "compose/attribute.h"
#include "compose/model.h"
#include "compose/places.h"

struct compose_reader {
    struct compose_places *places;
    struct compose_file *file;
    const struct yaml_tree *tree;
    const char *directory; /* absolute, of relative paths */
    const struct strmap *environment;
    enum compose_target target;
    size_t ports;    /* that were made of ranges so far */
    size_t expanded; /* bytes that came of variables so far */
    /* What is being interpolated, for warnings. */
    const struct yaml_node *node;
    const struct node_path *path;
};

void compose_reader_error(struct compose_reader *r, const struct node_path *path,
                          const struct yaml_node *node, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void compose_reader_warn(struct compose_reader *r, const struct node_path *path,
                         const struct yaml_node *node, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

enum compose_scalar_kind {
    SCALAR_NULL,
    SCALAR_BOOL,
    SCALAR_INTEGER,
    SCALAR_NUMBER,
    SCALAR_STRING,
};

/* A scalar as programs in Go understand YAML: 1.1's numbers, but only true and false as truth
 * values; a variable makes it a string. */
struct compose_scalar {
    enum compose_scalar_kind kind;
    struct buf text; /* interpolated; of numbers and truth values, as they are printed */
    bool boolean;
    int64_t integer;
    double number; /* of SCALAR_INTEGER, too */
};

#define COMPOSE_SCALAR_INIT                                                                        \
    {                                                                                              \
        .text = BUF_INIT                                                                           \
    }
#define CLEANUP_COMPOSE_SCALAR CLEANUP(compose_scalar_release)

/* -1: it is no scalar, or cannot be interpolated, which was complained about. */
int compose_scalar_read(struct compose_reader *r, const struct node_path *path,
                        const struct yaml_node *node, struct compose_scalar *ret)
    __attribute__((warn_unused_result));
void compose_scalar_release(struct compose_scalar *scalar);
/* A JSON value of the same kind. */
json_t *compose_scalar_json(const struct compose_scalar *scalar);
/* A number as Go prints it. */
void compose_add_number(struct buf *out, double number);

/* The interpolated text of a scalar that must be a string: NULL and a complaint if it is not.
 * Numbers are taken if `texts` is set. */
char *compose_read_string(struct compose_reader *r, const struct node_path *path,
                          const struct yaml_node *node, bool texts);
/* A truth value written as a string. */
bool compose_parse_bool(const char *text, bool *ret);

/* The value of an attribute; a new reference, NULL: nothing is to be set. */
json_t *compose_read_value(struct compose_reader *r, const struct node_path *path,
                           const struct compose_attribute *attribute, const struct yaml_node *node);
/* The members of a map by a table; NULL: it is no map. */
json_t *compose_read_object(struct compose_reader *r, const struct node_path *path,
                            const struct compose_table *table, const struct yaml_node *node);
/* Anything, interpolated. */
json_t *compose_read_any(struct compose_reader *r, const struct node_path *path,
                         const struct yaml_node *node);
/* Gives a value the place and the tag of a node; returns it. */
json_t *compose_placed(struct compose_reader *r, const struct yaml_node *node, json_t *value);
/* An absolute path: relative ones begin at the directory, "~" is the home directory. A new string.
 */
char *compose_path(const char *directory, const char *path);

/* Short forms and checks of the tables. */
json_t *compose_read_port(struct compose_reader *r, const struct node_path *path,
                          const struct yaml_node *node);
void compose_check_port(struct compose_reader *r, const struct node_path *path,
                        const struct yaml_node *node, json_t *object);
json_t *compose_read_volume(struct compose_reader *r, const struct node_path *path,
                            const struct yaml_node *node);
void compose_check_volume(struct compose_reader *r, const struct node_path *path,
                          const struct yaml_node *node, json_t *object);

/* Splits a command as a shell would. *ret_rest: where an operator such as ";" or "|" ends it,
 * unquoted; NULL: none does. -1 with *err: a quote or a parenthesis without its other half. */
int compose_split_command(const char *text, json_t *words, const char **ret_rest, struct err *err)
    __attribute__((warn_unused_result));
/* Nanoseconds of "1m30s", "1.5h", "2d", and back. */
int compose_parse_duration(const char *text, int64_t *ret, struct err *err)
    __attribute__((warn_unused_result));
void compose_add_duration(struct buf *out, int64_t ns);
/* Whether the pull policy asks for a newer image from time to time, and after how many nanoseconds:
 * "daily", "weekly", "every_12h". *err: the time of "every_" is none. policy may be NULL. */
bool compose_refresh_interval(const char *policy, int64_t *ret_ns, struct err *err);
/* A number of bytes, "64m", or a negative number. */
int compose_parse_bytes(const char *text, int64_t *ret, struct err *err)
    __attribute__((warn_unused_result));
