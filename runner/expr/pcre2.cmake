# PCRE2_TARGET: PCRE2 as a static library where the system has one that fits into the program, else
# the shared one (docs/adr/0015-pcre2.md).
include(CheckCSourceCompiles)

pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8>=10.34)
set(PCRE2_TARGET PkgConfig::PCRE2)
find_library(PCRE2_ARCHIVE libpcre2-8.a HINTS ${PCRE2_LIBRARY_DIRS} ${PCRE2_LIBDIR})
if(PCRE2_ARCHIVE)
  set(CMAKE_REQUIRED_LIBRARIES ${PCRE2_ARCHIVE} Threads::Threads)
  set(CMAKE_REQUIRED_INCLUDES ${PCRE2_INCLUDE_DIRS})
  check_c_source_compiles("
    #define PCRE2_CODE_UNIT_WIDTH 8
    #include <pcre2.h>
    int main(void)
    {
        int error;
        PCRE2_SIZE offset;
        return !pcre2_compile((PCRE2_SPTR)\"a\", 1, 0, &error, &offset, NULL);
    }" PCRE2_ARCHIVE_LINKS)
  unset(CMAKE_REQUIRED_LIBRARIES)
  unset(CMAKE_REQUIRED_INCLUDES)
  if(PCRE2_ARCHIVE_LINKS)
    add_library(pcre2_archive STATIC IMPORTED)
    set_target_properties(pcre2_archive PROPERTIES
      IMPORTED_LOCATION ${PCRE2_ARCHIVE}
      INTERFACE_INCLUDE_DIRECTORIES "${PCRE2_INCLUDE_DIRS}")
    set(PCRE2_TARGET pcre2_archive)
  endif()
endif()
