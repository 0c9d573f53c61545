#include "store/db.h"

int db_postgresql_open(const struct ctx *ctx, const char *url, int64_t wait_ms, struct db **ret,
                       struct err *err)
{
    (void)ctx;
    (void)url;
    (void)wait_ms;
    (void)ret;
    return err_set(err, ERR_UNSUPPORTED,
                   "a store in PostgreSQL is not possible with this build; name a file");
}
