/* The helper's executable as data; HELPER_PROGRAM is its path, given by the build. */
#include "helper/helper.h"

__asm__(".pushsection .rodata\n"
        ".global helper_program\n"
        ".global helper_program_end\n"
        ".balign 16\n"
        "helper_program:\n"
        ".incbin \"" HELPER_PROGRAM "\"\n"
        "helper_program_end:\n"
        ".byte 0\n"
        ".popsection\n");
