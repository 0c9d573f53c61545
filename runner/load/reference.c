#include "load/reference.h"

#include <ctype.h>

#include "load/decode.h"
#include "load/pipeline_tables.h"

static bool is_shown(const struct field *field)
{
    return field->kind != FIELD_PLANNED && field->kind != FIELD_IGNORED && !field->alias_of;
}

static void add_type(struct buf *out, const struct field *field)
{
    if (field->kind == FIELD_OBJECT && field->table->short_form)
        buf_addf(out, "%s or ", field_expects(field->table->short_form));
    if (field->kind != FIELD_ENUM) {
        buf_addstr(out, field_expects(field));
        return;
    }
    for (const struct enum_name *row = field->names; row->name && row->value != ENUM_PLANNED; row++)
        buf_addf(out, "%s`%s`", row == field->names ? "" : " or ", row->name);
}

static void add_row(struct buf *out, const struct field *field)
{
    buf_addf(out, "| `%s`%s | ", field->name, field->flags & FIELD_EXTENSION ? " +" : "");
    add_type(out, field);
    buf_addf(out, " | %s | %s |\n",
             field->flags & FIELD_REQUIRED ? "required"
             : field->default_text         ? field->default_text
                                           : "",
             field->help);
}

/* A line that lists the keys of one kind, if there are any. */
static void add_list(struct buf *out, const struct table *table, enum field_kind kind,
                     const char *intro)
{
    const char *separator = intro;

    for (size_t i = 0; i < table->field_count; i++) {
        if (table->fields[i].kind != kind)
            continue;
        buf_addf(out, "%s`%s`", separator, table->fields[i].name);
        separator = ", ";
    }
    if (separator != intro)
        buf_addstr(out, ".\n\n");
}

static void add_aliases(struct buf *out, const struct table *table)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct field *field = &table->fields[i];

        if (field->alias_of)
            buf_addf(out, "Deprecated: `%s`, write `%s`.\n\n", field->name, field->alias_of);
    }
}

/* To the section of a table; anchors are made the way GitHub makes them. */
static void add_link(struct buf *out, const char *name)
{
    buf_addf(out, "[%s](#", name);
    for (const char *c = name; *c; c++)
        buf_addch(out, *c == ' ' ? '-' : *c);
    buf_addch(out, ')');
}

static void add_section(struct buf *out, const struct table *table)
{
    buf_addf(out, "### %c%s\n\n%s\n\n", toupper((unsigned char)*table->name), table->name + 1,
             table->help);
    for (const struct table_part *part = table->parts; part && part->table; part++) {
        buf_addstr(out, part == table->parts ? "Beside these it takes the keys of " : " and of ");
        add_link(out, part->table->name);
        buf_addstr(out, part[1].table ? "" : ".\n\n");
    }
    if (table->field_count)
        buf_addstr(out, "| key | type | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < table->field_count; i++) {
        if (is_shown(&table->fields[i]))
            add_row(out, &table->fields[i]);
    }
    if (table->field_count)
        buf_addch(out, '\n');
    add_aliases(out, table);
    add_list(out, table, FIELD_IGNORED, "Accepted in go-idp files, without meaning: ");
    add_list(out, table, FIELD_PLANNED, "Known and refused, not supported yet by this version: ");
}

void reference_markdown(struct buf *out)
{
    for (const struct table *const *table = pipeline_all_tables; *table; table++)
        add_section(out, *table);
}
