#include "base/sha256.h"

void sha256_begin(struct sha256 *hash)
{
    sha256_init(&hash->state);
}

void sha256_add(struct sha256 *hash, const void *data, size_t len)
{
    sha256_update(&hash->state, len, data);
}

void sha256_end(struct sha256 *hash, uint8_t ret[SHA256_SIZE])
{
    sha256_digest(&hash->state, SHA256_SIZE, ret);
}

void sha256_hex(struct sha256 *hash, char ret[SHA256_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[SHA256_SIZE];

    sha256_end(hash, bytes);
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[SHA256_HEX_SIZE - 1] = '\0';
}
