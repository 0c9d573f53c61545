# Each file of console/static/ becomes data of the library.
set(console_dir ${CMAKE_SOURCE_DIR}/runner/console/static)
set(console_header ${CMAKE_BINARY_DIR}/console_files.inc)
file(GLOB_RECURSE console_files CONFIGURE_DEPENDS RELATIVE ${console_dir} ${console_dir}/*)
set(console_rows "")
set(console_paths "")
set(console_number 0)
foreach(name ${console_files})
  file(SHA256 ${console_dir}/${name} hash)
  string(SUBSTRING ${hash} 0 16 hash)
  string(APPEND console_rows "FILE(${console_number}, \"${console_dir}/${name}\", \"${name}\", \"${hash}\")\n")
  list(APPEND console_paths ${console_dir}/${name})
  # Its hash is made when the build is set up.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${console_dir}/${name})
  math(EXPR console_number "${console_number} + 1")
endforeach()
file(CONFIGURE OUTPUT ${console_header} CONTENT "${console_rows}" @ONLY)

runner_library(console DIR runner/console LINK Threads::Threads)
set_source_files_properties(${CMAKE_SOURCE_DIR}/runner/console/console.c PROPERTIES
  COMPILE_DEFINITIONS CONSOLE_FILES="${console_header}"
  OBJECT_DEPENDS "${console_header};${console_paths}")
