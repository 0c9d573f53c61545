/* libFuzzer harness: any bytes as an inventory of hosts, in each notation. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "load/inventory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const enum inventory_format formats[] = {INVENTORY_INI, INVENTORY_YAML, INVENTORY_GUESS};

    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        CLEANUP_BUF struct buf text = BUF_INIT;
        CLEANUP_DIAG_LIST struct diag_list diags = {0};
        struct spec_hosts hosts = {0};

        buf_add(&text, (const char *)data, len);
        inventory_read(text.data, text.len, formats[i], 1, &hosts, &diags);
        for (size_t j = 0; !diags.error_count && j < hosts.len; j++) {
            if (!hosts.items[j].name.text || !hosts.items[j].engine.text)
                abort();
        }
        spec_hosts_release(&hosts);
    }
    return 0;
}
