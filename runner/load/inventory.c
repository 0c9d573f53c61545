#include "load/inventory.h"

#include <string.h>

#include "load/inventory_model.h"

enum inventory_format inventory_format_of(const char *name)
{
    static const struct {
        const char *end;
        enum inventory_format format;
    } ends[] = {
        {".yaml", INVENTORY_YAML}, {".yml", INVENTORY_YAML}, {".json", INVENTORY_YAML},
        {".ini", INVENTORY_INI},   {".cfg", INVENTORY_INI},
    };
    size_t len = strlen(name);

    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        size_t end = strlen(ends[i].end);

        if (len > end && strcasecmp(name + len - end, ends[i].end) == 0)
            return ends[i].format;
    }
    return INVENTORY_GUESS;
}

/* In YAML the first line that is no comment begins a document or a map. */
static enum inventory_format guess(const char *text)
{
    size_t len;

    for (;;) {
        text += strspn(text, " \t\r\n");
        if (*text != '#')
            break;
        text += strcspn(text, "\n");
    }
    len = strcspn(text, "\r\n#");
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    return (len > 0 && text[len - 1] == ':') || *text == '{' || strncmp(text, "---", 3) == 0
               ? INVENTORY_YAML
               : INVENTORY_INI;
}

void inventory_read(const char *text, size_t len, enum inventory_format format, uint32_t file,
                    struct spec_hosts *hosts, struct diag_list *diags)
{
    size_t errors_before = diags->error_count;
    struct inventory inventory;

    inventory_init(&inventory, file, diags);
    if (format == INVENTORY_GUESS)
        format = guess(text);
    if (format == INVENTORY_YAML)
        inventory_read_yaml(&inventory, text, len);
    else
        inventory_read_ini(&inventory, text, len);
    if (diags->error_count == errors_before)
        inventory_finish(&inventory, hosts);
    inventory_release(&inventory);
}
