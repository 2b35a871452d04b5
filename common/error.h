/*
 * The one size of the buffer that takes a line about what failed. A function writes such a line
 * with snprintf() into a buffer of its caller's, and often hands that on to another module: so all
 * are of one size, and none can be too small for who is handed it.
 */
#ifndef TALLYD_COMMON_ERROR_H
#define TALLYD_COMMON_ERROR_H

#define ERROR_BYTES 512

#endif
