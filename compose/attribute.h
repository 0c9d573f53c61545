/* The attributes of Compose files: one table for each kind of map, and in it one row for each
 * attribute. The rows drive the reading of values, the merging of files, the messages about what is
 * unknown or not supported, and the order of the members in hashes. Private to this folder.
 * Constant data. Source: Compose Specification. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "yaml/node_path.h"
#include "yaml/yaml_tree.h"

struct compose_reader;
struct compose_table;

/* What a value can be written as, and what it becomes in the model. */
enum compose_form {
    FORM_STRING,       /* a string */
    FORM_TEXT,         /* likewise, also written as a number */
    FORM_SCALAR,       /* likewise, also as a truth value */
    FORM_BOOL,         /* true or false, also as a string */
    FORM_INTEGER,      /* also as a string */
    FORM_NUMBER,       /* also as a string */
    FORM_BYTES,        /* a number or "64m": a string of digits */
    FORM_DURATION,     /* "1m30s": the same, in the spelling of Go */
    FORM_MODE,         /* octal digits or a number: a string "0440" */
    FORM_MODE_INTEGER, /* the same, but an integer */
    FORM_COUNT,        /* an integer, or "all", which is -1 */
    FORM_COMMAND,      /* a list of strings, or a string that is split as a shell would; or null */
    FORM_TEST,         /* a list of strings, or a string: ["CMD-SHELL", string] */
    FORM_STRINGS,      /* a list of strings */
    FORM_TEXTS,        /* likewise, also of numbers */
    FORM_STRING_OR_LIST, /* a string or a list of strings: a list */
    FORM_HOSTS,          /* a list of "host=address" or "host:address", or a map: the list */
    FORM_VARIABLES,      /* a map, or a list of NAME=VALUE and NAME: a map of string or null */
    FORM_LABELS,         /* the same, without null */
    FORM_OPTIONS,        /* a map: a map of strings */
    FORM_OBJECT,         /* a map with a table, or its short form */
    FORM_OBJECTS,        /* a list of such; a short form may stand for several */
    FORM_NAMED,          /* a map of names → such */
    FORM_NAMES,    /* the same, also as a list of names, which the short form turns into values */
    FORM_EXTERNAL, /* true, false, or a map with a name */
    FORM_GPUS,     /* "all" or FORM_OBJECTS */
    FORM_ULIMITS,  /* a map of name → integer or {soft, hard} */
    FORM_ANY,      /* anything */
    FORM_COUNT_OF_FORMS,
};

/* How a value goes over one of an earlier file. */
enum compose_merge {
    MERGE_USUAL,   /* maps member by member, lists appended without what is there already, else
                      replaced */
    MERGE_REPLACE, /* as a whole */
    MERGE_KEY,     /* a list whose items have a key (the row's function): those with the key of an
                      earlier one take its place */
    MERGE_LOGGING, /* a map; as a whole if `driver` is another one */
    MERGE_SUBNET,  /* a list of maps, item by item for the same `subnet` */
};

enum compose_flags {
    /* A target ignores it, which a warning says … */
    IGNORED_BY_DOCKER = 1 << 0,
    IGNORED_BY_SWARM = 1 << 1,
    /* … or cannot do without: an error. */
    REFUSED_BY_DOCKER = 1 << 2,
    REFUSED_BY_SWARM = 1 << 3,
    ATTRIBUTE_PATH = 1 << 4, /* a path, made absolute */
    ATTRIBUTE_REQUIRED = 1 << 5,
    ATTRIBUTE_KEEP = 1 << 6,     /* false, 0 and "" are told apart from nothing */
    ATTRIBUTE_NULL = 1 << 7,     /* values of FORM_NAMED may be null and stay so */
    ATTRIBUTE_URL = 1 << 8,      /* with ATTRIBUTE_PATH: what has a scheme stays as it is */
    ATTRIBUTE_ONE = 1 << 9,      /* FORM_OBJECTS: a short form may stand without a list */
    ATTRIBUTE_HIDDEN = 1 << 10,  /* read and checked, and not in the model */
    ATTRIBUTE_CAPITAL = 1 << 11, /* hashes have the name with a capital letter */
};

struct compose_attribute {
    const char *name;
    uint8_t form;   /* enum compose_form */
    uint8_t merge;  /* enum compose_merge */
    uint16_t flags; /* enum compose_flags */
    const struct compose_table *table;
    const char *const *choices; /* of strings, NULL-terminated; NULL: any */
    /* MERGE_KEY: appends the key of an item. */
    void (*key)(const json_t *item, struct buf *out);
    const char *why; /* of what is ignored or refused, the end of a sentence about it */
};

struct compose_table {
    const char *name;                     /* "a service", for messages */
    const struct compose_attribute *rows; /* in the order of the members in hashes */
    size_t count;
    /* What stands for a scalar: a new value, an object or for FORM_OBJECTS a list of objects; NULL
     * if it was complained about. NULL: only maps are taken. */
    json_t *(*short_form)(struct compose_reader *reader, const struct node_path *path,
                          const struct yaml_node *node);
    /* A look at the finished object. NULL: none. */
    void (*check)(struct compose_reader *reader, const struct node_path *path,
                  const struct yaml_node *node, json_t *object);
};

extern const struct compose_table compose_file_table;
extern const struct compose_table compose_service_table;

/* NULL if there is no such row. */
const struct compose_attribute *compose_attribute_find(const struct compose_table *table,
                                                       const char *name);
