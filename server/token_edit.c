/* See token_edit.h. The directory is what is locked: the file itself is replaced, so a lock on it
 * would be a lock on what nobody sees any more; and a lock file would be left behind. */
#include "server/token_edit.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_WAIT_MS  10000
#define LOCK_POLL_US  20000
#define NEW_FILE_MODE 0600

static int fail(char error[ERROR_BYTES], int code, const char *what, const char *path)
{
    snprintf(error, ERROR_BYTES, "%s %.300s: %s", what, path, strerror(code));
    return -code;
}

static int lock_directory(struct token_edit *edit, const char *path, char error[ERROR_BYTES])
{
    uint64_t deadline_ms = clock_now_ms() + LOCK_WAIT_MS;
    char *copy = strdup(path);

    if (!copy)
        return fail(error, ENOMEM, "cannot lock the directory of", path);
    edit->directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (edit->directory < 0)
        return fail(error, errno, "cannot open the directory of", path);
    while (flock(edit->directory, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK)
            return fail(error, errno, "cannot lock the directory of", path);
        if (clock_now_ms() > deadline_ms) {
            snprintf(error, ERROR_BYTES,
                     "somebody else has held a lock on the directory of %.300s for %d s", path,
                     LOCK_WAIT_MS / 1000);
            return -EWOULDBLOCK;
        }
        usleep(LOCK_POLL_US);
    }
    return 0;
}

static int load(struct token_edit *edit, char error[ERROR_BYTES])
{
    int result = token_file_read(edit->path, &edit->file, NULL, error);

    edit->text = edit->file.text; /* its owner from now on */
    edit->length = edit->file.length;
    edit->file.text = NULL;
    return result;
}

int token_edit_begin(struct token_edit *edit, const char *path, bool may_be_missing,
                     char error[ERROR_BYTES])
{
    int result;

    *edit = (struct token_edit){.directory = -1};
    edit->path = realpath(path, NULL);
    if (!edit->path && errno != ENOENT)
        return fail(error, errno, "cannot open", path);
    if (!edit->path && !(edit->path = strdup(path)))
        return fail(error, ENOMEM, "cannot open", path);
    if ((result = lock_directory(edit, edit->path, error)))
        return result;
    /* Looked for under the lock: somebody else may just have made it. */
    edit->exists = !access(edit->path, F_OK);
    if (edit->exists || !may_be_missing)
        return load(edit, error);
    edit->text = strdup("");
    return edit->text ? 0 : fail(error, ENOMEM, "cannot read", path);
}

/* The new file belongs to whom the old one did: a tallyd that runs as another user could not read
 * it otherwise. Returns 0 or a negative errno. */
static int take_over_owner(const struct token_edit *edit, int fd)
{
    struct stat old, new;

    if (!edit->exists)
        return fchmod(fd, NEW_FILE_MODE) ? -errno : 0;
    if (stat(edit->path, &old) || fstat(fd, &new))
        return -errno;
    if ((old.st_uid != new.st_uid || old.st_gid != new.st_gid) &&
        fchown(fd, old.st_uid, old.st_gid))
        return -errno;
    return fchmod(fd, old.st_mode & 07777) ? -errno : 0;
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length) {
        ssize_t wrote = write(fd, text, length);

        if (wrote < 0 && errno != EINTR)
            return -errno;
        text += wrote > 0 ? wrote : 0;
        length -= wrote > 0 ? (size_t)wrote : 0;
    }
    return fsync(fd) ? -errno : 0;
}

static int replace(const struct token_edit *edit, char *temporary, const char *text, size_t length)
{
    int fd = mkostemp(temporary, O_CLOEXEC), result;

    if (fd < 0)
        return -errno;
    result = take_over_owner(edit, fd);
    if (!result)
        result = write_all(fd, text, length);
    if (close(fd) && !result)
        result = -errno;
    if (!result && rename(temporary, edit->path))
        result = -errno;
    if (result)
        unlink(temporary);
    else if (fsync(edit->directory))
        result = -errno;
    return result;
}

int token_edit_commit(struct token_edit *edit, const char *text, size_t length,
                      char error[ERROR_BYTES])
{
    char reason[ERROR_BYTES], *temporary;
    struct token_file file;
    int result = token_file_parse(&file, text, length, reason);

    if (!result && length > TOKEN_FILE_MAX_BYTES) {
        snprintf(reason, sizeof reason, "%s", strerror(EFBIG));
        result = -EFBIG;
    }
    token_file_fini(&file);
    if (result) {
        snprintf(error, ERROR_BYTES, "%.250s would be wrong: %.200s", edit->path, reason);
        return result;
    }
    if (asprintf(&temporary, "%s.XXXXXX", edit->path) < 0)
        return fail(error, ENOMEM, "cannot write", edit->path);
    result = replace(edit, temporary, text, length);
    free(temporary);
    return result ? fail(error, -result, "cannot write", edit->path) : 0;
}

void token_edit_end(struct token_edit *edit)
{
    token_file_fini(&edit->file);
    free(edit->text);
    free(edit->path);
    if (edit->directory >= 0)
        close(edit->directory); /* unlocks it */
}
