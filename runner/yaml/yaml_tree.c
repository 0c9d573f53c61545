/* From libyaml's events to nodes.
 *
 * The builder is a loop with a stack of open collections, not a recursion. Children wait in one
 * shared vector until their collection ends and are then copied to the arena in one piece. Every
 * node raises the counters `nodes` and `bytes`; an alias raises them by what its anchor's subtree
 * was worth, so that the counters say how large the written-out tree is while memory does not.
 *
 * libyaml counts columns in characters and gives no byte offsets, except for what its reader
 * refuses; a pair of cursors that follow the events turns its marks into bytes. */
#include "yaml/yaml_tree.h"

#include <stdarg.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "yaml/node_path.h"
#include "yaml/yaml_builder.h"

#define CORE_TAG_PREFIX "tag:yaml.org,2002:"

/* A byte offset that is known for a character index. */
struct cursor {
    size_t character;
    size_t byte;
};

struct reader {
    struct yaml_builder builder;
    yaml_parser_t parser;
    bool ascii;            /* characters are bytes */
    struct cursor current; /* near the latest mark */
    struct cursor line;    /* near the start of its line */
};

static void frame_path(const struct yaml_builder *b, struct buf *out)
{
    for (size_t i = 0; i < b->depth; i++) {
        const struct yaml_frame *frame = &b->frames[i];
        size_t end = i + 1 < b->depth ? b->frames[i + 1].first_child : b->children.len;
        size_t count = end - frame->first_child;

        if (frame->node->kind == YAML_KIND_SEQUENCE)
            node_path_add_index(out, count);
        else if (count % 2 && b->children.items[end - 1]->kind == YAML_KIND_SCALAR)
            node_path_add_key(out, b->children.items[end - 1]->text);
    }
}

void yaml_builder_error(struct yaml_builder *b, struct src_pos pos, const char *fmt, ...)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    CLEANUP_BUF struct buf message = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&message, fmt, args);
    va_end(args);
    frame_path(b, &path);
    diag_add(b->diags, DIAG_ERROR, pos, path.data, "%s", message.data);
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static size_t cursor_seek(struct cursor *cursor, const struct yaml_tree *tree, size_t character)
{
    while (cursor->character < character && cursor->byte < tree->len) {
        cursor->byte++;
        while (cursor->byte < tree->len && is_continuation(tree->text[cursor->byte]))
            cursor->byte++;
        cursor->character++;
    }
    while (cursor->character > character && cursor->byte > 0) {
        cursor->byte--;
        while (cursor->byte > 0 && is_continuation(tree->text[cursor->byte]))
            cursor->byte--;
        cursor->character--;
    }
    return cursor->byte;
}

static struct src_pos position(struct reader *r, const yaml_mark_t *mark)
{
    size_t column = mark->column;

    if (!r->ascii)
        column = cursor_seek(&r->current, r->builder.tree, mark->index) -
                 cursor_seek(&r->line, r->builder.tree, mark->index - mark->column);
    return (struct src_pos){.line = (uint32_t)mark->line + 1, .column = (uint32_t)column + 1};
}

static struct src_pos position_of_byte(const char *text, size_t offset)
{
    struct src_pos pos = {.line = 1, .column = 1};

    for (size_t i = 0; i < offset; i++) {
        bool cr = text[i] == '\r' && text[i + 1] != '\n';

        pos.column++;
        if (text[i] == '\n' || cr)
            pos = (struct src_pos){.line = pos.line + 1, .column = 1};
    }
    return pos;
}

/* What libyaml says, in the words of somebody who edits a file. */
struct problem {
    const char *problem;
    const char *message;
    bool at_context; /* the place to look at is where the construct began */
};

static const struct problem problems[] = {
    {"mapping values are not allowed in this context",
     "\":\" is not expected here; check the indentation, or quote a value that contains \": \"",
     false},
    {"did not find expected key", "expected a key; check the indentation", false},
    {"did not find expected '-' indicator", "expected \"- \"; check the indentation", false},
    {"could not find expected ':'", "expected \":\" behind this key", true},
    {"found unexpected end of stream", "this quoted string has no end", true},
    {"did not find expected ',' or ']'", "expected \",\" or \"]\"", false},
    {"did not find expected ',' or '}'", "expected \",\" or \"}\"", false},
    {"did not find expected <document start>", "expected the end of the document", false},
    {"block sequence entries are not allowed in this context",
     "a list is not expected here; put its first \"- \" on a line of its own", false},
    {"found unknown escape character",
     "this escape is not known; use single quotes for text with backslashes", false},
};

