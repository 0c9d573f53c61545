/* Between occurrences the matcher leaps; see matcher.h. What is decided goes out from where it
 * lies, without a copy; only what is held back is kept, and joined with a little of what comes
 * next. */
#include "mask/mask.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/percent.h"
#include "base/text_index.h"
#include "mask/forms.h"
#include "mask/matcher.h"

enum {
    JOIN_BYTES = 4096, /* how much of a write is joined with what is held back */
    SEEK_BELOW = 4,    /* the matcher runs on from this depth, and leaps below it */
};

struct value {
    char *bytes;
    size_t len;
};

struct mask {
    atomic_uint version; /* how many values there are; changed under mu */
    pthread_mutex_t mu;  /* guards all below */
    VEC(struct value)
    values;
    struct text_index index;
    size_t total;
    struct matcher *matcher; /* NULL: none was needed yet */
    unsigned matcher_version;
};

struct mask *mask_new(void)
{
    struct mask *mask = xcalloc(1, sizeof(*mask));

    pthread_mutex_init(&mask->mu, NULL);
    return mask;
}

void mask_free(struct mask *mask)
{
    if (!mask)
        return;
    vec_foreach (struct value *, value, &mask->values) {
        explicit_bzero(value->bytes, value->len);
        free(value->bytes);
    }
    vec_release(&mask->values);
    text_index_release(&mask->index);
    matcher_unref(mask->matcher);
    pthread_mutex_destroy(&mask->mu);
    free(mask);
}

static enum mask_result add_locked(struct mask *mask, const char *value, size_t len)
{
    struct value copy = {.len = len};
    uint32_t known;

    if (text_index_find(&mask->index, value, len, &known))
        return MASK_ADDED;
    if (mask->total + len > MASK_TOTAL_MAX)
        return MASK_TOO_LARGE;
    copy.bytes = xmalloc(len);
    memcpy(copy.bytes, value, len);
    text_index_set(&mask->index, copy.bytes, len, (uint32_t)mask->values.len);
    vec_push(&mask->values, copy);
    mask->total += len;
    atomic_fetch_add(&mask->version, 1);
    return MASK_ADDED;
}

enum mask_result mask_add(struct mask *mask, const void *value, size_t len)
{
    enum mask_result result;

    if (len < MASK_VALUE_MIN)
        return MASK_TOO_SHORT;
    if (len > MASK_VALUE_MAX)
        return MASK_TOO_LARGE;
    pthread_mutex_lock(&mask->mu);
    result = add_locked(mask, value, len);
    pthread_mutex_unlock(&mask->mu);
    return result;
}

static void add_encoded(struct mask *mask, const char *text, size_t len)
{
    CLEANUP_BUF struct buf decoded = BUF_INIT;

    percent_decode(text, len, &decoded);
    if (mask_add(mask, text, len) != MASK_ADDED ||
        mask_add(mask, decoded.data, decoded.len) != MASK_ADDED)
        return; /* nothing that could be hidden */
}

static void add_passphrase(struct mask *mask, const char *url)
{
    static const char key[] = "passphrase=";
    const char *query = strchr(url, '?');
    const char *found = query ? strstr(query, key) : NULL;

    if (found)
        add_encoded(mask, found + strlen(key), strcspn(found + strlen(key), "&#"));
}

void mask_add_url(struct mask *mask, const char *url)
{
    const char *authority = strstr(url, "://");
    const char *at = NULL;
    const char *colon;

    if (!authority)
        return;
    authority += 3;
    add_passphrase(mask, authority);
    at = memrchr(authority, '@', strcspn(authority, "?#"));
    colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    if (!colon)
        return;
    colon++;
    add_encoded(mask, colon, (size_t)(at - colon));
}

bool mask_is_empty(const struct mask *mask)
{
    return !mask || !atomic_load_explicit(&mask->version, memory_order_acquire);
}

static void add_form(void *arg, const char *form, size_t len)
{
    matcher_builder_add(arg, form, len);
}

/* The matcher for all values that there are now, a reference, and how many those are. */
static struct matcher *current_matcher(struct mask *mask, unsigned *ret_version)
{
    struct matcher_builder *builder;
    struct matcher *matcher;

    pthread_mutex_lock(&mask->mu);
    if (!mask->matcher || mask->matcher_version != atomic_load(&mask->version)) {
        builder = matcher_builder_new();
        vec_foreach (const struct value *, value, &mask->values)
            mask_forms(value->bytes, value->len, MASK_VALUE_MIN, add_form, builder);
        matcher_unref(mask->matcher);
        mask->matcher = matcher_build(builder);
        mask->matcher_version = atomic_load(&mask->version);
    }
    matcher = matcher_ref(mask->matcher);
    *ret_version = mask->matcher_version;
    pthread_mutex_unlock(&mask->mu);
    return matcher;
}

/* --- streams --- */

/* Where what passes goes. */
struct outlet {
    mask_emit_fn emit;
    void *arg;
};

void mask_stream_init(struct mask_stream *s, struct mask *mask)
{
    *s = (struct mask_stream){.mask = mask, .held = BUF_INIT};
}

void mask_stream_release(struct mask_stream *s)
{
    matcher_unref(s->matcher);
    buf_release(&s->held);
    vec_release(&s->spans);
    s->matcher = NULL;
}

