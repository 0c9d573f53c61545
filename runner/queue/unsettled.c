#include "queue/unsettled.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void unsettled_release(struct unsettled *unsettled)
{
    vec_foreach (struct unsettled_name *, name, &unsettled->names)
        free(name->name);
    vec_release(&unsettled->names);
}

static struct unsettled_name *find(const struct unsettled *unsettled, const char *name)
{
    vec_foreach (struct unsettled_name *, found, &unsettled->names) {
        if (strcmp(found->name, name) == 0)
            return found;
    }
    return NULL;
}

bool unsettled_has(const struct unsettled *unsettled, const char *name)
{
    return find(unsettled, name) != NULL;
}

void unsettled_add(struct unsettled *unsettled, const char *name)
{
    vec_push(&unsettled->names, ((struct unsettled_name){.name = xstrdup(name)}));
}

bool unsettled_look(struct unsettled *unsettled, const char *name, const struct store_moment *now)
{
    struct unsettled_name *found;

    if (!unsettled_has(unsettled, name))
        unsettled_add(unsettled, name);
    found = find(unsettled, name);
    if (!found->begun)
        found->begun = now->begun;
    return found->begun <= now->settled;
}

static void drop(struct unsettled *unsettled, struct unsettled_name *name)
{
    free(name->name);
    *name = unsettled->names.items[--unsettled->names.len];
}

void unsettled_drop(struct unsettled *unsettled, const char *name)
{
    struct unsettled_name *found = find(unsettled, name);

    if (found)
        drop(unsettled, found);
}

void unsettled_keep(struct unsettled *unsettled, const struct strvec *names)
{
    for (size_t i = unsettled->names.len; i-- > 0;) {
        if (!strvec_has(names, unsettled->names.items[i].name))
            drop(unsettled, &unsettled->names.items[i]);
    }
}
