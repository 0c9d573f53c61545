# The helper is built for every architecture that there is a compiler for, with none of the project's
# flags (no sanitizer, no coverage, no position independence), as it runs without any library, and
# becomes data of the library `helper`. The compiler for this machine is the project's; for others it
# is the distribution's, e.g. gcc-aarch64-linux-gnu with linux-libc-dev-arm64-cross of Debian.
set(helper_dir ${CMAKE_SOURCE_DIR}/runner/helper)
file(GLOB helper_sources CONFIGURE_DEPENDS ${helper_dir}/static/*.c)
file(GLOB helper_headers CONFIGURE_DEPENDS ${helper_dir}/static/*.h)
# All but what has to be fast.
set(small_sources ${helper_sources})
list(REMOVE_ITEM small_sources ${helper_dir}/static/lz4.c)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/helper)

# Sets `result` to a compiler that finds the kernel's headers for the machine, or to nothing.
function(helper_compiler machine result)
  set(${result} "" PARENT_SCOPE)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL machine)
    set(${result} ${CMAKE_C_COMPILER} PARENT_SCOPE)
    return()
  endif()
  string(REPLACE "_" "-" name ${machine})
  find_program(HELPER_COMPILER_${machine} NAMES ${machine}-linux-gnu-gcc ${name}-linux-gnu-gcc)
  set(compiler ${HELPER_COMPILER_${machine}})
  if(compiler)
    file(WRITE ${CMAKE_BINARY_DIR}/helper/headers.c "#include <asm/unistd.h>\n")
    execute_process(COMMAND ${compiler} -fsyntax-only ${CMAKE_BINARY_DIR}/helper/headers.c
                    RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
    if(status EQUAL 0)
      set(${result} ${compiler} PARENT_SCOPE)
      return()
    endif()
  endif()
  message(STATUS "no compiler for ${machine}: the runner brings no helper to such machines")
endfunction()

# Adds the helper for one architecture, in the words of image specifications and of compilers.
function(helper_program architecture machine)
  set(program ${CMAKE_BINARY_DIR}/helper/${architecture})
  set(flags -std=gnu17 -ffreestanding -fno-stack-protector -fno-pie -fno-asynchronous-unwind-tables
            -fno-unwind-tables -Wall -Wextra -Werror)
  helper_compiler(${machine} compiler)
  if(NOT compiler)
    return()
  endif()
  add_custom_command(
    OUTPUT ${program}
    COMMAND ${compiler} ${flags} -O2 -c ${helper_dir}/static/lz4.c -o ${program}.lz4.o
    COMMAND
      ${compiler} ${flags} -Os -nostdlib -static
      -s -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noseparate-code -Wl,-z,noexecstack
      ${small_sources} ${program}.lz4.o -o ${program}
    DEPENDS ${helper_sources} ${helper_headers} ${helper_dir}/request.h ${helper_dir}/relay.h
    COMMENT "Building the static helper for ${architecture}"
    VERBATIM COMMAND_EXPAND_LISTS)
  string(TOUPPER ${architecture} upper)
  set_property(SOURCE ${helper_dir}/program.c APPEND PROPERTY
               COMPILE_DEFINITIONS "HELPER_${upper}=\"${program}\"")
  set_property(SOURCE ${helper_dir}/program.c APPEND PROPERTY OBJECT_DEPENDS ${program})
endfunction()

include(${helper_dir}/lz4.cmake)
runner_library(helper DIR runner/helper USES base LINK ${LZ4_TARGET})
helper_program(amd64 x86_64)
helper_program(arm64 aarch64)
