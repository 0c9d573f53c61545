# The headers decide the layout of what libwebsockets is given: the library that is loaded
# (docs/adr/0047-libwebsockets-loaded-on-first-use.md) must be the one they came with.
pkg_check_modules(LIBWEBSOCKETS REQUIRED libwebsockets>=4.1)
find_library(LIBWEBSOCKETS_FILE websockets HINTS ${LIBWEBSOCKETS_LIBRARY_DIRS} REQUIRED)
execute_process(COMMAND ${CMAKE_OBJDUMP} -p ${LIBWEBSOCKETS_FILE}
                OUTPUT_VARIABLE websockets_headers RESULT_VARIABLE websockets_failed)
string(REGEX MATCH "SONAME +([^ \n]+)" websockets_match "${websockets_headers}")
if(websockets_failed OR NOT CMAKE_MATCH_1)
  message(FATAL_ERROR "${LIBWEBSOCKETS_FILE} does not tell its name")
endif()
set(websockets_name ${CMAKE_MATCH_1})

runner_library(server DIR runner/server
               USES base spec yaml load plan mask step own prepare event record store history launch queue
                    feed console
               LINK ${CMAKE_DL_LIBS})
target_include_directories(server PRIVATE ${LIBWEBSOCKETS_INCLUDE_DIRS})
set_source_files_properties(${CMAKE_SOURCE_DIR}/runner/server/websockets.c PROPERTIES
  COMPILE_DEFINITIONS LIBWEBSOCKETS_NAME="${websockets_name}")
set(openapi_file ${CMAKE_SOURCE_DIR}/runner/server/openapi.json)
file(SHA256 ${openapi_file} openapi_hash)
string(SUBSTRING ${openapi_hash} 0 16 openapi_hash)
# Its hash is made when the build is set up.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${openapi_file})
set_source_files_properties(${CMAKE_SOURCE_DIR}/runner/server/openapi.c PROPERTIES
  COMPILE_DEFINITIONS "OPENAPI_FILE=\"${openapi_file}\";OPENAPI_HASH=\"${openapi_hash}\""
  OBJECT_DEPENDS ${openapi_file})
