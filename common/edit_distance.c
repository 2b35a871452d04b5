/* See edit_distance.h. Of Levenshtein's table, of which each cell needs its three neighbours above
 * and to the left, one row is kept, and the cell that was overwritten last. */
#include "common/edit_distance.h"

#include "common/compiler.h"

#include <stdint.h>
#include <string.h>

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

size_t edit_distance(const char *a, const char *b)
{
    size_t row[64], length = strlen(b);

    if (length >= ARRAY_LENGTH(row))
        return SIZE_MAX;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t above = row[j];

            row[j] = smallest(row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length];
}
