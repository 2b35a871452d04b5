/*
 * Small files that a user names: a password, tokens. A name can be wrong in ways that would hang
 * the reader (a FIFO that nobody writes) or never end (a device); those are refused.
 *
 * Any thread; no state.
 */
#ifndef TALLYD_COMMON_REGULAR_FILE_H
#define TALLYD_COMMON_REGULAR_FILE_H

#include "common/compiler.h"

#include <stddef.h>
#include <sys/types.h>

/* Reads the file's first bytes, at most `room` of them, into `bytes` and nowhere else: nothing is
 * buffered. `mode`, unless NULL, gets the file's permissions, also when reading fails later. Never
 * waits for a writer. Returns how many bytes there were, or a negative errno: -EINVAL for what is
 * no regular file, a directory too; those of open(), fstat() and read(). */
ssize_t regular_file_read(const char *path, char *bytes, size_t room, unsigned *mode) MUST_CHECK;

#endif
