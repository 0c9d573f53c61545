#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "yaml/yaml_json.h"
#include "yaml/yaml_tree.h"

static struct yaml_tree *parse_with(const char *text, const struct yaml_limits *limits,
                                    struct diag_list *diags)
{
    return yaml_tree_parse(text, strlen(text), limits, diags);
}

static struct yaml_tree *parse(const char *text)
{
    struct diag_list diags = {0};
    struct yaml_tree *tree = parse_with(text, NULL, &diags);

    if (diags.len)
        fail_msg("%s", diags.items[0].message);
    return tree;
}

static void assert_error(const char *text, const struct yaml_limits *limits, const char *message)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_YAML_TREE struct yaml_tree *tree = parse_with(text, limits, &diags);

    assert_null(tree);
    assert_int_equal(diags.len, 1);
    assert_string_equal(diags.items[0].message, message);
}

static void assert_pos(const struct yaml_node *node, uint32_t line, uint32_t column)
{
    assert_non_null(node);
    assert_int_equal(node->pos.line, line);
    assert_int_equal(node->pos.column, column);
}

static void nodes_know_their_place_and_style(void **state)
{
    CLEANUP_YAML_TREE struct yaml_tree *tree =
        parse("# comment\na: plain 1.20\nb: 'si''ngle'\nc: \"dou\\tble\"\nd: |\n  li\n  ne\ne: [1, "
              "{f: g}]\n");
    const struct yaml_node *root = yaml_tree_root(tree);
    const struct yaml_node *e = yaml_node_get(root, "e");

    (void)state;
    assert_pos(root, 2, 1);
    assert_pos(yaml_node_get(root, "a"), 2, 4);
    assert_string_equal(yaml_node_get(root, "a")->text, "plain 1.20");
    assert_int_equal(yaml_node_get(root, "a")->style, YAML_STYLE_PLAIN);
    assert_string_equal(yaml_node_get(root, "b")->text, "si'ngle");
    assert_int_equal(yaml_node_get(root, "b")->style, YAML_STYLE_SINGLE);
    assert_string_equal(yaml_node_get(root, "c")->text, "dou\tble");
    assert_int_equal(yaml_node_get(root, "c")->style, YAML_STYLE_DOUBLE);
    assert_string_equal(yaml_node_get(root, "d")->text, "li\nne\n");
    assert_int_equal(yaml_node_get(root, "d")->style, YAML_STYLE_BLOCK);
    assert_int_equal(e->kind, YAML_KIND_SEQUENCE);
    assert_int_equal(e->len, 2);
    assert_pos(e->items[1], 8, 8);
    assert_string_equal(yaml_node_get(e->items[1], "f")->text, "g");
    assert_null(yaml_node_get(root, "z"));
    assert_null(yaml_node_get(e, "f"));
    assert_null(yaml_node_get(NULL, "f"));
}

static void columns_count_bytes(void **state)
{
    CLEANUP_YAML_TREE struct yaml_tree *tree =
        parse("\xef\xbb\xbf\"\u00e9\u20ac\": \u6784\r\nx: {\u6784\u5efa: [\u00e9, b]}\r\ny: c\r\n");
    const struct yaml_node *root = yaml_tree_root(tree);
    const struct yaml_node *list = yaml_node_get(yaml_node_get(root, "x"), "\u6784\u5efa");

    (void)state;
    assert_pos(yaml_node_get(root, "\u00e9\u20ac"), 1, 10);
    assert_pos(list, 2, 13);
    assert_pos(list->items[1], 2, 18);
    assert_pos(yaml_node_get(root, "y"), 3, 4);
}

static void aliases_share_nodes(void **state)
{
    CLEANUP_YAML_TREE struct yaml_tree *tree = parse("a: &x {b: 1}\nc: [*x, *x]\nd: &x 2\ne: *x\n");
    const struct yaml_node *root = yaml_tree_root(tree);
    const struct yaml_node *list = yaml_node_get(root, "c");

    (void)state;
    assert_ptr_equal(list->items[0], yaml_node_get(root, "a"));
    assert_ptr_equal(list->items[1], yaml_node_get(root, "a"));
    assert_string_equal(yaml_node_get(root, "e")->text, "2");
}

