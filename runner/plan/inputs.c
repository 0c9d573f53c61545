#include "plan/inputs.h"

#include <string.h>

#include "base/nearest.h"

static enum spec_input_type type_of(const struct spec_input *input)
{
    if (input->type)
        return input->type;
    return input->options.len ? SPEC_INPUT_CHOICE : SPEC_INPUT_STRING;
}

const struct spec_input *inputs_find(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->spec->input_count; i++) {
        if (strcmp(plan->spec->inputs[i].name.text, name) == 0)
            return &plan->spec->inputs[i];
    }
    return NULL;
}

struct expr_value inputs_value(const struct plan *plan, const struct spec_input *input)
{
    const char *text = strmap_get(&plan->parameters, input->name.text);
    struct expr_value number;

    if (text && type_of(input) == SPEC_INPUT_BOOLEAN)
        return expr_bool(strcmp(text, "true") == 0);
    if (text && type_of(input) == SPEC_INPUT_NUMBER &&
        expr_parse_number(text, strlen(text), &number))
        return number;
    return expr_string(text);
}

static bool is_option(const struct spec_input *input, const char *text)
{
    for (size_t i = 0; i < input->options.len; i++) {
        if (strcmp(input->options.items[i].text, text) == 0)
            return true;
    }
    return false;
}

static void report_option(const struct spec_input *input, struct src_pos pos, const char *text,
                          struct diag_list *diags)
{
    struct nearest nearest = {.text = text};
    CLEANUP_BUF struct buf list = BUF_INIT;
    CLEANUP_BUF struct buf hint = BUF_INIT;

    for (size_t i = 0; i < input->options.len; i++) {
        nearest_offer(&nearest, input->options.items[i].text);
        buf_addf(&list, "%s%s",
                 i == 0                       ? ""
                 : i + 1 < input->options.len ? ", "
                                              : " or ",
                 input->options.items[i].text);
    }
    if (nearest.best)
        buf_addf(&hint, "; did you mean \"%s\"?", nearest.best);
    diag_add(diags, DIAG_ERROR, pos, "", "the input \"%s\" must be %s, not \"%s\"%s",
             input->name.text, list.data, text, hint.data);
}

/* Says what is wrong with a value; `pos` is where it was written. */
static bool check_value(const struct spec_input *input, struct src_pos pos, const char *text,
                        struct diag_list *diags)
{
    size_t errors_before = diags->error_count;
    const char *wanted = NULL;
    struct expr_value number;

    switch (type_of(input)) {
    case SPEC_INPUT_CHOICE:
        if (!is_option(input, text))
            report_option(input, pos, text, diags);
        break;
    case SPEC_INPUT_BOOLEAN:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            wanted = "true or false";
        break;
    case SPEC_INPUT_NUMBER:
        if (!expr_parse_number(text, strlen(text), &number))
            wanted = "a number";
        break;
    default:
        break;
    }
    if (wanted)
        diag_add(diags, DIAG_ERROR, pos, "", "the input \"%s\" must be %s, not \"%s\"",
                 input->name.text, wanted, text);
    return diags->error_count == errors_before;
}

/* Stands for a value that is missing or wrong, so that nothing is said about what follows. */
static const char *stand_in(const struct spec_input *input)
{
    switch (type_of(input)) {
    case SPEC_INPUT_CHOICE:
        return input->options.len ? input->options.items[0].text : "";
    case SPEC_INPUT_BOOLEAN:
        return "false";
    case SPEC_INPUT_NUMBER:
        return "0";
    default:
        return "";
    }
}

static void report_unknown(const struct plan *plan, const char *name, struct diag_list *diags)
{
    struct nearest nearest = {.text = name};
    CLEANUP_BUF struct buf hint = BUF_INIT;

    for (size_t i = 0; i < plan->spec->input_count; i++)
        nearest_offer(&nearest, plan->spec->inputs[i].name.text);
    if (nearest.best)
        buf_addf(&hint, "; did you mean \"%s\"?", nearest.best);
    diag_add(diags, DIAG_ERROR, (struct src_pos){0}, "", "the pipeline has no input \"%s\"%s", name,
             hint.data);
}

static void resolve_one(struct plan *plan, const struct spec_input *input, struct diag_list *diags)
{
    const struct strmap *parameters = plan->inputs.parameters;
    const char *given = parameters ? strmap_get(parameters, input->name.text) : NULL;
    const char *preset = input->preset.text;
    const char *value = given ? given : preset;
    bool is_missing = !value && input->required == SPEC_TRUE;

    if (preset && !check_value(input, input->preset.pos, preset, diags))
        value = given;
    if (given && !check_value(input, (struct src_pos){0}, given, diags))
        value = NULL;
    if (is_missing && !plan->inputs.incomplete)
        diag_add(diags, DIAG_ERROR, input->name.pos, "",
                 "the input \"%s\" is required; give it with --input %s=VALUE", input->name.text,
                 input->name.text);
    if (!value && (given || preset || is_missing))
        value = stand_in(input);
    if (value)
        strmap_set(&plan->parameters, input->name.text, value);
}

void inputs_resolve(struct plan *plan, struct diag_list *diags)
{
    if (plan->inputs.parameters) {
        strmap_foreach (parameter, plan->inputs.parameters) {
            if (!inputs_find(plan, parameter->key))
                report_unknown(plan, parameter->key, diags);
        }
    }
    for (size_t i = 0; i < plan->spec->input_count; i++)
        resolve_one(plan, &plan->spec->inputs[i], diags);
}
