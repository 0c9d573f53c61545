/* Foreign text in HTML: nothing that it holds can become markup. */
#pragma once

#include "base/buf.h"
#include "report/report.h"

/* For content and for attributes in double quotes. Control characters are shown as \n, \x1b. */
void html_add(struct buf *out, const char *text);
/* Output and notes of a node, each line a <div>, with the colours that the output asks for. Nothing
 * is added when there is none. */
int html_add_log(const struct report_source *source, const struct node *node, struct fs_writer *out,
                 struct err *err) __attribute__((warn_unused_result));
