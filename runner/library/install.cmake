# librunner as one archive, with the headers that a program needs and a file for pkg-config:
#   cmake --install BUILD --component library --prefix PREFIX
# The archive holds the folders that runner/library/ uses, and those that these use.
function(runner_parts ret part)
  set(parts ${ARGN})
  if(NOT part IN_LIST parts)
    list(APPEND parts ${part})
    get_property(folders GLOBAL PROPERTY RUNNER_LIBRARIES)
    get_target_property(uses ${part} LINK_LIBRARIES)
    foreach(other ${uses})
      if(other IN_LIST folders)
        runner_parts(parts ${other} ${parts})
      endif()
    endforeach()
  endif()
  set(${ret} ${parts} PARENT_SCOPE)
endfunction()

runner_parts(parts library)
set(objects "")
foreach(part ${parts})
  list(APPEND objects $<TARGET_OBJECTS:${part}>)
endforeach()
add_library(librunner STATIC ${objects})
set_target_properties(librunner PROPERTIES OUTPUT_NAME runner LINKER_LANGUAGE C)

include(GNUInstallDirs)
# As seen from the file, so that what is installed may be moved.
file(RELATIVE_PATH pc_to_include /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig
     /prefix/${CMAKE_INSTALL_INCLUDEDIR})
configure_file(${CMAKE_SOURCE_DIR}/runner/library/runner.pc.in ${CMAKE_BINARY_DIR}/runner.pc @ONLY)
install(TARGETS librunner ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(FILES ${CMAKE_BINARY_DIR}/runner.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT library)
install(FILES runner/runner.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/runner COMPONENT library)
# runner.h, and the contracts of rows.
foreach(header base/address base/alloc base/buf base/cleanup base/ctx base/diag base/err base/map
        base/parse base/text_index base/vec engine/engine expr/expr expr/pattern expr/value own/own
        plan/plan plan/settings spec/engine_names spec/service_kinds spec/spec spec/state step/kind
        step/ready)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES runner/${header}.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/runner/${folder}
          COMPONENT library)
endforeach()
