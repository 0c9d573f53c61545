#include "apis/ws/ws_handshake.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <nettle/sha1.h>
#include <nettle/version.h>

#include "base/base64.h"

void ws_key_new(char ret[WS_KEY_SIZE])
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    uint8_t bytes[16];

    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        abort(); /* the kernel gives so few bytes always */
    base64_encode(&text, bytes, sizeof(bytes));
    memcpy(ret, text.data, WS_KEY_SIZE);
}

void ws_accept(const char *key, char ret[WS_ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    CLEANUP_BUF struct buf text = BUF_INIT;
    uint8_t digest[SHA1_DIGEST_SIZE];
    struct sha1_ctx hash;

    sha1_init(&hash);
    sha1_update(&hash, strlen(key), (const uint8_t *)key);
    sha1_update(&hash, sizeof(guid) - 1, (const uint8_t *)guid);
#if NETTLE_VERSION_MAJOR >= 4
    sha1_digest(&hash, digest);
#else
    sha1_digest(&hash, sizeof(digest), digest);
#endif
    base64_encode(&text, digest, sizeof(digest));
    memcpy(ret, text.data, WS_ACCEPT_SIZE);
}

/* Whether a header with a list of words has one, in any case. */
static bool has_word(const char *list, const char *word)
{
    const size_t len = strlen(word);

    while (list && *list) {
        size_t size;

        list += strspn(list, ", \t");
        size = strcspn(list, ", \t");
        if (size == len && strncasecmp(list, word, len) == 0)
            return true;
        list += size;
    }
    return false;
}

int ws_handshake_check(const struct http_response *response, const char *key,
                       const char *const *protocols, const char **ret_protocol, struct err *err)
{
    const char *accept = strmap_get(&response->headers, "sec-websocket-accept");
    const char *protocol = strmap_get(&response->headers, "sec-websocket-protocol");
    const char *extensions = strmap_get(&response->headers, "sec-websocket-extensions");
    char expected[WS_ACCEPT_SIZE];

    ws_accept(key, expected);
    if (!has_word(strmap_get(&response->headers, "upgrade"), "websocket") ||
        !has_word(strmap_get(&response->headers, "connection"), "upgrade"))
        return err_set(err, ERR_PROTOCOL, "the server switched to something that is no WebSocket");
    if (!accept || strcmp(accept, expected) != 0)
        return err_set(err, ERR_PROTOCOL,
                       "the server's Sec-WebSocket-Accept does not go with the key: is there a "
                       "proxy that answers for it?");
    if (extensions && *extensions)
        return err_set(err, ERR_PROTOCOL,
                       "the server uses a WebSocket extension that was not asked for: %s",
                       extensions);
    if (!protocol || !*protocol) {
        *ret_protocol = NULL;
        return 0;
    }
    for (const char *const *p = protocols; p && *p; p++) {
        if (strcmp(*p, protocol) == 0) {
            *ret_protocol = *p;
            return 0;
        }
    }
    return err_set(err, ERR_PROTOCOL, "the server chose the WebSocket protocol %s, not offered",
                   protocol);
}
