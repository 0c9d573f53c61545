# NETTLE_TARGET: SHA-256 and SHA-1, see docs/adr/0019-nettle-and-libarchive.md.
pkg_check_modules(NETTLE REQUIRED IMPORTED_TARGET nettle)
runner_archive_library(NETTLE_TARGET libnettle.a NETTLE "
  #include <nettle/sha2.h>
  int main(void)
  {
      struct sha256_ctx state;
      sha256_init(&state);
      return 0;
  }")
