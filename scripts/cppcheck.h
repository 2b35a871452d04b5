/* For cppcheck 2.10 only, which does not read the system's headers: macros of <sys/queue.h> whose
 * first argument may be empty, which it takes for a syntax error. */
#define LIST_HEAD(name, type)                                                                      \
    struct {                                                                                       \
        struct type *lh_first;                                                                     \
    }
#define SLIST_HEAD(name, type)                                                                     \
    struct {                                                                                       \
        struct type *slh_first;                                                                    \
    }
