/* The files as data; PAGE_DIR is their folder, given by the build. */
#include "report/page.h"

__asm__(".pushsection .rodata\n"
        ".global page_css\n"
        ".global page_js\n"
        "page_css:\n"
        ".incbin \"" PAGE_DIR "/page.css\"\n"
        ".byte 0\n"
        "page_js:\n"
        ".incbin \"" PAGE_DIR "/page.js\"\n"
        ".byte 0\n"
        ".popsection\n");
