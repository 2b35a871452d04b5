# ingest_loop, the test that holds its instructions a packet to a budget, and those of scripts/perf.sh
# and scripts/bench.sh. Peers and real clients take part in the last one when tests/bench/build.sh has
# built them in this build directory; it tells what is missing. The description of the build is part
# of the budget: another compiler makes other instructions.
add_subdirectory(${CMAKE_CURRENT_LIST_DIR}/limits bench-limits)
add_executable(ingest_loop ${CMAKE_CURRENT_LIST_DIR}/ingest_loop.c
                           ${CMAKE_CURRENT_LIST_DIR}/ingest_client.c)
target_link_libraries(ingest_loop PRIVATE tally_server)
string(JOIN " " build_description ${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}
       ${CMAKE_BUILD_TYPE} ${CMAKE_C_FLAGS} ${SANITIZE} ${CMAKE_SYSTEM_PROCESSOR})
target_compile_definitions(ingest_loop PRIVATE BUILD_DESCRIPTION="${build_description}")
set_target_properties(ingest_loop PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})

# In sanitizer builds too, where nothing can be said of instructions.
foreach(load "45 0" "45 1" "1024 0")
  string(REPLACE " " ";" load ${load})
  list(POP_FRONT load bytes frame_packets)
  add_test(NAME bench/ingest_${bytes}_${frame_packets}
           COMMAND ingest_loop --packets 20000 --repeat 3 --packet-bytes ${bytes}
                   --frame-packets ${frame_packets})
  set_tests_properties(bench/ingest_${bytes}_${frame_packets} PROPERTIES LABELS bench TIMEOUT 120)
endforeach()

find_program(DEBIAN_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(DEBIAN_PYTHON)
  foreach(name instructions perf bench)
    add_test(NAME bench/test_${name}
             COMMAND ${DEBIAN_PYTHON} -B -m pytest -q -p no:cacheprovider
                     ${CMAKE_CURRENT_LIST_DIR}/test_${name}.py
             WORKING_DIRECTORY ${CMAKE_CURRENT_LIST_DIR})
    set_tests_properties(
      bench/test_${name}
      PROPERTIES LABELS bench TIMEOUT 900 SKIP_RETURN_CODE 77
                 ENVIRONMENT TALLYD_BUILD_DIR=${PROJECT_BINARY_DIR})
  endforeach()
endif()
