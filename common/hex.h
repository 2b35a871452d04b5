/* Hexadecimal digits. Any thread; no state. */
#ifndef TALLYD_COMMON_HEX_H
#define TALLYD_COMMON_HEX_H

/* The value of a digit, of either case; -1 for what is none. */
static inline int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

#endif