static struct problem explain(struct reader *r, struct buf *scratch)
{
    const yaml_parser_t *parser = &r->parser;
    const struct yaml_tree *tree = r->builder.tree;
    const char *text = parser->problem ? parser->problem : "it cannot be read";
    size_t at = parser->problem_mark.index;

    for (size_t i = 0; i < sizeof(problems) / sizeof(*problems); i++) {
        if (strcmp(text, problems[i].problem) == 0)
            return problems[i];
    }
    if (!strstr(text, "cannot start any token"))
        return (struct problem){.message = text};
    if (!r->ascii)
        at = cursor_seek(&r->current, tree, at);
    if (at < tree->len && tree->text[at] == '\t')
        return (struct problem){.message = "a tab cannot be used for indentation; use spaces"};
    buf_addf(scratch, "a value cannot start with \"%c\"; put it in quotes",
             at < tree->len ? tree->text[at] : '?');
    return (struct problem){.message = scratch->data};
}

static void report_parser_error(struct reader *r)
{
    const yaml_parser_t *parser = &r->parser;
    CLEANUP_BUF struct buf scratch = BUF_INIT;
    CLEANUP_BUF struct buf context = BUF_INIT;
    struct problem problem;

    if (parser->error == YAML_READER_ERROR) {
        diag_add(r->builder.diags, DIAG_ERROR,
                 position_of_byte(r->builder.tree->text, parser->problem_offset), "",
                 "malformed YAML: the character U+%04X is not allowed",
                 (unsigned)parser->problem_value);
        return;
    }
    problem = explain(r, &scratch);
    if (!problem.at_context && parser->context &&
        parser->context_mark.line != parser->problem_mark.line)
        buf_addf(&context, " (%s that starts on line %zu)", parser->context,
                 parser->context_mark.line + 1);
    yaml_builder_error(&r->builder,
                       position(r,
                                problem.at_context ? &parser->context_mark : &parser->problem_mark),
                       "malformed YAML: %s%s", problem.message, context.data);
}

static int check_limits(struct yaml_builder *b, struct src_pos pos, size_t height)
{
    if (b->depth + height > b->limits->depth) {
        yaml_builder_error(b, pos, "the file is nested more than %zu levels deep",
                           b->limits->depth);
        return -1;
    }
    if (b->nodes > b->limits->nodes) {
        yaml_builder_error(b, pos, "the file has more than %zu nodes (aliases written out)",
                           b->limits->nodes);
        return -1;
    }
    if (b->bytes > b->limits->expanded_bytes) {
        yaml_builder_error(b, pos, "the file has more than %zu bytes of text (aliases written out)",
                           b->limits->expanded_bytes);
        return -1;
    }
    return 0;
}

static const char *copy_text(struct yaml_builder *b, const yaml_char_t *text)
{
    return text ? arena_strndup(&b->tree->arena, (const char *)text, strlen((const char *)text))
                : NULL;
}

static struct yaml_node *new_node(struct reader *r, enum yaml_kind kind, const yaml_event_t *event,
                                  const yaml_char_t *tag)
{
    struct yaml_builder *b = &r->builder;
    struct yaml_node *node = arena_alloc(&b->tree->arena, sizeof(*node));

    node->kind = (uint8_t)kind;
    node->pos = position(r, &event->start_mark);
    node->tag = copy_text(b, tag);
    if (node->tag && !b->limits->local_tags && strcmp(node->tag, "!") != 0 &&
        strncmp(node->tag, CORE_TAG_PREFIX, strlen(CORE_TAG_PREFIX)) != 0)
        yaml_builder_error(b, node->pos, "the tag \"%s\" is not known", node->tag);
    b->nodes++;
    return node;
}

static void set_anchor(struct yaml_builder *b, const char *name, struct yaml_anchor anchor)
{
    if (!name)
        return;
    text_index_set(&b->anchor_index, name, strlen(name), (uint32_t)b->anchors.len);
    vec_push(&b->anchors, anchor);
}

static void add_child(struct yaml_builder *b, const struct yaml_node *node, size_t height)
{
    if (!b->depth) {
        vec_push(&b->documents, node);
        return;
    }
    vec_push(&b->children, node);
    if (b->frames[b->depth - 1].height < height)
        b->frames[b->depth - 1].height = height;
}

