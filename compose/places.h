/* Where values of JSON were written, and how they were tagged. Private to this folder.
 *
 * The table is kept by the address of a value and holds a reference to each, so that no address
 * comes back as another value. true, false and null have no address of their own and no place. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

struct compose_file;
struct compose_places;

enum compose_tag {
    COMPOSE_TAG_NONE,
    COMPOSE_TAG_RESET,    /* takes away what files below say */
    COMPOSE_TAG_OVERRIDE, /* replaces it, instead of merging */
};

struct compose_place {
    json_t *value;
    struct compose_file *file;
    struct src_pos pos;
    uint32_t tag; /* enum compose_tag */
};

struct compose_places *compose_places_new(void);
void compose_places_free(struct compose_places *places);
/* Files are borrowed. */
void compose_places_set(struct compose_places *places, json_t *value, struct compose_file *file,
                        struct src_pos pos, enum compose_tag tag);
/* NULL if there is none; valid until the next one is set. */
const struct compose_place *compose_places_get(const struct compose_places *places,
                                               const json_t *value);
enum compose_tag compose_places_tag(const struct compose_places *places, const json_t *value);
/* Gives a value the place of another one, without its tag; none if that has none. */
void compose_places_like(struct compose_places *places, json_t *value, const json_t *original);
/* A copy all the way down that has the places of the original, without their tags. A new reference.
 */
json_t *compose_places_copy(struct compose_places *places, const json_t *value);
