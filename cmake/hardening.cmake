# What makes a fault harder to exploit, in builds that are to run in earnest: those with a sanitizer
# have their own checks, and _FORTIFY_SOURCE needs an optimizing build. Each flag is taken where
# compiler and linker know it. scripts/check-hardening.sh looks at what came of it.
option(HARDENING "Compile in what makes faults harder to exploit" ON)
if(NOT HARDENING OR SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  return()
endif()

include(CheckCCompilerFlag)
include(CheckLinkerFlag)
include(CheckPIESupported)

check_pie_supported(LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON) # programs are then linked with -pie

set(hardening -fstack-protector-strong -fstack-clash-protection)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND hardening -fcf-protection=full)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  list(APPEND hardening -mbranch-protection=standard)
endif()
foreach(flag ${hardening})
  string(MAKE_C_IDENTIFIER "have${flag}" known)
  check_c_compiler_flag(${flag} ${known})
  if(${known})
    add_compile_options(${flag})
  endif()
endforeach()
# A distribution's compiler may set it to another value. Both are options, for CMake puts definitions
# before those. The C library does what it knows: 3 from glibc 2.34.
add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)

foreach(flag relro now noexecstack)
  check_linker_flag(C "LINKER:-z,${flag}" have_z_${flag})
  if(have_z_${flag})
    add_link_options("LINKER:-z,${flag}")
  endif()
endforeach()
