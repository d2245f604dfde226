# A test: code compiled for one ISA must not leak into the program. cmake -DNM= -DOBJDUMP=
# -DOBJECTS=a.o;b.o -P isa_objects.cmake
#
# An object of an ISA defines its table and nothing else that the linker could pick; no other
# object uses wide registers.
foreach(object IN LISTS OBJECTS)
  if(object MATCHES "/cpu/([a-z0-9_]+)/(table|blocks)\\.cc")
    set(isa ${CMAKE_MATCH_1})
    set(table kTable)
    if(CMAKE_MATCH_2 STREQUAL "blocks")
      set(table kBlockTable)
    endif()
    execute_process(COMMAND ${NM} --defined-only --extern-only --demangle ${object}
      OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
    string(STRIP "${symbols}" symbols)
    if(NOT symbols MATCHES "^[0-9a-f]+ [A-Z] sluice::kernels::${isa}::${table}$")
      message(SEND_ERROR "${object} must define sluice::kernels::${isa}::${table} alone:\n${symbols}")
    endif()
    if(NOT isa STREQUAL "scalar")
      continue()
    endif()
  endif()
  execute_process(COMMAND ${OBJDUMP} -d ${object}
    OUTPUT_VARIABLE code COMMAND_ERROR_IS_FATAL ANY)
  if(code MATCHES "%[yz]mm[0-9]")
    message(SEND_ERROR "${object} uses registers that not every CPU has")
  endif()
endforeach()
