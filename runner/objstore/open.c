#include "objstore/open.h"

#include <string.h>
#include <unistd.h>

#include "objstore/s3.h"

int object_store_check(const char *url, struct err *err)
{
    if (strncmp(url, OBJECT_STORE_S3_SCHEME, strlen(OBJECT_STORE_S3_SCHEME)) == 0)
        return object_store_s3_check(url, err);
    return strcmp(url, OBJECT_STORE_LOCAL) == 0
               ? 0
               : err_set(err, ERR_INVALID,
                         "the store \"%s\" is not known; use local or s3://BUCKET/PREFIX", url);
}

int object_store_open(const char *url, const struct object_store_local_options *local,
                      struct object_store **ret, struct err *err)
{
    if (object_store_check(url, err) < 0)
        return -1;
    if (strcmp(url, OBJECT_STORE_LOCAL) != 0)
        return object_store_s3_open(url, (const char *const *)environ, ret, err);
    object_store_local_open(local, ret);
    return 0;
}
