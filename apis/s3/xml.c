#include "apis/s3/xml.h"

#include <expat.h>
#include <limits.h>
#include <stdbool.h>

#include "base/buf.h"

enum { DEPTH_MAX = 16 };

struct reader {
    XML_Parser parser;
    struct buf path;
    struct buf texts[DEPTH_MAX];
    size_t depth;
    xml_end_fn *end;
    void *arg;
    struct err *err;
    bool failed; /* *err says why */
};

static void stop(struct reader *r)
{
    r->failed = true;
    XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = arg;
    const char *colon = strrchr(name, ':');

    (void)attributes;
    if (r->failed)
        return;
    if (r->depth == DEPTH_MAX) {
        err_set(r->err, ERR_PROTOCOL, "XML that is nested deeper than %d levels", DEPTH_MAX);
        stop(r);
        return;
    }
    buf_addf(&r->path, "%s%s", r->depth ? "/" : "", colon && colon[1] ? colon + 1 : name);
    buf_reset(&r->texts[r->depth++]);
}

static void on_text(void *arg, const XML_Char *text, int len)
{
    struct reader *r = arg;

    if (!r->failed && r->depth)
        buf_add(&r->texts[r->depth - 1], text, (size_t)len);
}

static void on_end(void *arg, const XML_Char *name)
{
    struct reader *r = arg;
    const char *slash;

    (void)name;
    if (r->failed)
        return;
    if (r->end(r->arg, r->path.data, r->texts[r->depth - 1].data, r->err) < 0) {
        stop(r);
        return;
    }
    slash = strrchr(r->path.data, '/');
    buf_truncate(&r->path, slash ? (size_t)(slash - r->path.data) : 0);
    r->depth--;
}

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
                       const XML_Char *public_id, int internal)
{
    struct reader *r = arg;

    (void)name;
    (void)system_id;
    (void)public_id;
    (void)internal;
    err_set(r->err, ERR_PROTOCOL, "XML with a document type");
    stop(r);
}

static int parse(struct reader *r, const char *data, size_t len, struct err *err)
{
    if (len > INT_MAX)
        return err_set(err, ERR_LIMIT, "XML of %zu bytes is too large", len);
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    if (XML_Parse(r->parser, data, (int)len, XML_TRUE) == XML_STATUS_OK)
        return r->failed ? -1 : 0;
    if (r->failed)
        return -1;
    return err_set(err, ERR_PROTOCOL, "no XML: line %lu: %s",
                   (unsigned long)XML_GetCurrentLineNumber(r->parser),
                   XML_ErrorString(XML_GetErrorCode(r->parser)));
}

int xml_read(const char *data, size_t len, xml_end_fn *end, void *arg, struct err *err)
{
    struct reader r = {.path = BUF_INIT, .end = end, .arg = arg, .err = err};
    int result = -1;

    for (size_t i = 0; i < DEPTH_MAX; i++)
        r.texts[i] = (struct buf)BUF_INIT;
    r.parser = XML_ParserCreate(NULL);
    if (r.parser)
        result = parse(&r, data, len, err);
    else
        err_set(err, ERR_SYSTEM, "cannot make an XML parser");
    XML_ParserFree(r.parser);
    buf_release(&r.path);
    for (size_t i = 0; i < DEPTH_MAX; i++)
        buf_release(&r.texts[i]);
    return result;
}
