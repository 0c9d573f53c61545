#include "base/last_line.h"

void last_line_add(struct last_line *line, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];

        if (c == '\n' || c == '\r') {
            line->line_len = 0;
            continue;
        }
        if (line->line_len++ == 0)
            line->len = 0;
        if (line->len < LAST_LINE_SIZE - 1) {
            line->text[line->len++] = (char)(c < ' ' || c == 127 ? '?' : c);
            line->text[line->len] = '\0';
        }
    }
}
