/* The forms in which a value is hidden, beside itself:
 *
 * - base64 in both alphabets (RFC 4648), also as a part of something longer: for each of the three
 *   ways in which it can lie there, the characters that depend on the value alone; and the whole
 *   value wrapped into lines, as base64(1) and openssl(1) write it, but for a short last one;
 * - percent-encoded: RFC 3986, with lower-case digits, as a form (a space as "+"), as a path, and
 * as JavaScript's encodeURIComponent;
 * - as within a JSON string: as short as can be, with "\/", in ASCII, and safe for HTML;
 * - within single quotes of a shell, as `set -x` shows it.
 *
 * A value of several lines is also hidden line by line, each line without the white space around
 * it in all of these forms. Private to mask/. */
#pragma once

#include <stddef.h>

/* Called for each form; forms may come twice. */
typedef void (*mask_form_fn)(void *arg, const char *form, size_t len);

/* `min`: shorter lines, and shorter pieces of base64, are left out. */
void mask_forms(const char *value, size_t len, size_t min, mask_form_fn add, void *arg);
