/* Where a pipeline file comes from: the argument, `-c`, a URL, standard input, or the default names
 * in the current directory. */
#pragma once

#include "base/diag.h"
#include "load/load.h"

/* Reads the text; `where` NULL looks for the default files. 0, or -1 with one error in diags. */
int source_read(const char *where, struct load_source *source, struct diag_list *diags)
    __attribute__((warn_unused_result));