static int add_scalar(struct reader *r, const yaml_event_t *event)
{
    struct yaml_builder *b = &r->builder;
    struct yaml_node *node = new_node(r, YAML_KIND_SCALAR, event, event->data.scalar.tag);

    switch (event->data.scalar.style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE:
        node->style = YAML_STYLE_SINGLE;
        break;
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
        node->style = YAML_STYLE_DOUBLE;
        break;
    case YAML_LITERAL_SCALAR_STYLE:
    case YAML_FOLDED_SCALAR_STYLE:
        node->style = YAML_STYLE_BLOCK;
        break;
    default:
        node->style = YAML_STYLE_PLAIN;
    }
    node->len = (uint32_t)event->data.scalar.length;
    b->bytes += node->len + 1;
    if (check_limits(b, node->pos, 0) < 0)
        return -1;
    if (memchr(event->data.scalar.value, '\0', node->len)) {
        yaml_builder_error(b, node->pos, "a string cannot hold the character NUL");
        return -1;
    }
    node->text = arena_strndup(&b->tree->arena, (const char *)event->data.scalar.value, node->len);
    if (event->data.scalar.anchor)
        set_anchor(b, copy_text(b, event->data.scalar.anchor),
                   (struct yaml_anchor){node, 1, node->len + 1, 0});
    add_child(b, node, 0);
    return 0;
}

static int start_collection(struct reader *r, const yaml_event_t *event, enum yaml_kind kind,
                            const yaml_char_t *tag, const yaml_char_t *anchor)
{
    struct yaml_builder *b = &r->builder;
    size_t nodes_before = b->nodes;
    struct yaml_node *node = new_node(r, kind, event, tag);

    if (check_limits(b, node->pos, 1) < 0)
        return -1;
    b->frames[b->depth++] = (struct yaml_frame){.node = node,
                                                .first_child = b->children.len,
                                                .anchor = copy_text(b, anchor),
                                                .nodes_before = nodes_before,
                                                .bytes_before = b->bytes};
    return 0;
}

static void finish_sequence(struct yaml_builder *b, struct yaml_frame *frame)
{
    size_t count = b->children.len - frame->first_child;
    const struct yaml_node **items;

    frame->node->len = (uint32_t)count;
    if (!count)
        return;
    items = arena_alloc(&b->tree->arena, count * sizeof(*items));
    memcpy(items, b->children.items + frame->first_child, count * sizeof(*items));
    frame->node->items = items;
}

static int end_collection(struct yaml_builder *b)
{
    struct yaml_frame *frame = &b->frames[b->depth - 1];

    if (frame->node->kind == YAML_KIND_SEQUENCE)
        finish_sequence(b, frame);
    else if (yaml_map_finish(b, frame) < 0)
        return -1;
    b->children.len = frame->first_child;
    b->depth--;
    set_anchor(b, frame->anchor,
               (struct yaml_anchor){frame->node, b->nodes - frame->nodes_before,
                                    b->bytes - frame->bytes_before, frame->height + 1});
    add_child(b, frame->node, frame->height + 1);
    return 0;
}

static int add_alias(struct reader *r, const yaml_event_t *event)
{
    struct yaml_builder *b = &r->builder;
    const char *name = (const char *)event->data.alias.anchor;
    struct src_pos pos = position(r, &event->start_mark);
    const struct yaml_anchor *anchor;
    uint32_t number;

    for (size_t i = 0; i < b->depth; i++) {
        if (b->frames[i].anchor && strcmp(b->frames[i].anchor, name) == 0) {
            yaml_builder_error(b, pos, "the alias \"*%s\" is inside of what it stands for", name);
            return -1;
        }
    }
    if (!text_index_find(&b->anchor_index, name, strlen(name), &number)) {
        yaml_builder_error(b, pos, "the alias \"*%s\" has no anchor \"&%s\" before it", name, name);
        return -1;
    }
    anchor = &b->anchors.items[number];
    b->nodes += anchor->nodes;
    b->bytes += anchor->bytes;
    if (check_limits(b, pos, anchor->height) < 0)
        return -1;
    add_child(b, anchor->node, anchor->height);
    return 0;
}

static int start_document(struct reader *r, const yaml_event_t *event)
{
    struct yaml_builder *b = &r->builder;

    text_index_clear(&b->anchor_index);
    b->anchors.len = 0;
    if (b->documents.len < b->limits->documents)
        return 0;
    if (b->limits->documents == 1)
        yaml_builder_error(b, position(r, &event->start_mark),
                           "a second YAML document starts here; only one is allowed");
    else
        yaml_builder_error(b, position(r, &event->start_mark),
                           "the file holds more than %zu YAML documents", b->limits->documents);
    return -1;
}

