#include "compose/places.h"

#include "base/alloc.h"

struct compose_places {
    struct compose_place *slots; /* open addressing */
    size_t capacity;             /* a power of two */
    size_t len;
};

#define FIRST_CAPACITY 256

static bool has_address(const json_t *value)
{
    return value && !json_is_boolean(value) && !json_is_null(value);
}

static struct compose_place *find_slot(struct compose_place *slots, size_t capacity,
                                       const json_t *value)
{
    size_t i = (size_t)(((uintptr_t)value >> 4) * 0x9e3779b97f4a7c15u >> 20) & (capacity - 1);

    while (slots[i].value && slots[i].value != value)
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static void grow(struct compose_places *p)
{
    size_t capacity = p->capacity ? p->capacity * 2 : FIRST_CAPACITY;
    struct compose_place *slots = xcalloc(capacity, sizeof(*slots));

    for (size_t i = 0; i < p->capacity; i++) {
        if (p->slots[i].value)
            *find_slot(slots, capacity, p->slots[i].value) = p->slots[i];
    }
    free(p->slots);
    p->slots = slots;
    p->capacity = capacity;
}

struct compose_places *compose_places_new(void)
{
    struct compose_places *p = xcalloc(1, sizeof(*p));

    grow(p);
    return p;
}

void compose_places_free(struct compose_places *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->capacity; i++)
        json_decref(p->slots[i].value);
    free(p->slots);
    free(p);
}

void compose_places_set(struct compose_places *p, json_t *value, struct compose_file *file,
                        struct src_pos pos, enum compose_tag tag)
{
    struct compose_place *slot;

    if (!has_address(value))
        return;
    if (p->len * 2 >= p->capacity)
        grow(p);
    slot = find_slot(p->slots, p->capacity, value);
    if (!slot->value) {
        slot->value = json_incref(value);
        p->len++;
    }
    slot->file = file;
    slot->pos = pos;
    slot->tag = tag;
}

const struct compose_place *compose_places_get(const struct compose_places *p, const json_t *value)
{
    const struct compose_place *slot;

    if (!has_address(value))
        return NULL;
    slot = find_slot(p->slots, p->capacity, value);
    return slot->value ? slot : NULL;
}

enum compose_tag compose_places_tag(const struct compose_places *p, const json_t *value)
{
    const struct compose_place *place = compose_places_get(p, value);

    return place ? (enum compose_tag)place->tag : COMPOSE_TAG_NONE;
}

void compose_places_like(struct compose_places *p, json_t *value, const json_t *original)
{
    const struct compose_place *found = compose_places_get(p, original);

    if (found) {
        const struct compose_place place = *found;

        compose_places_set(p, value, place.file, place.pos, COMPOSE_TAG_NONE);
    }
}

json_t *compose_places_copy(struct compose_places *p, const json_t *value)
{
    json_t *from = (json_t *)value;
    json_t *copy;
    const char *name;
    json_t *member;
    size_t i;

    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach (from, name, member)
            json_object_set_new_nocheck(copy, name, compose_places_copy(p, member));
    } else if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach (from, i, member)
            json_array_append_new(copy, compose_places_copy(p, member));
    } else {
        copy = json_copy(from);
    }
    compose_places_like(p, copy, value);
    return copy;
}
