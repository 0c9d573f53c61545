# runner_archive_library(RET ARCHIVE PREFIX CODE): sets RET to the target of a static library that
# links into the program, else to that of the shared one, PkgConfig::PREFIX, which pkg_check_modules()
# has found. A shared library is a part of every start, whether it is used or not
# (docs/adr/0015-pcre2.md). CODE is a program that calls it.
include(CheckCSourceCompiles)

function(runner_archive_library ret archive prefix code)
  set(${ret} PkgConfig::${prefix} PARENT_SCOPE)
  find_library(${prefix}_ARCHIVE ${archive} HINTS ${${prefix}_LIBRARY_DIRS} ${${prefix}_LIBDIR})
  if(NOT ${prefix}_ARCHIVE)
    return()
  endif()
  set(CMAKE_REQUIRED_LIBRARIES ${${prefix}_ARCHIVE} Threads::Threads ${CMAKE_DL_LIBS} m)
  set(CMAKE_REQUIRED_INCLUDES ${${prefix}_INCLUDE_DIRS})
  check_c_source_compiles("${code}" ${prefix}_ARCHIVE_LINKS)
  if(${prefix}_ARCHIVE_LINKS)
    add_library(${prefix}_archive STATIC IMPORTED GLOBAL)
    set_target_properties(${prefix}_archive PROPERTIES
      IMPORTED_LOCATION ${${prefix}_ARCHIVE}
      INTERFACE_LINK_LIBRARIES "${CMAKE_DL_LIBS};m"
      INTERFACE_INCLUDE_DIRECTORIES "${${prefix}_INCLUDE_DIRS}")
    set(${ret} ${prefix}_archive PARENT_SCOPE)
  endif()
endfunction()
