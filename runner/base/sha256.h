/* SHA-256, by nettle (docs/adr/0019-nettle-and-libarchive.md).
 *
 *     struct sha256 hash;
 *     sha256_begin(&hash);
 *     sha256_add(&hash, data, len);
 *     sha256_hex(&hash, text);
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <nettle/sha2.h>

#define SHA256_SIZE     32
#define SHA256_HEX_SIZE 65 /* with the NUL behind it */

struct sha256 {
    struct sha256_ctx state;
};

void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t len);
/* Each ends the calculation; begin anew for the next. */
void sha256_end(struct sha256 *hash, uint8_t ret[SHA256_SIZE]);
void sha256_hex(struct sha256 *hash, char ret[SHA256_HEX_SIZE]);