static int handle_event(struct reader *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return start_document(r, event);
    case YAML_SCALAR_EVENT:
        return add_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return start_collection(r, event, YAML_KIND_SEQUENCE, event->data.sequence_start.tag,
                                event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return start_collection(r, event, YAML_KIND_MAPPING, event->data.mapping_start.tag,
                                event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return end_collection(&r->builder);
    case YAML_ALIAS_EVENT:
        return add_alias(r, event);
    default:
        return 0;
    }
}

static int read_events(struct reader *r)
{
    bool more = true;

    while (more) {
        yaml_event_t event;
        int result;

        if (!yaml_parser_parse(&r->parser, &event)) {
            report_parser_error(r);
            return -1;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        result = handle_event(r, &event);
        yaml_event_delete(&event);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* Size, byte order mark and encoding, before libyaml sees the text. */
static int check_text(struct yaml_tree *tree, const struct yaml_limits *limits,
                      struct diag_list *diags)
{
    const struct src_pos nowhere = {0};
    const char *text = tree->text;
    size_t valid;

    if (tree->len > limits->text_bytes) {
        diag_add(diags, DIAG_ERROR, nowhere, "", "the file is larger than %zu bytes",
                 limits->text_bytes);
        return -1;
    }
    if (tree->len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
        diag_add(diags, DIAG_ERROR, (struct src_pos){.line = 1, .column = 1}, "",
                 "the file is UTF-16 text; save it as UTF-8");
        return -1;
    }
    if (tree->len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        tree->text += 3;
        tree->len -= 3;
    }
    valid = utf8_valid_prefix(tree->text, tree->len);
    if (valid < tree->len) {
        diag_add(diags, DIAG_ERROR, position_of_byte(tree->text, valid), "",
                 "the file is not UTF-8 text: byte 0x%02X", (unsigned char)tree->text[valid]);
        return -1;
    }
    return 0;
}

static bool is_ascii(const char *text, size_t len)
{
    unsigned char all = 0;

    for (size_t i = 0; i < len; i++)
        all |= (unsigned char)text[i];
    return all < 0x80;
}

static int read_text(struct yaml_tree *tree, const struct yaml_limits *limits,
                     struct diag_list *diags)
{
    struct reader r = {.builder = {.tree = tree, .limits = limits, .diags = diags}};
    struct yaml_builder *b = &r.builder;
    int result;

    if (!yaml_parser_initialize(&r.parser)) {
        diag_add(diags, DIAG_ERROR, (struct src_pos){0}, "", "there is no memory to read the file");
        return -1;
    }
    r.ascii = is_ascii(tree->text, tree->len);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)tree->text, tree->len);
    result = read_events(&r);
    yaml_parser_delete(&r.parser);
    tree->document_count = b->documents.len;
    if (b->documents.len) {
        tree->documents = arena_alloc(&tree->arena, b->documents.len * sizeof(*tree->documents));
        memcpy(tree->documents, b->documents.items, b->documents.len * sizeof(*tree->documents));
    }
    vec_release(&b->children);
    vec_release(&b->anchors);
    vec_release(&b->documents);
    vec_release(&b->pairs);
    text_index_release(&b->anchor_index);
    text_index_release(&b->keys);
    return result;
}

static void find_lines(struct yaml_tree *tree)
{
    const char *end = tree->text + tree->len;
    const char *at = tree->text;
    size_t *lines;

    for (tree->line_count = 1; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        tree->line_count++;
    lines = arena_alloc(&tree->arena, tree->line_count * sizeof(*lines));
    lines[0] = 0;
    at = tree->text;
    for (size_t i = 1; i < tree->line_count; i++) {
        at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
        lines[i] = (size_t)(at - tree->text);
    }
    tree->lines = lines;
}

struct yaml_tree *yaml_tree_parse(const char *text, size_t len, const struct yaml_limits *limits,
                                  struct diag_list *diags)
{
    CLEANUP_YAML_TREE struct yaml_tree *tree = xcalloc(1, sizeof(*tree));
    struct yaml_limits used = YAML_LIMITS_INIT;

    if (limits)
        used = *limits;
    if (used.depth > YAML_DEPTH_MAX)
        used.depth = YAML_DEPTH_MAX;
    tree->text = text;
    tree->len = len;
    if (check_text(tree, &used, diags) < 0 || read_text(tree, &used, diags) < 0)
        return NULL;
    find_lines(tree);
    return steal_ptr(&tree);
}

void yaml_tree_free(struct yaml_tree *tree)
{
    if (!tree)
        return;
    arena_release(&tree->arena);
    free(tree);
}
