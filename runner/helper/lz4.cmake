# LZ4_TARGET: takes off what the relay has compressed, see docs/adr/0043-output-comes-compressed.md.
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
runner_archive_library(LZ4_TARGET liblz4.a LZ4 "
  #include <lz4.h>
  int main(void)
  {
      char to[1];
      return LZ4_decompress_safe(\"\", to, 0, 1) < 0;
  }")
