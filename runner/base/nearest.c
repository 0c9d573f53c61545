#include "base/nearest.h"

#include <ctype.h>
#include <string.h>

#define LENGTH_MAX 64

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Both at most LENGTH_MAX long. Three rows of the usual matrix are enough. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][LENGTH_MAX + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *row = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *reused = before;

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            int ca = tolower((unsigned char)a[i - 1]);
            int cb = tolower((unsigned char)b[j - 1]);

            row[j] = min(min(above[j], row[j - 1]) + 1, above[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]))
                row[j] = min(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = reused;
    }
    return above[b_len];
}

void nearest_offer(struct nearest *nearest, const char *name)
{
    size_t text_len = strlen(nearest->text);
    size_t name_len = strlen(name);
    size_t allowed = name_len < 6 ? 1 + (name_len > 3) : name_len / 3;
    size_t found;

    if (text_len > LENGTH_MAX || name_len > LENGTH_MAX || text_len > name_len + allowed ||
        name_len > text_len + allowed)
        return;
    found = distance(nearest->text, text_len, name, name_len);
    if (found > allowed || found >= name_len || (nearest->best && found >= nearest->distance))
        return;
    nearest->best = name;
    nearest->distance = found;
}
