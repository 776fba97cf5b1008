// A disk that fails, or that ends processes, at a chosen moment: loaded before the C library
// (LD_PRELOAD), told by a shared file what to do (`disk.py` has the same structure).
//
// A moment is right before or right after a call that changes what lies below one folder. Limits:
// calls that do not go through the dynamic C library (static programs, raw system calls, stores
// through mmap) pass unseen; a path is compared as it is given, so the folder must be a real path.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

enum Action { NONE, KILL_CALLER, KILL_GROUP, FULL, READ_ONLY };
enum Kind { MAKE = 1, WRITE = 2, NAME = 4, SYNC = 8, REMOVE = 16 };

struct State {
    char root[512];
    char only[64];
    char path[512];
    char call[16];
    int64_t at, count;
    int32_t action, kinds, driver, group, hit, caller, after;
};

State *state = nullptr;

__attribute__((constructor)) void open_state() {
    const char *path = getenv("FAULTS_DISK");
    if (!path) return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *found = mmap(nullptr, sizeof(State), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (found != MAP_FAILED) state = static_cast<State *>(found);
}

bool idle() { return !state || state->action == NONE || getpid() == state->driver; }

bool below(const char *path) {
    size_t length = strlen(state->root);
    return length && !strncmp(path, state->root, length) && (!path[length] || path[length] == '/');
}

// The absolute path of `name` below the folder `dir`, as the call was given it.
const char *whole(int dir, const char *name, char *out) {
    if (name[0] == '/') return name;
    char folder[PATH_MAX] = "";
    if (dir == AT_FDCWD) {
        if (!getcwd(folder, sizeof folder)) return name;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t length = readlink(link, folder, sizeof folder - 1);
        if (length < 0) return name;
        folder[length] = 0;
    }
    snprintf(out, 2 * PATH_MAX, "%s/%s", folder, name);
    return out;
}

void note(const char *call, const char *path, bool after) {
    strncpy(state->path, path, sizeof state->path - 1);
    strncpy(state->call, call, sizeof state->call - 1);
    state->caller = getpid();
    state->after = after;
    __atomic_store_n(&state->hit, 1, __ATOMIC_RELEASE);
}

// Returns the error that the call ends with, 0 for none. `first` says whether it is the first one.
int moment(Kind kind, const char *call, const char *path, bool after, bool *first = nullptr) {
    if (!(state->kinds & kind) || !below(path)) return 0;
    if (state->only[0] && !strstr(path, state->only)) return 0;
    int action = state->action;
    bool fails = action == FULL || action == READ_ONLY;
    if (fails && (after || kind == SYNC)) return 0;
    int64_t now = __atomic_add_fetch(&state->count, 1, __ATOMIC_ACQ_REL);
    if (now < state->at) return 0;
    if (now == state->at) note(call, path, after);
    if (fails) {
        if (first) *first = now == state->at;
        if (action == READ_ONLY) return EROFS;
        return kind & (MAKE | WRITE) ? ENOSPC : 0;
    }
    if (now != state->at) return 0;
    if (action == KILL_CALLER) kill(getpid(), SIGKILL);
    if (action == KILL_GROUP) kill(-state->group, SIGKILL);
    return 0;
}

template <typename F> F *next(const char *name) {
    return reinterpret_cast<F *>(dlsym(RTLD_NEXT, name));
}

// Make the call between two moments; -1 with the error where the first one fails it.
template <typename Call>
int around(Kind kind, const char *name, int dir, const char *path, Call call) {
    if (idle()) return call();
    char room[2 * PATH_MAX];
    const char *where = whole(dir, path, room);
    if (int error = moment(kind, name, where, false)) {
        errno = error;
        return -1;
    }
    int result = call();
    int kept = errno;
    moment(kind, name, where, true);
    errno = kept;
    return result;
}

// Likewise for an open file; false where it lies nowhere.
bool path_of(int fd, char *out) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    if (length <= 0 || out[0] != '/') return false;
    out[length] = 0;
    return true;
}

template <typename Call> auto on_file(Kind kind, const char *name, int fd, Call call) {
    char where[PATH_MAX];
    if (idle() || !path_of(fd, where)) return call(false);
    bool first = false;
    int error = moment(kind, name, where, false, &first);
    if (error == ENOSPC && first) return call(true);
    if (error) {
        errno = error;
        return static_cast<decltype(call(false))>(-1);
    }
    auto result = call(false);
    int kept = errno;
    moment(kind, name, where, true);
    errno = kept;
    return result;
}

bool makes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT; }

// An existing file that is opened for writing takes no room; on a read-only disk it fails too.
bool counts(int dir, const char *path, int flags) {
    if (idle() || !makes(flags)) return false;
    struct stat found;
    return state->action != FULL || fstatat(dir, path, &found, 0) != 0;
}

}  // namespace

