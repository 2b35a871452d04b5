/* The sending half of output.h; the filling half is inline, since it runs for every frame. */
#include "client/output.h"

#include <errno.h>
#include <sys/socket.h>

void output_init(struct output *output, uint8_t *store, size_t size)
{
    output->store = store;
    output->size = size;
    output->used = output->length = output->first = output->count = 0;
}

void output_drop(struct output *output, size_t length)
{
    output->length -= length;
    while (output->count > 0 && length >= output->pieces[output->first].iov_len) {
        length -= output->pieces[output->first].iov_len;
        output->first++;
        output->count--;
    }
    if (output->count == 0) {
        output->first = output->used = 0;
    } else {
        struct iovec *piece = &output->pieces[output->first];

        piece->iov_base = (uint8_t *)piece->iov_base + length;
        piece->iov_len -= length;
    }
}

int output_send(struct output *output, int fd)
{
    while (output->length > 0) {
        struct msghdr message = {.msg_iov = output->pieces + output->first,
                                 .msg_iovlen = output->count};
        ssize_t length = sendmsg(fd, &message, MSG_NOSIGNAL);

        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return errno == EWOULDBLOCK ? -EAGAIN : -errno;
        output_drop(output, (size_t)length);
    }
    return 0;
}
