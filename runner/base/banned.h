/* Functions that must not be used; naming one is a compile error. Force-included into every
 * source file by the build (see CMakeLists.txt). The replacement is named behind each. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strncpy stpcpy /* buf_add, xstrdup */
#pragma GCC poison strcat strncat        /* buf_addstr */
#pragma GCC poison sprintf vsprintf      /* buf_addf, snprintf */
#pragma GCC poison strtok strtok_r       /* strsep-like loops over strchr */
#pragma GCC poison atoi atol atoll atof  /* parse.h */
#pragma GCC poison gets tmpnam mktemp    /* getline, mkstemp */
#pragma GCC poison system popen          /* process.h */
