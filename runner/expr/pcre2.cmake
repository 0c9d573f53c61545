# PCRE2_TARGET: PCRE2, see docs/adr/0015-pcre2.md.
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8>=10.34)
runner_archive_library(PCRE2_TARGET libpcre2-8.a PCRE2 "
  #define PCRE2_CODE_UNIT_WIDTH 8
  #include <pcre2.h>
  int main(void)
  {
      int error;
      PCRE2_SIZE offset;
      return !pcre2_compile((PCRE2_SPTR)\"a\", 1, 0, &error, &offset, NULL);
  }")
