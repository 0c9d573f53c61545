/* Decode tables: what the keys of a map are and where their values go.
 *
 * A table describes one kind of map (a step, a plugin …) as rows, and the struct that it fills. The
 * same rows drive decoding, the messages about what is wrong, the reference in
 * docs/pipeline-file.md and the JSON Schema. Constant data. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "yaml/yaml_tree.h"

struct decoder;
struct node_path;
struct table;

enum field_kind {
    FIELD_STRING,     /* struct spec_str, interpolated later */
    FIELD_TEXT,       /* struct spec_str, taken as it is */
    FIELD_NAME,       /* struct spec_str, [A-Za-z_][A-Za-z0-9_-]*, never interpolated */
    FIELD_EXPRESSION, /* struct spec_str: an expression, evaluated later */
    FIELD_SCRIPT,     /* struct spec_str, never interpolated; a list of lines is joined */
    FIELD_STRINGS,    /* struct spec_strs; one string or a list */
    FIELD_PAIRS,      /* struct spec_pairs */
    FIELD_PAIRS_LIST, /* allocated array of struct spec_pairs and a size_t count */
    FIELD_MATCHES,    /* struct spec_matches; each value one string or a list */
    FIELD_FAILURES,   /* struct spec_allow_failure: true, false or a list of exit codes */
    FIELD_BOOL,       /* enum spec_bool */
    FIELD_ENUM,       /* an enum, or a uint8_t that holds one */
    FIELD_ENUMS,      /* allocated array of int-sized enums and a uint8_t count; one or a list */
    FIELD_COUNT,      /* int64_t, at least 1 */
    FIELD_DURATION,   /* int64_t, milliseconds */
    FIELD_SIZE,       /* int64_t, bytes */
    FIELD_MILLI,      /* int64_t, thousandths */
    FIELD_OBJECT,     /* a struct with a table: embedded, or a pointer to an allocated one */
    FIELD_OBJECTS,    /* allocated array of structs with a table, and a size_t count */
    FIELD_NAMED,      /* the same from a map, whose keys are the names of the structs */
    FIELD_JSON,       /* struct spec_json: a map or a list of which nothing more is known … */
    FIELD_JSON_MAP,   /* … or only a map, */
    FIELD_JSON_LIST,  /* … or only a list */
    FIELD_VARIANT,    /* a pointer to an allocated struct; another key chooses its table */
    FIELD_IGNORED,    /* accepted, means nothing */
    FIELD_PLANNED,    /* known, but this version cannot do it: an error if it is set */
    FIELD_KIND_COUNT,
};

enum field_flags {
    FIELD_REQUIRED = 1 << 0,
    FIELD_EXTENSION = 1 << 1,   /* beyond the go-idp format: a + in the reference */
    FIELD_EMBEDDED = 1 << 2,    /* FIELD_OBJECT: the struct itself is at the offset */
    FIELD_JSON_VALUES = 1 << 3, /* FIELD_PAIRS: lists and maps become JSON text */
    FIELD_EMPTY = 1 << 6,       /* FIELD_OBJECTS: an empty list is a value, too */
    FIELD_ONE = 1 << 5,         /* FIELD_OBJECTS: one may stand without a list */
    FIELD_ZERO = 1 << 4,        /* FIELD_DURATION: "0s" means no time at all, not "not set" */
};

/* More alternatives than this in a list of choices (FIELD_ENUMS) are a mistake. */
#define FIELD_ENUMS_MAX 8

#define ENUM_PLANNED (-1)

/* A spelling of an enum value; a row of {NULL} ends the list. */
struct enum_name {
    const char *name;
    int value; /* or ENUM_PLANNED: known, but this version cannot do it; after all others */
};

struct field {
    const char *name;
    const char *help;              /* one line for the reference */
    const char *default_text;      /* shown in the reference; NULL: none */
    const char *alias_of;          /* a deprecated spelling of that key; NULL: none */
    uint8_t kind;                  /* enum field_kind */
    uint8_t flags;                 /* enum field_flags */
    uint16_t size;                 /* of the member */
    uint16_t offset;               /* of the member */
    uint16_t count_offset;         /* FIELD_OBJECTS, FIELD_NAMED, FIELD_ENUMS */
    uint16_t given_offset;         /* of a bool that says the key was given; 0: none */
    const struct enum_name *names; /* FIELD_ENUM, FIELD_ENUMS; FIELD_VARIANT: of the selector */
    const struct table *table;     /* FIELD_OBJECT, FIELD_OBJECTS, FIELD_NAMED */
    const char *selector;          /* FIELD_VARIANT: the key beside it that chooses … */
    const struct table *const *variants; /* … by its value one of these, all of one struct */
    /* A further look at the value, a scalar or the items of a list one by one; NULL: none. */
    void (*check)(struct decoder *decoder, const struct node_path *path, const struct field *field,
                  const struct yaml_node *node);
};

/* Rows that several tables share, in a struct of their own within the table's struct. */
struct table_part {
    const struct table *table;
    uint16_t offset;
    bool allocated; /* a pointer is at the offset; the struct is allocated with its first key */
};

struct table {
    const char *name; /* "step": for messages and as heading of the reference */
    const char *help; /* a paragraph for the reference */
    const struct field *fields;
    size_t field_count;
    const struct table_part *parts; /* a row with table NULL ends them; NULL: none */
    size_t size;                    /* of the struct */
    int pos_offset;                 /* of its struct src_pos; -1: it has none */
    size_t name_offset;             /* FIELD_NAMED: of the struct spec_str that gets its name */
    void (*init)(void *object);     /* on zeroed memory; NULL: zeroes will do */
    /* What no single row can say, after decoding; NULL: nothing. */
    void (*check)(struct decoder *decoder, const struct node_path *path, const void *object,
                  const struct yaml_node *node);
    const struct field *short_form; /* what stands for a value that is no map; NULL: nothing */
    /* What keys without a row become: a row of kind FIELD_MATCHES or FIELD_PAIRS that takes them;
     * NULL: errors. */
    const struct field *others;
    /* The struct is a struct spec_json: each row is a member of that JSON object, under the row's
     * name, and needs no place in the struct. */
    bool json;
    /* Keys of which exactly one must be given; a row of NULL ends them. NULL: nothing. */
    const char *const *one_of;
    /* A table that has further keys, which are written elsewhere, and where: the end of a sentence
     * about such a key. NULL: there is none. */
    const struct table *elsewhere;
    const char *elsewhere_hint;
};
