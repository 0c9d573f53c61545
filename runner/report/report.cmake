# Style and script of the HTML report become data of the library.
set(report_page_dir ${CMAKE_SOURCE_DIR}/runner/report/page)

runner_library(report DIR runner/report USES base spec event)
set_source_files_properties(${CMAKE_SOURCE_DIR}/runner/report/page.c PROPERTIES
  COMPILE_DEFINITIONS PAGE_DIR="${report_page_dir}"
  OBJECT_DEPENDS "${report_page_dir}/page.css;${report_page_dir}/page.js")
