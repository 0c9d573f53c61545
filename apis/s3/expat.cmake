# EXPAT_TARGET: XML, see docs/adr/0020-s3.md.
pkg_check_modules(EXPAT REQUIRED IMPORTED_TARGET expat>=2.2)
runner_archive_library(EXPAT_TARGET libexpat.a EXPAT "
  #include <expat.h>
  int main(void)
  {
      return XML_ParserCreate(0) == 0;
  }")
