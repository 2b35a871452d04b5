/*
 * A program with a fault, for test_leaks.py: it leaks a block at its end, or reads memory that
 * nobody wrote. Built as tallyd is, so that whatever looks at tallyd looks at it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 4321

static void *volatile kept; /* so that no compiler leaves anything out */

int main(int argc, char **argv)
{
    const char *fault = argc > 1 ? argv[1] : "";

    kept = malloc(BLOCK_BYTES);
    if (!kept)
        return 1;
    if (strcmp(fault, "unset") == 0 && ((volatile char *)kept)[BLOCK_BYTES / 2] == 'x')
        puts("by chance");
    if (strcmp(fault, "leak") != 0)
        free(kept);
    kept = NULL;
    return 0;
}