#define OPEN(NAME, SIGNATURE, DIR, ...)                                                   \
    extern "C" int NAME SIGNATURE {                                                       \
        mode_t mode = 0;                                                                  \
        if (flags & (O_CREAT | O_TMPFILE)) {                                              \
            va_list rest;                                                                 \
            va_start(rest, flags);                                                        \
            mode = va_arg(rest, mode_t);                                                  \
            va_end(rest);                                                                 \
        }                                                                                 \
        static auto real = next<int SIGNATURE>(#NAME);                                    \
        if (!counts(DIR, path, flags)) return real(__VA_ARGS__);                          \
        return around(MAKE, "open", DIR, path, [&] { return real(__VA_ARGS__); });        \
    }
OPEN(open, (const char *path, int flags, ...), AT_FDCWD, path, flags, mode)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD, path, flags, mode)
OPEN(openat, (int dir, const char *path, int flags, ...), dir, dir, path, flags, mode)
OPEN(openat64, (int dir, const char *path, int flags, ...), dir, dir, path, flags, mode)

#define FOPEN(NAME)                                                                       \
    extern "C" FILE *NAME(const char *path, const char *mode) {                           \
        static auto real = next<FILE *(const char *, const char *)>(#NAME);               \
        int flags = strpbrk(mode, "wa+") ? O_WRONLY | O_CREAT : O_RDONLY;                 \
        if (!counts(AT_FDCWD, path, flags)) return real(path, mode);                      \
        FILE *made = nullptr;                                                             \
        around(MAKE, "fopen", AT_FDCWD, path, [&] { return (made = real(path, mode)) ? 0 : -1; }); \
        return made;                                                                      \
    }
FOPEN(fopen)
FOPEN(fopen64)

#define ON_PATH(KIND, NAME, SIGNATURE, DIR, PATH, ...)                                    \
    extern "C" int NAME SIGNATURE noexcept {                                              \
        static auto real = next<int SIGNATURE>(#NAME);                                    \
        return around(KIND, #NAME, DIR, PATH, [&] { return real(__VA_ARGS__); });         \
    }
ON_PATH(MAKE, mkdir, (const char *path, mode_t mode), AT_FDCWD, path, path, mode)
ON_PATH(MAKE, mkdirat, (int dir, const char *path, mode_t mode), dir, path, dir, path, mode)
ON_PATH(NAME, rename, (const char *from, const char *to), AT_FDCWD, to, from, to)
ON_PATH(NAME, renameat, (int a, const char *from, int b, const char *to), b, to, a, from, b, to)
ON_PATH(NAME, renameat2, (int a, const char *from, int b, const char *to, unsigned flags), b, to,
        a, from, b, to, flags)
ON_PATH(NAME, link, (const char *from, const char *to), AT_FDCWD, to, from, to)
ON_PATH(NAME, linkat, (int a, const char *from, int b, const char *to, int flags), b, to, a, from,
        b, to, flags)
ON_PATH(REMOVE, unlink, (const char *path), AT_FDCWD, path, path)
ON_PATH(REMOVE, unlinkat, (int dir, const char *path, int flags), dir, path, dir, path, flags)
ON_PATH(REMOVE, rmdir, (const char *path), AT_FDCWD, path, path)

#define SYNCED(NAME)                                                                      \
    extern "C" int NAME(int fd) {                                                         \
        static auto real = next<int(int)>(#NAME);                                         \
        /* The machine stays up, so nothing needs to reach the disk: the moment counts. */ \
        if (!idle()) return on_file(SYNC, #NAME, fd, [&](bool) { return 0; });            \
        return real(fd);                                                                  \
    }
SYNCED(fsync)
SYNCED(fdatasync)

// The first write on a disk that is full takes half of what it was given.
#define WRITTEN(NAME, SIGNATURE, SIZE, ...)                                               \
    extern "C" ssize_t NAME SIGNATURE {                                                   \
        static auto real = next<ssize_t SIGNATURE>(#NAME);                                \
        return on_file(WRITE, #NAME, fd, [&](bool half) -> ssize_t {                      \
            if (half && (SIZE = SIZE / 2) == 0) return errno = ENOSPC, -1;                \
            return real(__VA_ARGS__);                                                     \
        });                                                                               \
    }
WRITTEN(write, (int fd, const void *data, size_t size), size, fd, data, size)
WRITTEN(pwrite, (int fd, const void *data, size_t size, off_t at), size, fd, data, size, at)
WRITTEN(pwrite64, (int fd, const void *data, size_t size, off64_t at), size, fd, data, size, at)
WRITTEN(writev, (int fd, const struct iovec *parts, int number), number, fd, parts, number)

WRITTEN(sendfile, (int fd, int from, off_t *at, size_t size), size, fd, from, at, size)
WRITTEN(sendfile64, (int fd, int from, off64_t *at, size_t size), size, fd, from, at, size)

// Growing a file takes room; cutting it takes none.
#define GROWN(NAME, TYPE)                                                                 \
    extern "C" int NAME(int fd, TYPE size) noexcept {                                     \
        static auto real = next<int(int, TYPE)>(#NAME);                                   \
        struct stat found;                                                                \
        bool cut = !idle() && state->action == FULL && !fstat(fd, &found) && size <= found.st_size; \
        if (cut) return real(fd, size);                                                   \
        return on_file(WRITE, #NAME, fd, [&](bool half) -> int {                          \
            if (half) return errno = ENOSPC, -1;                                          \
            return real(fd, size);                                                        \
        });                                                                               \
    }
GROWN(ftruncate, off_t)
GROWN(ftruncate64, off64_t)
