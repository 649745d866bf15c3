# ottla_wiregen(OUT dir GROUPS n FROM path SCHEMAS file... HEADERS name...)
#   Runs wiregen on FROM (a schema, or a folder of the SCHEMAS) into the build tree, under gen/<dir>, which is on every include path
#   (#include "<dir>/<stem>.h"). Sets OTTLA_WIREGEN_SOURCES (for the room's library) and
#   OTTLA_WIREGEN_DEBUG_SOURCES (json_to and fill) and OTTLA_WIREGEN_WALK_SOURCES (walk): libraries of their own, for
#   tests and tools.
function(ottla_wiregen)
  cmake_parse_arguments(W "" "OUT;GROUPS;FROM" "SCHEMAS;HEADERS" ${ARGN})
  set(dir ${CMAKE_BINARY_DIR}/gen/${W_OUT})
  set(sources)
  set(debug_sources)
  set(walk_sources ${dir}/walk.h)
  math(EXPR last "${W_GROUPS} - 1")
  foreach(i RANGE ${last})
    list(APPEND sources ${dir}/messages_${i}.cc)
    list(APPEND debug_sources ${dir}/messages_debug_${i}.cc)
    list(APPEND walk_sources ${dir}/messages_walk_${i}.cc)
  endforeach()
  set(headers)
  foreach(h ${W_HEADERS})
    list(APPEND headers ${dir}/${h})
  endforeach()
  add_custom_command(
    OUTPUT ${sources} ${debug_sources} ${walk_sources} ${headers}
    COMMAND wiregen --groups ${W_GROUPS} ${dir} ${W_FROM}
    DEPENDS wiregen ${W_SCHEMAS}
    COMMENT "wiregen ${W_OUT}" VERBATIM)
  string(REPLACE "/" "_" target ${W_OUT})
  add_custom_target(wiregen_${target} DEPENDS ${sources} ${debug_sources} ${walk_sources} ${headers})
  set(OTTLA_WIREGEN_TARGET wiregen_${target} PARENT_SCOPE)
  set(OTTLA_WIREGEN_SOURCES ${sources} ${headers} PARENT_SCOPE)
  set(OTTLA_WIREGEN_DEBUG_SOURCES ${debug_sources} PARENT_SCOPE)
  set(OTTLA_WIREGEN_WALK_SOURCES ${walk_sources} PARENT_SCOPE)
endfunction()
