#include "base/json_text.h"

#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

json_t *json_safe_string(const char *text)
{
    CLEANUP_BUF struct buf clean = BUF_INIT;
    size_t len = strlen(text);

    if (utf8_valid(text, len))
        return json_string(text);
    utf8_add_valid(&clean, text, len);
    return json_string(clean.data);
}
