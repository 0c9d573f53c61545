#include "cli/stores.h"

#include "base/parse.h"

int cli_store_options(const char *dir, const char *size, struct object_store_places *ret,
                      struct err *err)
{
    int64_t max_bytes;

    if (parse_size_bytes(size ? size : CLI_STORE_SIZE_DEFAULT, &max_bytes, err) < 0)
        return err_wrap(err, "--cache-size");
    *ret = (struct object_store_places){.dir = dir, .max_bytes = max_bytes};
    return 0;
}
