/* libFuzzer harness: any bytes as frames of either end. The first byte chooses where the rest is
 * cut in two, which the decoder must not notice; what it gives out must survive being sent.
 *
 *     build/fuzz/tests/fuzz_ws -max_len=600 -timeout=5 corpus/ */
#include <stdlib.h>
#include <string.h>

#include "apis/ws/ws_frame.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MESSAGE_MAX = 300 };

/* Message by message: opcode, close code, length, bytes. */
static int drain(struct ws_decoder *decoder, struct buf *out, struct buf *again)
{
    struct ws_message message;
    int got;

    while ((got = ws_decoder_next(decoder, &message, NULL)) > 0) {
        if (message.len > MESSAGE_MAX || message.data[message.len])
            abort();
        if ((message.opcode == WS_TEXT || message.opcode == WS_CLOSE) &&
            !utf8_valid(message.data, message.len))
            abort();
        buf_addf(out, "%d %u %zu ", (int)message.opcode, message.close_code, message.len);
        buf_add(out, message.data, message.len);
        if (message.opcode == WS_CLOSE)
            ws_close_add(again, WS_CLIENT, message.close_code, message.data);
        else
            ws_message_add(again, WS_CLIENT, message.opcode, message.data, message.len, 100);
    }
    return got;
}

static void role(enum ws_role role, const uint8_t *data, size_t len, size_t cut)
{
    CLEANUP_BUF struct buf whole = BUF_INIT;
    CLEANUP_BUF struct buf parts = BUF_INIT;
    CLEANUP_BUF struct buf again = BUF_INIT;
    CLEANUP_BUF struct buf unused = BUF_INIT;
    CLEANUP_BUF struct buf resent = BUF_INIT;
    struct ws_decoder a;
    struct ws_decoder b;
    struct ws_decoder c;
    int result;

    ws_decoder_init(&a, role, MESSAGE_MAX);
    ws_decoder_init(&b, role, MESSAGE_MAX);
    ws_decoder_init(&c, WS_SERVER, MESSAGE_MAX);
    ws_decoder_feed(&a, data, len);
    result = drain(&a, &whole, &again);
    ws_decoder_feed(&b, data, cut);
    if (drain(&b, &parts, &unused) == 0) {
        ws_decoder_feed(&b, data + cut, len - cut);
        if (drain(&b, &parts, &unused) != result)
            abort();
    } else if (result == 0) {
        abort();
    }
    if (whole.len != parts.len || memcmp(whole.data, parts.data, whole.len) != 0 ||
        ws_decoder_close_code(&a) != ws_decoder_close_code(&b))
        abort();
    ws_decoder_feed(&c, again.data, again.len);
    if (drain(&c, &resent, &unused) < 0 || !strstr(whole.data, " ") != !strstr(resent.data, " "))
        abort();
    ws_decoder_release(&a);
    ws_decoder_release(&b);
    ws_decoder_release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    role(WS_CLIENT, data + 1, len - 1, data[0] % (len - 1));
    role(WS_SERVER, data + 1, len - 1, data[0] % (len - 1));
    return 0;
}
