/* cmocka, with the headers that it needs before it and does not include. */
#ifndef TALLYD_TESTS_UNIT_H
#define TALLYD_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* A group of its own, so that the formatter does not sort it before them. */
#include <cmocka.h>

#endif
