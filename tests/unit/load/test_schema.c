/* The schema has every key of every table. What it says about values: tests/e2e/schema.sh. */
#include "tests/unit/test.h"

#include "load/pipeline_tables.h"
#include "load/schema.h"

/* Whether the table is a map of its own, not rows that others share. */
static bool is_map(const struct table *table)
{
    for (const struct table *const *other = pipeline_all_tables; *other; other++) {
        for (const struct table_part *part = (*other)->parts; part && part->table; part++) {
            if (part->table == table)
                return false;
        }
    }
    return true;
}

static void check_rows(const json_t *definition, const struct table *table)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct field *field = &table->fields[i];
        const json_t *property =
            json_object_get(json_object_get(definition, "properties"), field->name);

        if (!property != (field->kind == FIELD_PLANNED))
            fail_msg("\"%s\" of a %s", field->name, table->name);
        if (property)
            assert_string_not_equal(json_string_value(json_object_get(property, "description")),
                                    "");
    }
    for (const struct table_part *part = table->parts; part && part->table; part++)
        check_rows(definition, part->table);
}

static void every_key_is_there(void **state)
{
    json_t *schema = schema_json();
    const json_t *defs = json_object_get(schema, "$defs");

    (void)state;
    for (const struct table *const *table = pipeline_all_tables; *table; table++) {
        if (is_map(*table))
            check_rows(json_object_get(defs, (*table)->name), *table);
    }
    json_decref(schema);
}

/* $ref goes to what is there, at any depth. */
static void check_references(const json_t *defs, json_t *schema)
{
    const char *prefix = "#/$defs/";
    const char *key;
    json_t *value;
    size_t index;

    json_array_foreach (schema, index, value)
        check_references(defs, value);
    json_object_foreach (schema, key, value) {
        if (strcmp(key, "$ref") == 0) {
            assert_memory_equal(json_string_value(value), prefix, strlen(prefix));
            if (!json_object_get(defs, json_string_value(value) + strlen(prefix)))
                fail_msg("%s", json_string_value(value));
        }
        check_references(defs, value);
    }
}

static void references_have_their_target(void **state)
{
    json_t *schema = schema_json();

    (void)state;
    check_references(json_object_get(schema, "$defs"), schema);
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_there),
        cmocka_unit_test(references_have_their_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
