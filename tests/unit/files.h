/* Files that tests write for the code to read. */
#ifndef TALLYD_TESTS_FILES_H
#define TALLYD_TESTS_FILES_H

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Makes the file, or replaces what is in it. */
static inline void write_file(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* Makes a file of a name that is nobody's; writes that into `path`, a template of mkstemp(3). */
static inline void write_new_file(char *path, const char *bytes, size_t length)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    write_file(path, bytes, length);
}

#endif
