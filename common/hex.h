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

/* The byte that two digits stand for; -1 when they are none. Reads no further than a NUL. */
static inline int hex_byte(const char *digits)
{
    int high = hex_value(digits[0]), low = high < 0 ? -1 : hex_value(digits[1]);

    return low < 0 ? -1 : high << 4 | low;
}

#endif
