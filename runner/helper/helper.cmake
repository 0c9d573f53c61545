# The helper is built with the same compiler but with none of the project's flags (no sanitizer, no
# coverage, no position independence), as it runs without any library, and becomes data of the
# library `helper`.
set(helper_dir ${CMAKE_SOURCE_DIR}/runner/helper)
set(helper_program ${CMAKE_BINARY_DIR}/helper/program)
file(GLOB helper_sources CONFIGURE_DEPENDS ${helper_dir}/static/*.c)
file(GLOB helper_headers CONFIGURE_DEPENDS ${helper_dir}/static/*.h)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/helper)

add_custom_command(
  OUTPUT ${helper_program}
  COMMAND
    ${CMAKE_C_COMPILER} -std=gnu17 -Os -ffreestanding -fno-stack-protector -fno-pie
    -fno-asynchronous-unwind-tables -fno-unwind-tables -Wall -Wextra -Werror -nostdlib -static
    -s -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noseparate-code -Wl,-z,noexecstack
    ${helper_sources} -o ${helper_program}
  DEPENDS ${helper_sources} ${helper_headers} ${helper_dir}/request.h
  COMMENT "Building the static helper"
  VERBATIM COMMAND_EXPAND_LISTS)

runner_library(helper DIR runner/helper USES base)
set_source_files_properties(${helper_dir}/program.c PROPERTIES
  COMPILE_DEFINITIONS HELPER_PROGRAM="${helper_program}"
  OBJECT_DEPENDS ${helper_program})
