# Fetches what package-lock.json names into the directory PACKAGES, which holds nothing else, and
# gathers the licences of what goes into the program in PACKAGES/licences.txt.
#
#   cmake -DNPM=... -DSOURCE=... -DPACKAGES=... -P fetch.cmake
#
# npm compares each package with the hash in the lock file. No package's scripts are run: one that
# swagger-ui-dist brings along would report the installation to its makers.
file(MAKE_DIRECTORY ${PACKAGES})
file(COPY ${SOURCE}/package.json ${SOURCE}/package-lock.json DESTINATION ${PACKAGES})
execute_process(
  COMMAND ${NPM} ci --ignore-scripts --no-audit --no-fund --prefer-offline
  WORKING_DIRECTORY ${PACKAGES}
  OUTPUT_FILE ${PACKAGES}/npm.log
  ERROR_FILE ${PACKAGES}/npm.log
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "npm cannot fetch the web pages' packages: see ${PACKAGES}/npm.log, "
                      "or configure with -DDOCS_UI=OFF")
endif()

set(licences ${PACKAGES}/licences.txt)
file(WRITE ${licences} "What tallyd's web pages contain beside its own text, and its licences.\n")
foreach(file swagger-ui-dist/NOTICE swagger-ui-dist/LICENSE
             swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt uplot/LICENSE)
  file(READ ${PACKAGES}/node_modules/${file} text)
  file(APPEND ${licences} "\n---- ${file}\n\n${text}")
endforeach()
