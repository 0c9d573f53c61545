/* Style and script of the HTML report, from the files in page/. */
#pragma once

extern const char page_css[];
extern const char page_js[];
