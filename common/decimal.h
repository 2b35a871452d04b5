/* Numbers as decimal digits, where printf() would cost too much. Any thread; no state. */
#ifndef TALLYD_COMMON_DECIMAL_H
#define TALLYD_COMMON_DECIMAL_H

#include <stdint.h>

#define DECIMAL_BYTES 20 /* the digits of the largest number */

/* Writes the digits of `number`, without a NUL, so that they end just before `end`, behind at least
 * DECIMAL_BYTES bytes of room. Returns where they start. */
static inline char *decimal_write(uint64_t number, char *end)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return end;
}

#endif
