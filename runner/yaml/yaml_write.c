#include "yaml/yaml_write.h"

#include <string.h>
#include <yaml.h>

#include "base/vec.h"
#include "yaml/yaml_json.h"

enum { DEPTH_MAX = 200 };

static int append(void *arg, unsigned char *data, size_t size)
{
    buf_add(arg, data, size);
    return 1;
}

/* Whether a plain scalar of that text is read back as this string. */
static bool reads_as_itself(const char *text, size_t size)
{
    const struct yaml_node node = {.kind = YAML_KIND_SCALAR,
                                   .style = YAML_STYLE_PLAIN,
                                   .len = (uint32_t)size,
                                   .text = text};
    json_t *value = yaml_node_to_json(&node);
    bool same = json_is_string(value);

    json_decref(value);
    /* Other programs take more for something else: times, merge keys, values. */
    return same && *text && !strchr("0123456789.+-=<~", *text);
}

static yaml_scalar_style_t style_of(const char *text, size_t size)
{
    if (memchr(text, '\n', size))
        return YAML_LITERAL_SCALAR_STYLE;
    return reads_as_itself(text, size) ? YAML_PLAIN_SCALAR_STYLE : YAML_SINGLE_QUOTED_SCALAR_STYLE;
}

/* libyaml takes the event in any case. */
static bool emit_scalar(yaml_emitter_t *emitter, const char *text, size_t size,
                        yaml_scalar_style_t style)
{
    yaml_event_t event;

    return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)size, 1,
                                        1, style) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_plain(yaml_emitter_t *emitter, const char *text)
{
    return emit_scalar(emitter, text, strlen(text), YAML_PLAIN_SCALAR_STYLE);
}

static bool emit_text(yaml_emitter_t *emitter, const char *text, size_t size)
{
    return emit_scalar(emitter, text, size, style_of(text, size));
}

static bool emit_number(yaml_emitter_t *emitter, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    bool ok = text && emit_plain(emitter, text);

    free(text);
    return ok;
}

static bool emit_value(yaml_emitter_t *emitter, const json_t *value, int depth);

static bool emit_list(yaml_emitter_t *emitter, const json_t *list, int depth)
{
    yaml_event_t event;
    yaml_sequence_style_t style =
        json_array_size(list) ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE;

    if (!yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style) ||
        !yaml_emitter_emit(emitter, &event))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!emit_value(emitter, json_array_get(list, i), depth))
            return false;
    }
    return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool emit_map(yaml_emitter_t *emitter, const json_t *map, int depth)
{
    yaml_event_t event;
    yaml_mapping_style_t style =
        json_object_size(map) ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE;
    const char *key;
    json_t *value;

    if (!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style) ||
        !yaml_emitter_emit(emitter, &event))
        return false;
    json_object_foreach ((json_t *)(uintptr_t)map, key, value) {
        if (!emit_text(emitter, key, strlen(key)) || !emit_value(emitter, value, depth))
            return false;
    }
    return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool emit_value(yaml_emitter_t *emitter, const json_t *value, int depth)
{
    if (depth >= DEPTH_MAX)
        return false;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return emit_map(emitter, value, depth + 1);
    case JSON_ARRAY:
        return emit_list(emitter, value, depth + 1);
    case JSON_STRING:
        return emit_text(emitter, json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
    case JSON_REAL:
        return emit_number(emitter, value);
    case JSON_TRUE:
        return emit_plain(emitter, "true");
    case JSON_FALSE:
        return emit_plain(emitter, "false");
    case JSON_NULL:
        return emit_plain(emitter, "null");
    }
    return false;
}

static bool emit_document(yaml_emitter_t *emitter, const json_t *value)
{
    yaml_event_t event;

    return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
           yaml_emitter_emit(emitter, &event) &&
           yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
           yaml_emitter_emit(emitter, &event) && emit_value(emitter, value, 0) &&
           yaml_document_end_event_initialize(&event, 1) && yaml_emitter_emit(emitter, &event) &&
           yaml_stream_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

int yaml_write(const json_t *value, struct buf *out, struct err *err)
{
    yaml_emitter_t emitter;
    bool ok;

    if (!yaml_emitter_initialize(&emitter))
        return err_set(err, ERR_SYSTEM, "YAML cannot be written: there is no memory for it");
    yaml_emitter_set_output(&emitter, append, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    ok = emit_document(&emitter, value);
    yaml_emitter_delete(&emitter);
    return ok ? 0 : err_set(err, ERR_LIMIT, "it is nested too deeply to be written as YAML");
}
