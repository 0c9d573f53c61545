/* Nested runs are refused when the pipeline's own environment says so; that of this process does
 * not count, because a step may well call the runner on purpose for another file. */
#pragma once

#include "base/diag.h"
#include "prepare/prepare.h"
#include "prepare/variables.h"
#include "spec/spec.h"

/* What is said beside the file. */
int nesting_check(const struct prepare_args *args, const struct variables *variables,
                  struct err *err) __attribute__((warn_unused_result));
/* The file, at each of its levels. */
void nesting_check_file(const struct spec_pipeline *spec, struct diag_list *diags);