/* Occurrences come in the order of their ends. */
static void cover(struct mask_stream *s, uint64_t at, uint64_t end)
{
    while (s->spans.len && s->spans.items[s->spans.len - 1].at >= at) {
        if (s->spans.items[s->spans.len - 1].end > end)
            end = s->spans.items[s->spans.len - 1].end;
        s->spans.len--;
    }
    if (!s->spans.len || s->spans.items[s->spans.len - 1].end < at)
        vec_push(&s->spans, ((struct mask_span){at, end}));
    else if (s->spans.items[s->spans.len - 1].end < end)
        s->spans.items[s->spans.len - 1].end = end;
}

/* Emits what comes before byte `end` of the stream; data begins with byte `base`. */
static void release(struct mask_stream *s, const char *data, uint64_t base, uint64_t end,
                    const struct outlet *out)
{
    size_t done = 0;

    while (s->released < end) {
        const struct mask_span *span = done < s->spans.len ? &s->spans.items[done] : NULL;
        bool covered = span && span->at <= s->released;
        uint64_t stop = !span ? end : covered ? span->end : span->at;

        if (covered && stop <= end)
            done++;
        if (stop > end)
            stop = end;
        if (covered && !s->in_span)
            out->emit(out->arg, MASK_TEXT, strlen(MASK_TEXT));
        else if (!covered)
            out->emit(out->arg, data + (s->released - base), (size_t)(stop - s->released));
        s->in_span = covered;
        s->released = stop;
    }
    if (!done)
        return;
    s->spans.len -= done;
    memmove(s->spans.items, s->spans.items + done, s->spans.len * sizeof(*s->spans.items));
}

/* Reads data from `from` on; data begins with the first byte that is not decided. Returns how many
 * bytes, the last ones, are not decided then. */
static size_t scan(struct mask_stream *s, const char *data, size_t size, size_t from,
                   const struct outlet *out)
{
    const struct matcher *m = s->matcher;
    uint64_t base = s->released;
    size_t at = from;
    size_t again = 0; /* from where on the filter has not been asked */

    while (at < size) {
        uint32_t depth = matcher_depth(m, s->state);
        uint32_t match;

        if (depth < SEEK_BELOW && at - depth >= again) {
            at = matcher_seek(m, data, size, at - depth, &again);
            again++;
            s->state = MATCHER_START;
            release(s, data, base, base + at, out);
        }
        s->state = matcher_step(m, s->state, (unsigned char)data[at++]);
        match = matcher_match(m, s->state);
        if (match) {
            cover(s, base + at - match, base + at);
            s->state = matcher_settle(m, s->state);
        }
    }
    from = size - matcher_depth(m, s->state);
    release(s, data, base, base + from, out);
    return size - from;
}

/* What is held back is looked at anew when there are more values. What the former ones covered is
 * found again, except for what they covered together with bytes that are gone. */
static void update(struct mask_stream *s, const struct outlet *out)
{
    struct matcher *matcher = current_matcher(s->mask, &s->version);
    size_t held;

    matcher_unref(s->matcher);
    s->matcher = matcher;
    s->state = MATCHER_START;
    s->spans.len = s->spans.len && s->spans.items[0].at <= s->released;
    held = scan(s, s->held.data, s->held.len, 0, out);
    buf_consume(&s->held, s->held.len - held);
}

void mask_stream_write(struct mask_stream *s, const char *data, size_t size, mask_emit_fn emit,
                       void *arg)
{
    const struct outlet out = {emit, arg};
    size_t seen = 0; /* bytes at the beginning of data that have been read */
    size_t held;

    if (mask_is_empty(s->mask)) {
        if (size)
            emit(arg, data, size);
        return;
    }
    if (!s->matcher || s->version != atomic_load(&s->mask->version))
        update(s, &out);
    while (s->held.len && size) {
        size_t before = s->held.len;
        size_t more = size < JOIN_BYTES ? size : JOIN_BYTES;

        buf_add(&s->held, data, more);
        held = scan(s, s->held.data, s->held.len, before, &out);
        seen = held < more ? held : 0;
        if (held < more) {
            buf_reset(&s->held);
            more -= held;
        } else {
            buf_consume(&s->held, s->held.len - held);
        }
        data += more;
        size -= more;
    }
    if (!size)
        return;
    held = scan(s, data, size, seen, &out);
    buf_add(&s->held, data + size - held, held);
}

void mask_stream_finish(struct mask_stream *s, mask_emit_fn emit, void *arg)
{
    const struct outlet out = {emit, arg};

    release(s, s->held.data, s->released, s->released + s->held.len, &out);
    buf_reset(&s->held);
    s->state = MATCHER_START;
    s->in_span = false;
    s->spans.len = 0;
}

static void collect(void *arg, const char *data, size_t size)
{
    buf_add(arg, data, size);
}

char *mask_text(struct mask *mask, const char *text)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct mask_stream stream;

    if (mask_is_empty(mask) || !text)
        return NULL;
    mask_stream_init(&stream, mask);
    mask_stream_write(&stream, text, strlen(text), collect, &out);
    mask_stream_finish(&stream, collect, &out);
    mask_stream_release(&stream);
    return strcmp(out.data, text) == 0 ? NULL : buf_steal(&out);
}
