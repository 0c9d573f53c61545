#include "apis/ssh/pattern.h"

#include <ctype.h>
#include <string.h>

/* Without recursion: goes back to the last `*`. */
bool ssh_pattern_match(const char *pattern, size_t len, const char *name)
{
    const char *const end = pattern + len;
    const char *star = NULL;
    const char *star_name = NULL;

    while (*name) {
        if (pattern < end && *pattern == '*') {
            star = ++pattern;
            star_name = name;
        } else if (pattern < end && (*pattern == '?' || tolower((unsigned char)*pattern) ==
                                                            tolower((unsigned char)*name))) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star;
            name = ++star_name;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

bool ssh_pattern_list_match(const char *patterns, const char *separators, const char *name)
{
    bool found = false;

    while (*(patterns += strspn(patterns, separators))) {
        const size_t len = strcspn(patterns, separators);
        const bool negated = *patterns == '!';

        if (ssh_pattern_match(patterns + negated, len - negated, name)) {
            if (negated)
                return false;
            found = true;
        }
        patterns += len;
    }
    return found;
}
