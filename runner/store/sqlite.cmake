# SQLITE_TARGET: SQLite, see docs/adr/0045-sqlite-and-libpq.md.
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.37)
runner_archive_library(SQLITE_TARGET libsqlite3.a SQLITE "
  #include <sqlite3.h>
  int main(void)
  {
      return sqlite3_initialize();
  }")