static void assert_json(const char *yaml, const char *expected)
{
    CLEANUP_YAML_TREE struct yaml_tree *tree = parse(yaml);
    json_t *json = yaml_node_to_json(yaml_tree_root(tree));
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

static void merge_keys_fill_gaps(void **state)
{
    (void)state;
    assert_json("- &a {x: 1, y: 2}\n- {<<: *a, y: 3, z: 4}\n",
                "[{\"x\":1,\"y\":2},{\"x\":1,\"y\":3,\"z\":4}]");
    assert_json("- &a {x: 1}\n- &b {x: 2, y: 2}\n- {z: 0, <<: [*a, *b], w: 9}\n",
                "[{\"x\":1},{\"x\":2,\"y\":2},{\"z\":0,\"x\":1,\"y\":2,\"w\":9}]");
    assert_json("- &a {b: 1}\n- {<<: *a, b: 1, c: 2, d: 3, e: 4, f: 5, g: 6, h: 7, i: 8, j: 9}\n",
                "[{\"b\":1},{\"b\":1,\"c\":2,\"d\":3,\"e\":4,\"f\":5,\"g\":6,\"h\":7,\"i\":8,"
                "\"j\":9}]");
    assert_json("{\"<<\": text}", "{\"<<\":\"text\"}");
    assert_json("{<<: {}}", "{}");
}

static void repeated_keys_are_found_in_maps_of_any_size(void **state)
{
    (void)state;
    for (int size = 2; size < 200; size += 7) {
        CLEANUP_BUF struct buf text = BUF_INIT;
        CLEANUP_DIAG_LIST struct diag_list diags = {0};
        CLEANUP_YAML_TREE struct yaml_tree *tree = NULL;

        for (int i = 0; i < size; i++)
            buf_addf(&text, "k%d: %d\n", i, i);
        buf_addstr(&text, "k1: again\n");
        tree = yaml_tree_parse(text.data, text.len, NULL, &diags);
        assert_int_equal(diags.error_count, 1);
        assert_string_equal(diags.items[0].message,
                            "the key \"k1\" is given twice, first on line 2");
        assert_int_equal(diags.items[0].pos.line, size + 1);
        assert_int_equal(yaml_tree_root(tree)->len, size);
        assert_string_equal(yaml_node_get(yaml_tree_root(tree), "k1")->text, "1");
    }
}

static void scalars_become_json_by_their_spelling(void **state)
{
    (void)state;
    assert_json("[null, ~, {a: }, \"null\", '', !!str 5]",
                "[null,null,{\"a\":null},\"null\",\"\",\"5\"]");
    assert_json("[true, No, ON, \"true\", y]", "[true,false,true,\"true\",\"y\"]");
    assert_json("[0, -7, +7, 0644, 0o644, 0x1F, 1_000]", "[0,-7,7,420,420,31,\"1_000\"]");
    assert_json("[1.5, -1e3, .5, 1.2.3, 1e999, .inf, 0x, 08]",
                "[1.5,-1000.0,0.5,\"1.2.3\",\"1e999\",\".inf\",\"0x\",8.0]");
    assert_json("[9223372036854775807, 2020-01-01, e, 0o]",
                "[9223372036854775807,\"2020-01-01\",\"e\",\"0o\"]");
}

static void limits_can_be_set(void **state)
{
    struct yaml_limits limits = YAML_LIMITS_INIT;

    (void)state;
    limits.text_bytes = 10;
    assert_error("a: 1234567890", &limits, "the file is larger than 10 bytes");
    limits = (struct yaml_limits)YAML_LIMITS_INIT;
    limits.depth = 2;
    assert_error("[[[]]]", &limits, "the file is nested more than 2 levels deep");
    limits.depth = 100000;
    limits.nodes = 5;
    assert_error("[&a [b, c], *a]", &limits,
                 "the file has more than 5 nodes (aliases written out)");
    limits.nodes = 8;
    limits.expanded_bytes = 8;
    assert_error("[&a [b, c], *a, d]", &limits,
                 "the file has more than 8 bytes of text (aliases written out)");
}

static void documents_and_tags_can_be_allowed(void **state)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    struct yaml_limits limits = YAML_LIMITS_INIT;
    CLEANUP_YAML_TREE struct yaml_tree *tree = NULL;

    (void)state;
    limits.documents = 3;
    limits.local_tags = true;
    tree = parse_with("---\na: !reset b\n---\n# empty\n---\n[c]\n", &limits, &diags);
    assert_int_equal(diags.len, 0);
    assert_int_equal(tree->document_count, 3);
    assert_string_equal(yaml_node_get(tree->documents[0], "a")->tag, "!reset");
    assert_true(yaml_node_is_null(tree->documents[1]));
    assert_int_equal(tree->documents[2]->len, 1);
    assert_error("a\n---\nb\n---\nc\n---\nd\n", &limits,
                 "the file holds more than 3 YAML documents");
}

static void anchors_end_with_their_document(void **state)
{
    struct yaml_limits limits = YAML_LIMITS_INIT;

    (void)state;
    limits.documents = 2;
    assert_error("- &a b\n---\n- *a\n", &limits, "the alias \"*a\" has no anchor \"&a\" before it");
}

static void places_inside_of_scalars_are_found(void **state)
{
    CLEANUP_YAML_TREE struct yaml_tree *tree =
        parse("a: 'x y'\nb: \"\\ty\"\nc: |\n\n   one\n     two\nd: >\n  f\n  g\n");
    const struct yaml_node *root = yaml_tree_root(tree);
    struct src_pos pos = yaml_node_locate(tree, yaml_node_get(root, "a"), 2);

    (void)state;
    assert_int_equal(pos.line, 1);
    assert_int_equal(pos.column, 7);
    pos = yaml_node_locate(tree, yaml_node_get(root, "b"), 1);
    assert_int_equal(pos.line, 2);
    assert_int_equal(pos.column, 4);
    pos = yaml_node_locate(tree, yaml_node_get(root, "c"), strlen("\none\n  tw"));
    assert_int_equal(pos.line, 6);
    assert_int_equal(pos.column, 8);
    pos = yaml_node_locate(tree, yaml_node_get(root, "d"), 2);
    assert_int_equal(pos.line, 7);
    assert_int_equal(pos.column, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_know_their_place_and_style),
        cmocka_unit_test(columns_count_bytes),
        cmocka_unit_test(aliases_share_nodes),
        cmocka_unit_test(merge_keys_fill_gaps),
        cmocka_unit_test(repeated_keys_are_found_in_maps_of_any_size),
        cmocka_unit_test(scalars_become_json_by_their_spelling),
        cmocka_unit_test(limits_can_be_set),
        cmocka_unit_test(documents_and_tags_can_be_allowed),
        cmocka_unit_test(anchors_end_with_their_document),
        cmocka_unit_test(places_inside_of_scalars_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
