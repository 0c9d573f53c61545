/* How rows of decode tables are written. Private to load/. */
#pragma once

#include "load/table.h"

#define ROWS(array) .fields = array, .field_count = sizeof(array) / sizeof(*(array))
/* The member of a row. */
#define IN(type, member)             .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define COUNTED(type, member, count) IN(type, member), .count_offset = offsetof(type, count)
#define EXTENSION                    .flags = FIELD_EXTENSION
#define REQUIRED                     .flags = FIELD_REQUIRED
/* A key that is known and refused until it is built. */
#define PLANNED(key, text)                                                                         \
    {                                                                                              \
        key, text, .kind = FIELD_PLANNED, .flags = FIELD_EXTENSION                                 \
    }
/* A key that go-idp files carry and that means nothing. */
#define IGNORED(key)                                                                               \
    {                                                                                              \
        key, "accepted for go-idp files, means nothing", .kind = FIELD_IGNORED                     \
    }
