/* What to do next about a failure, in one line. */
#pragma once

#include "event/node.h"

/* Never NULL; "" when there is nothing to say beyond the error. */
const char *advice_for(const struct node *node);
