/*
 * Files that a user names: options, a password, tokens, certificates. A name can be wrong in ways
 * that would hang the reader (a FIFO that nobody writes) or never end (a device); those are
 * refused.
 *
 * Any thread; no state.
 */
#ifndef TALLYD_COMMON_REGULAR_FILE_H
#define TALLYD_COMMON_REGULAR_FILE_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Reads the file's first bytes, at most `room` of them, into `bytes` and nowhere else: nothing is
 * buffered. `mode`, unless NULL, gets the file's permissions, also when reading fails later. Never
 * waits for a writer. Returns how many bytes there were, or a negative errno: -EINVAL for what is
 * no regular file, a directory too; those of open(), fstat() and read(). */
ssize_t regular_file_read(const char *path, char *bytes, size_t room, unsigned *mode) MUST_CHECK;

/* Opens the file to be read, buffered; the caller closes it. Never waits for a writer. Returns NULL
 * with errno: EINVAL as above; those of open(), fstat() and fdopen(). */
FILE *regular_file_open(const char *path) MUST_CHECK;

/* What an errno of the two above means; strerror(3) knows nothing of regular files. */
const char *regular_file_strerror(int error);

#endif
