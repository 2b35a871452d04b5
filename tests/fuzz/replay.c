/*
 * Runs a fuzz target on files, and on each file of directories, without libFuzzer: so that what
 * a fuzzer once found is tried in every test run, with any compiler.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_BYTES (1 << 20)

static int fail(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return -1;
}

/* Returns 1, the number of files run, or -1. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *whole, *input;
    size_t length;

    if (!file)
        return fail(path);
    whole = malloc(INPUT_BYTES);
    length = whole ? fread(whole, 1, INPUT_BYTES, file) : 0;
    input = whole ? malloc(length + 1) : NULL; /* one more, for malloc(0) may return NULL */
    if (!input || ferror(file)) {
        free(whole);
        fclose(file);
        return fail(path);
    }
    /* At the end of its block, where a sanitizer sees a read past it. */
    memcpy(input + 1, whole, length);
    free(whole);
    fclose(file);
    fprintf(stderr, "%s\n", path); /* before it runs: it names the file if the target aborts */
    LLVMFuzzerTestOneInput(input + 1, length);
    free(input);
    return 1;
}

static int replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    int count = 0;

    if (!directory)
        return fail(path);
    while (count >= 0 && (entry = readdir(directory))) {
        char file[4096];

        if (*entry->d_name == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        count = replay_file(file) < 0 ? -1 : count + 1;
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat status;
        int count;

        if (stat(argv[i], &status))
            return fail(argv[i]) != 0;
        count = S_ISDIR(status.st_mode) ? replay_directory(argv[i]) : replay_file(argv[i]);
        if (count < 0)
            return 1;
        total += count;
    }
    printf("%d inputs replayed\n", total);
    return total > 0 ? 0 : 1; /* an empty corpus would prove nothing */
}
