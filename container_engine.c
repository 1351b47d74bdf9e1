/*
 * container_engine - a container engine in one file, to be read from top to bottom.
 *
 * 1. What a container is
 *
 * A container is not a thing inside the kernel. It is an ordinary process, around which the engine
 * has put walls before it lets a program run there:
 *
 *   - namespaces: it sees process ids, mounts, a host name, network interfaces, System V IPC,
 *     user ids and a cgroup tree of its own                               namespaces(7)
 *   - a root file system of its own, entered with pivot_root, the old one detached
 *   - a cgroup, which limits its processor time, memory and processes     cgroups(7)
 *   - few capabilities and a filter on system calls, because all containers of a machine
 *     share one kernel                                     capabilities(7), seccomp(2)
 *
 * Two processes of ours build it. Each walks through its own table of steps (host_steps and
 * container_steps below; they are the plan of the file). Time runs downwards:
 *
 *   the engine, on the host                    the child, becoming the container
 *   -----------------------                    ---------------------------------
 *   claim     take the name and the address
 *   cgroup    write the limits
 *   clone     ------- clone3(CLONE_NEW*) ----> private   wait for the root
 *   users     map the child's user ids                     .
 *   network   start ip(8): veth pair, address              .
 *   layer     overlayfs: a writable layer                  .
 *             over the rootfs; all mounts:                 .
 *             ------- TREES ---------------->            leave the caller's session and mounts
 *                                              mounts    proc, sys, dev, volumes; mask what leaks
 *                                              pivot     change the root, detach the old one
 *                                              hostname  its name, loopback up
 *                                              caps      drop capabilities, become the user
 *                                              seccomp   filter system calls
 *   go        <----- (WALLS_STAND) ----------- exec      (wait for the network)
 *             wait for ip; plug it in                    with a network or a terminal only
 *             ------ (GO) ------------------->
 *             <------ READY ------------------           just before it becomes the program
 *             <------ end of the connection --           the kernel closes it when it does
 *   (serve: pass terminal, output and signals on; wait for the end)
 *
 * They talk over a socket, which can carry descriptors. A child that fails says why, and ends.
 *
 * Each host step has an undo. At the end, when a step fails, and when the next command finds that
 * an engine was killed, the same table is walked backwards: nothing is left behind.
 *
 * Words: lower, upper, merged: the layers of overlayfs. veth: two network interfaces, joined like
 * the ends of a cable. A detached mount: one that only a descriptor holds, attached to no directory
 * yet. pidfd: a descriptor of a process, which no other process can get by having its old number.
 * To set aside: to rename, so that the name is free; it is removed later. To sweep: to clean up
 * after an engine that was killed.
 *
 * For a first reading: sections 1 to 6 in their order; skip section 7 (serve), and in section 3,
 * the small helpers, what you do not miss. Options, commands, teaching output and OCI, the
 * interface through which podman and docker drive a container runtime, stand in the later parts,
 * which use Part I, and which Part I does not need.
 *
 * Exit status: the program's own, 128+n when signal n ended it, 125 when the engine failed,
 * 126 when the program cannot be executed, 127 when it is not found.
 *
 * Only libc and the kernel are used: Linux 5.15 or newer, 5.19 for user namespaces over layers. The
 * network is configured by ip(8). MIT license.
 */

/* ==== Part I: The story =================================================================== */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* What <sys/mount.h> would give, which older C libraries cannot have beside <linux/mount.h>. */
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);
enum { DETACH = 2 }; /* MNT_DETACH */

/* ---- 2. What a container is made of ------------------------------------------------------ */

#define VERSION       "0.2.0"
#define LIB_DIR       "/var/lib/container_engine" /* a directory a container */
#define NETNS_DIR     "/run/netns"                /* where ip-netns(8) looks for names */
#define STANDARD_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#ifndef ENV_SH /* the two scripts, in messages; `make install` gives them other names */
#define ENV_SH    "./env.sh"
#define ROOTFS_SH "./rootfs-fetch.sh"
#endif
#define COPY(array, text) snprintf(array, sizeof(array), "%s", text)
#define COUNT(array)      (sizeof(array) / sizeof *(array))

enum {
    ENGINE_FAILED = 125, /* these three as env(1) and docker have them */
    NOT_EXECUTABLE = 126,
    NOT_FOUND = 127,
    FIRST_ID = 600178688, /* user ids of containers begin above those of /etc/subuid, and in what */
                          /* systemd leaves to them (524288-1879048191) */
    IDS = 65536,          /* user ids in each container */
    ID_RANGES = 19514,    /* ranges of so many */
    CPU_PERIOD = 100000,  /* microseconds, the kernel's default */
    WAIT_SECONDS = 10,    /* for a lock, for ip(8), from TERM to KILL: as long as docker waits */
    NAME_LENGTH = 64,     /* of a host name, too: the kernel's limit */
    RECORD = 8192,        /* bytes of struct made in a state file */
    LOG_BYTES = 1 << 20,  /* of a detached container's output; one older file is kept */
    TALK_FD = 3,          /* the only descriptor besides 0, 1, 2 that lives until exec */
};

/* clang-format off */
/* Namespaces: the file below /proc/PID/ns, the name in OCI's config.json, the flag of clone3(2). */
static const struct namespace {
    const char *file, *oci_name;
    uint64_t flag;
} namespaces[] = {
    {"cgroup", "cgroup", CLONE_NEWCGROUP}, {"ipc", "ipc", CLONE_NEWIPC},
    {"mnt", "mount", CLONE_NEWNS},         {"net", "network", CLONE_NEWNET},
    {"pid", "pid", CLONE_NEWPID},          {"user", "user", CLONE_NEWUSER},
    {"uts", "uts", CLONE_NEWUTS},
};
/* clang-format on */

/* A mount inside. Of a file system of the kernel's own, or of what is on the host already: the
 * engine opens that for the child, which then only puts it in its place; a device (data) the child
 * opens itself. A relative source lies in the container's directory. */
struct mount {
    const char *type; /* of a file system; "bind"; "rbind": with all that is mounted below it */
    const char *source, *target;
    const char *data;             /* options; of a bind: the numbers of the device it must be */
    uint64_t attributes, cleared; /* MOUNT_ATTR_*; IDMAP: root's on the host is root's inside */
    uint64_t propagation;         /* MS_SHARED, MS_SLAVE of a bind; 0: private */
    bool top_only;                /* of an rbind: attributes are for its top mount alone */
};

enum {
    RDONLY = MOUNT_ATTR_RDONLY,
    QUIET = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    /* A device of the host's can be written to all the same; its owner and mode cannot change. */
    DEVICE = RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
};

static const struct mount default_mounts[] = {
    /* type, source, target, data, attributes */
    {"proc", "proc", "/proc", NULL, QUIET},
    {"sysfs", "sysfs", "/sys", NULL, QUIET | RDONLY},
    {"cgroup2", "cgroup", "/sys/fs/cgroup", NULL, QUIET | RDONLY},
    {"tmpfs", "tmpfs", "/dev", "mode=755,size=64k,nr_inodes=1k",
     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
    {"devpts", "devpts", "/dev/pts", "ptmxmode=0666,mode=0620,gid=5,max=256",
     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
    {"tmpfs", "shm", "/dev/shm", "mode=1777,size=64m,nr_inodes=16k", QUIET},
    {"mqueue", "mqueue", "/dev/mqueue", NULL, QUIET},
    {"bind", "/dev/null", "/dev/null", "1:3", DEVICE},
    {"bind", "/dev/zero", "/dev/zero", "1:5", DEVICE},
    {"bind", "/dev/full", "/dev/full", "1:7", DEVICE},
    {"bind", "/dev/random", "/dev/random", "1:8", DEVICE},
    {"bind", "/dev/urandom", "/dev/urandom", "1:9", DEVICE},
    {"bind", "/dev/tty", "/dev/tty", "5:0", DEVICE},
    {"bind", "hosts", "/etc/hosts", NULL, QUIET},
    {"bind", "resolv.conf", "/etc/resolv.conf", NULL, QUIET}, /* with a network only */
};

static const char *const device_links[][2] = {
    {"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"},
    {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"},
};

/* clang-format off */
/* What speaks of the whole machine, whatever the namespace, is hidden or cannot be written; and so
 * is each processor's THROTTLE. Not every kernel has every part. */
static const char *const default_masked[] = {
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags", "/proc/latency_stats",
    "/proc/pagetypeinfo", "/proc/sched_debug", "/proc/scsi", "/proc/slabinfo", "/proc/timer_list",
    "/proc/timer_stats", "/proc/vmallocinfo", "/sys/dev/block", "/sys/devices/virtual/powercap",
    "/sys/firmware",
};
#define THROTTLE "/sys/devices/system/cpu/cpu%ld/thermal_throttle"
static const char *const default_read_only[] = {
    "/proc/bus", "/proc/dynamic_debug", "/proc/fs", "/proc/irq", "/proc/sys",
    "/proc/sysrq-trigger", NULL,
};

/* The limits of cgroups(7): the file, the value, and whether somebody asked for it. One that was
 * asked for must be in force; a default one is given up, with a warning, where it cannot be. */
struct setting {
    const char *file, *value;
    bool asked;
};

/* Limits of a process, soft and hard, which it would inherit from whoever called us. With a
 * priority of real time (RTPRIO) it would not be under cpu.max. getrlimit(2) */
#define UNLIMITED {RLIM_INFINITY, RLIM_INFINITY}
static const struct rlimit default_process_limits[RLIM_NLIMITS] = {
    [RLIMIT_AS] = UNLIMITED,           [RLIMIT_CORE] = {0, RLIM_INFINITY},
    [RLIMIT_CPU] = UNLIMITED,          [RLIMIT_DATA] = UNLIMITED,
    [RLIMIT_FSIZE] = UNLIMITED,        [RLIMIT_LOCKS] = UNLIMITED,
    [RLIMIT_MEMLOCK] = {8 << 20, 8 << 20}, [RLIMIT_MSGQUEUE] = {819200, 819200},
    [RLIMIT_NICE] = {0, 0},            [RLIMIT_NOFILE] = {1024, 1 << 20},
    [RLIMIT_NPROC] = UNLIMITED,        [RLIMIT_RSS] = UNLIMITED,
    [RLIMIT_RTPRIO] = {0, 0},          [RLIMIT_RTTIME] = UNLIMITED,
    [RLIMIT_SIGPENDING] = {16384, 16384}, [RLIMIT_STACK] = {8 << 20, RLIM_INFINITY},
};

/* docker's capabilities, but MKNOD: no device node made inside could be opened. */
#define CAP(name) (1ULL << CAP_##name)
enum { BOUNDING, EFFECTIVE, PERMITTED, INHERITABLE, AMBIENT, CAPABILITY_SETS };
enum { ALL_BUT_BOUNDING = (CAPABILITY_SETS - 1) * sizeof(uint64_t) };
static const uint64_t default_capabilities =
    CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FOWNER) | CAP(FSETID) | CAP(KILL) | CAP(SETGID) |
    CAP(SETUID) | CAP(SETPCAP) | CAP(NET_BIND_SERVICE) | CAP(NET_RAW) | CAP(SYS_CHROOT) |
    CAP(AUDIT_WRITE) | CAP(SETFCAP);
/* clang-format on */

/* What a system call filter says to a call: action, if all tests of its arguments hold. */
struct rule {
    int call;
    uint32_t action; /* SECCOMP_RET_* */
    unsigned count;
    struct test {
        unsigned char argument;
        enum { EQ, NE, LT, LE, GE, GT } compare;
        uint64_t mask, value; /* (argument & mask) compared with value, 64 bits, unsigned */
    } tests[6];
};

enum { MOUNTS = 240, PATHS = 1024, VARIABLES = 512, SETTINGS = 48, GROUPS = 64 };

/* What was asked for, by options or by OCI's config.json. When the first step is taken it is
 * complete, and nobody writes to it any more. */
struct wanted {
    const char *name, *rootfs, *hostname;
    const char *bundle;           /* OCI's; NULL: it is a container of ours */
    const char *address, *bridge; /* "": loopback only */
    const char *gateway;          /* the bridge's own address */
    int prefix;                   /* length of its network, in bits */
    uint32_t first, last;         /* of the addresses that will do */
    const char *lib_dir;          /* where its directory is */
    const char *cgroup;           /* its cgroup's path below the mount of cgroup2 */
    const char *cwd;
    char **argv;
    char *environment[VARIABLES + 1];
    struct mount mounts[MOUNTS + 1]; /* the root first; up to the one without a type */
    const char *masked[PATHS + 1], *read_only_paths[PATHS + 1]; /* up to NULL */
    uint64_t namespaces;                   /* CLONE_NEW* to be made; the others are the host's, */
    const char *joined[COUNT(namespaces)]; /* or that of this file */
    const char *uid_map, *gid_map;         /* instead of the container's range */
    long long kept_fds; /* OCI: so many of the caller's, from 3 on, are passed on */
    struct setting settings[SETTINGS + 1]; /* up to the one without a file */
    struct rlimit process_limits[RLIM_NLIMITS];
    uint64_t capabilities[CAPABILITY_SETS];
    const char *user, *group; /* names instead of uid and gid; group "": the user's own */
    uid_t uid;
    gid_t gid, groups[GROUPS];
    size_t group_count;
    mode_t umask;
    struct rule *rules; /* the filter of system calls; NULL: none */
    size_t rule_count;
    uint32_t otherwise; /* what the filter says where no rule fits */
    int last_call;      /* calls above this one do not exist, it says */
    int oom_score;
    enum { OFF, ON, AUTO } users; /* a user namespace; AUTO is decided before the first step */
    bool write_through, read_only, remove, detach, terminal, no_new_privileges, chroot, keep_files;
};

/* What has been made so far. It outlives the process in the file "state" of the container's
 * directory: texts and numbers, by name. */
struct made {
    char rootfs[PATH_MAX], cgroup[512], bundle[1024], address[INET_ADDRSTRLEN], bridge[IF_NAMESIZE];
    char hostname[65], boot[37];    /* boot: of the kernel that gave the numbers below */
    char command[256];              /* argv in one line, for people */
    long long pid, start, started;  /* PID 1; its start in ticks since boot; in seconds UTC */
    long long engine, engine_start; /* the process that looks after it */
    long long status;               /* exit status of the last run; -1 while it runs */
    long long users, base;          /* a user namespace; host id of the container's root */
    long long remove;               /* whether its directory goes at the end */
};

/* What the engine and the child say to each other, in records of this one length: the engine TREES
 * (the mounts, as descriptors) and GO; the child the others, for what the picture above says. */
struct report {
    enum { ENDED, FAILED, TREES, WALLS_STAND, GO, READY } kind; /* ENDED (0): none came */
    int status;              /* FAILED: what the engine is to exit with */
    char step[16], why[240]; /* why: empty as long as nothing has failed */
};

/* A program of the host's that runs for us: ip(8), rm(1), a hook. */
struct program {
    const char *path;                       /* NULL: the first word, by PATH */
    char *const *argv, *const *environment; /* NULL: ours */
    int netns_fd;                           /* where it runs; -1: here */
    int input_fd, output_fd;
    pid_t pid;
};

/* Everything about one container. A process knows one; descriptors are -1 when not open. */
struct container {
    struct wanted want;
    struct made made;
    int lib_fd, dir_fd, cgroup_fd; /* directories: of all containers, its own, its cgroup's */
    int pid_fd, talk_fd;           /* the child; our end of the socket to it */
    int users_fd, mounts_fd;       /* its namespaces; the mounts live as long as this is open */
    int tree_fds[MOUNTS];          /* the mounts of the rows in want.mounts; the root first */
    int join_fd;                   /* of the command exec alone: the first process */
    int stdio[3], ours[3];         /* the program's 0, 1, 2, and our ends of those pipes */
    int terminal_fd, slave_fd;     /* its terminal: the master, and what programs have open */
    int signal_fd, log_fd;
    int running_fd;    /* -d: to the process that the user started */
    bool fresh, ended; /* its directory is new; its end was seen */
    bool waits_for_go; /* the child, when its walls stand: for a network, for its terminal */
    bool has_terminal; /* one of 0, 1, 2 is one */
    bool swept;        /* a directory was set aside, and waits for its removal */
    int forwarded;     /* the signal for which we end the container */
    size_t placed;     /* so many of the mounts are in their places */
    char *words;       /* our command line, for `start` */
    size_t words_size;
    struct program program;
    struct rlimit limits[RLIM_NLIMITS];     /* ours, which the child begins with */
    const struct step *child_steps, *steps; /* the child's table; the one that we walk through */
    const char *step;                       /* the name of the one that runs now */
    struct report report;                   /* the last one; the engine's own failures too */
    bool back;                              /* the steps are being undone */
    int (*tell)(struct container *c, const char *call, long result); /* --explain */
};

/* clang-format off */
static const struct container blank = {
    .lib_fd = -1, .dir_fd = -1, .cgroup_fd = -1, .pid_fd = -1, .talk_fd = -1,
    .users_fd = -1, .mounts_fd = -1, .tree_fds = {[0 ... MOUNTS - 1] = -1}, .join_fd = -1,
    .stdio = {-1, -1, -1}, .ours = {-1, -1, -1}, .terminal_fd = -1, .slave_fd = -1,
    .signal_fd = -1, .log_fd = -1, .running_fd = -1, .made = {.status = -1},
};
/* clang-format on */

/* A step returns 0, or -1 when it failed and the reason is noted. about says what it does, look is
 * a command that shows it. An undo is safe when its step ran half, twice, or not at all. */
struct step {
    const char *name, *about, *look;
    int (*make)(struct container *c);
    void (*undo)(struct container *c);
};

/* System calls for which not every C library has a function. */
static int sys_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t resolve) {
    const struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
    return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
}
static int sys_open_tree(int dir_fd, const char *path, unsigned flags) { /* a detached copy */
    return (int)syscall(SYS_open_tree, dir_fd, path,
                        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | flags);
}
static int sys_move_mount(int tree_fd, int at_fd, const char *path) { /* attach it there */
    return (int)syscall(SYS_move_mount, tree_fd, "", at_fd, path,
                        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}
static int sys_mount_setattr(int tree_fd, unsigned flags, const struct mount_attr *a) {
    return (int)syscall(SYS_mount_setattr, tree_fd, "", AT_EMPTY_PATH | flags, a, sizeof *a);
}
static int sys_pidfd_open(long long pid) {
    return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}
static int sys_pidfd_send_signal(int pid_fd, int number) {
    return (int)syscall(SYS_pidfd_send_signal, pid_fd, number, NULL, 0);
}

/* ---- 3. Kit: reports, files, processes --------------------------------------------------- */

/* One line on stderr, in one write; nothing that came from outside can make two of it. */
static void (*log_line)(const char *line);
__attribute__((format(printf, 1, 2))) static void warn(const char *format, ...) {
    char line[1024] = "container_engine: ";
    const size_t n = strlen(line);
    va_list args;
    va_start(args, format);
    vsnprintf(line + n, sizeof line - n, format, args);
    va_end(args);
    for (char *p = line; *p; p++)
        if (iscntrl((unsigned char)*p) || (p[0] == '\xc2' && p[1] < '\xa0')) *p = '?';
    dprintf(STDERR_FILENO, "%s\n", line);
    if (log_line) log_line(line + n);
}

#define die(...) (warn(__VA_ARGS__), exit(ENGINE_FAILED)) /* only before anything was made */

enum { COMMAND_LINE = 6 << 20 }; /* no longer one can be made. execve(2) */
static char kept[COMMAND_LINE + (2 << 20)], *kept_end = kept;

/* A string that lives as long as we do. */
__attribute__((format(printf, 1, 2))) static char *keep(const char *format, ...) {
    const size_t left = (size_t)(kept + sizeof kept - kept_end);
    va_list args;
    va_start(args, format);
    const size_t n = (size_t)vsnprintf(kept_end, left, format, args);
    va_end(args);
    if (n >= left) die("too many words");
    kept_end += n + 1;
    return kept_end - n - 1;
}

/*
 * What a call did, in the words of the format. --explain shows it; of one that failed (below 0) it
 * is noted why, to be printed once, with the step's name.
 *
 *   did(c, result, ...)   returns the result, whatever it is
 *   fail(c, ...)          returns -1: it failed, and errno says why
 *   refuse(c, ...)        returns -1: the same where errno has nothing to say
 *   must(c, result, ...)  in the child, which ends here if the call failed
 *   need(c, result, ...)  the same, for a call that --explain need not show
 */
__attribute__((format(printf, 3, 4))) static int did(struct container *c, long result,
                                                     const char *call, ...) {
    const int error = errno;
    char text[1024];
    va_list args;
    if (result >= 0 && !c->tell) return (int)result;
    va_start(args, call);
    vsnprintf(text, sizeof text, call, args);
    va_end(args);
    if (c->tell && (result >= 0 || error)) c->tell(c, text, result < 0 ? -error : result);
    if (result < 0)
        snprintf(c->report.why, sizeof c->report.why, error ? "%.180s: %s" : "%.239s", text,
                 strerror(error));
    errno = error;
    return (int)result;
}

#define fail(c, ...)   did(c, -1, __VA_ARGS__)
#define refuse(c, ...) (errno = 0, fail(c, __VA_ARGS__))

/* Pass a record through a socket, and descriptors with it: ours to the other end, or, where its
 * kind is not set, the other end's to us. Returns 0 at the end of the connection, -1 for an error.
 * Of descriptors that do not come, the old numbers stay in fds. unix(7) */
static ssize_t pass(int socket_fd, struct report *r, int *fds, size_t count) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * MOUNTS)];
    } u = {.header = {CMSG_LEN(sizeof(int) * count), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec record = {r, sizeof *r};
    struct msghdr m = {.msg_iov = &record, .msg_iovlen = 1};
    if (count) {
        m.msg_control = &u;
        m.msg_controllen = CMSG_LEN(sizeof(int) * count); /* SPACE would let one more in */
        memcpy(CMSG_DATA(&u.header), fds, sizeof(int) * count);
    }
    if (r->kind) return sendmsg(socket_fd, &m, MSG_NOSIGNAL);
    const ssize_t n = recvmsg(socket_fd, &m, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == ECONNRESET) return 0; /* it ended before it had heard everything */
    if (n > 0 && m.msg_flags & MSG_CTRUNC) return errno = EMFILE, -1;
    if (n > 0 && fds && m.msg_controllen)
        memcpy(fds, CMSG_DATA(&u.header), u.header.cmsg_len - CMSG_LEN(0));
    return n;
}

/* Send one that says no more than its kind. */
static ssize_t say(int socket_fd, int kind, int *fds, size_t count) {
    struct report r = {.kind = kind};
    return pass(socket_fd, &r, fds, count);
}

/* The child cannot undo anything, and need not: it says why, and ends. */
static _Noreturn void give_up(struct container *c) {
    c->report.kind = FAILED;
    COPY(c->report.step, c->step);
    struct report last = c->report;
    _exit(pass(c->talk_fd, &last, NULL, 0) < 0 ? ENGINE_FAILED : last.status);
}

#define must(c, ...)         (did(c, __VA_ARGS__) < 0 ? give_up(c) : (void)0)
#define need(c, result, ...) ((result) < 0 ? (fail(c, __VA_ARGS__), give_up(c)) : (void)0)

/* The words for CLONE_* and MOUNT_ATTR_*, of which no two have the same bit, in what is told. */
static const char *names_of(uint64_t flags) {
    /* clang-format off */
    static const struct {
        uint64_t flag;
        const char *name;
    } names[] = {
        {RDONLY, "ro"}, {MOUNT_ATTR_NOSUID, "nosuid"}, {MOUNT_ATTR_NODEV, "nodev"},
        {MOUNT_ATTR_NOEXEC, "noexec"}, {MOUNT_ATTR_IDMAP, "idmap"}, {CLONE_NEWCGROUP, "NEWCGROUP"},
        {CLONE_NEWIPC, "NEWIPC"}, {CLONE_NEWNS, "NEWNS"}, {CLONE_NEWNET, "NEWNET"},
        {CLONE_NEWPID, "NEWPID"}, {CLONE_NEWUSER, "NEWUSER"}, {CLONE_NEWUTS, "NEWUTS"},
        {CLONE_INTO_CGROUP, "INTO_CGROUP"},
    };
    /* clang-format on */
    static char text[128];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < COUNT(names); i++)
        if (flags & names[i].flag)
            n += (size_t)snprintf(text + n, sizeof text - n, n ? ",%s" : "%s", names[i].name);
    return text;
}

/* Safe to call twice, and keeps errno for the report that follows. */
static void close_fd(int *fd) {
    const int error = errno;
    if (*fd >= 0) close(*fd);
    *fd = -1;
    errno = error;
}

/* A small file as a string; its length, or -1 when it cannot be read. Nobody is waited for who
 * writes to it: a container's may be a FIFO. */
static ssize_t read_file(int dir_fd, const char *name, char *text, size_t size) {
    int fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    close_fd(&fd);
    return n;
}

/* In one write, as the kernel's control files want it. */
static int write_file(int dir_fd, const char *name, const char *text) {
    int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
    close_fd(&fd);
    return n < 0 ? -1 : 0;
}

/* Make an empty directory or file, whichever like_fd is. */
static int make_like(int like_fd, int dir_fd, const char *name) {
    struct stat s;
    if (fstat(like_fd, &s) < 0) return -1;
    return S_ISDIR(s.st_mode) ? mkdirat(dir_fd, name, 0755)
                              : mknodat(dir_fd, name, S_IFREG | 0644, 0);
}

/* A descriptor of a path below a directory. What is missing is made: directories on the way, at the
 * end a directory or a file, whichever like_fd is (-1: nothing is made). RESOLVE_IN_ROOT: links are
 * followed as if the directory were "/"; RESOLVE_NO_SYMLINKS: there must be none. No link leads
 * out, even when somebody exchanges directories meanwhile; one that leads nowhere is replaced. path
 * is changed meanwhile. openat2(2) */
static int open_inside(int dir_fd, char *path, int like_fd, uint64_t resolve) {
    int fd = -1;
    for (int tries = 0; tries < 3; tries++) {
        fd = sys_openat2(dir_fd, *path ? path : ".", O_PATH, resolve | RESOLVE_NO_MAGICLINKS);
        if (fd >= 0 || errno != ENOENT || like_fd < 0) return fd;
        char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;
        if (slash) *slash = '\0';
        int parent_fd = slash ? open_inside(dir_fd, path, dir_fd, resolve) : dir_fd;
        if (slash) *slash = '/';
        if (parent_fd < 0) return -1;
        const int made = *name ? make_like(like_fd, parent_fd, name) : 0; /* "//" has no name */
        const bool there = made < 0 && errno == EEXIST; /* a link that leads nowhere */
        if (there) unlinkat(parent_fd, name, 0);
        if (slash) close_fd(&parent_fd);
        if (made < 0 && !there) return -1;
    }
    return fd;
}

static bool is_bind(const struct mount *m) {
    return strcmp(m->type, "bind") == 0 || strcmp(m->type, "rbind") == 0;
}

/* Does the engine open it for the child? Not a device, which anybody can open. */
static bool is_given(const struct mount *m) {
    return is_bind(m) && !m->data;
}

/* Does path lie below dir? */
static bool is_below(const char *path, const char *dir) {
    const size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* A path without the slashes at its end. */
static char *trim(char *path) {
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/';) path[--n] = '\0';
    return path;
}

/* A new file system of the kernel's, attached to nothing yet. fsopen(2) */
static int make_file_system(const struct mount *m) {
    char *rest = keep("%s", m->data ? m->data : ""), *option;
    int tree_fd = -1, fs_fd = (int)syscall(SYS_fsopen, m->type, FSOPEN_CLOEXEC);
    if (fs_fd < 0) return -1;
    long result = syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_STRING, "source", m->source, 0);
    while (result == 0 && (option = strsep(&rest, ",")) != NULL) {
        if (!*option) continue;
        char *value = strchr(option, '=');
        if (value) *value++ = '\0';
        result = syscall(SYS_fsconfig, fs_fd, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
                         option, value, 0);
    }
    if (result == 0) result = syscall(SYS_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    if (result == 0)
        tree_fd = (int)syscall(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC, (unsigned)m->attributes);
    close_fd(&fs_fd);
    return tree_fd;
}

/* To ask about an interface of the network, or to change it. netdevice(7) */
static int ask_interface(unsigned long question, struct ifreq *r) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int result = fd < 0 ? -1 : ioctl(fd, question, r);
    close_fd(&fd);
    return result;
}

/* When the process began, in ticks since boot: field 22 of proc_pid_stat(5). -1: it is dead; -2:
 * nobody can tell. */
static long long start_time(long long pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", pid);
    if (pid <= 0) return -1;
    if (read_file(AT_FDCWD, path, text, sizeof text) < 0)
        return errno == ENOENT || errno == ESRCH ? -1 : -2;
    char *at = strrchr(text, ')'); /* the name, in brackets, may be anything; the state follows */
    if (!at || strchr("ZX", at[2])) return -1;
    for (int field = 2; field < 22 && at; field++) at = strchr(at + 1, ' ');
    return at ? atoll(at + 1) : -1;
}

/* Process numbers, and their start times, begin anew with each boot. random(4) */
static const char *this_boot(void) {
    static char boot[37];
    static const char file[] = "/proc/sys/kernel/random/boot_id";
    if (!boot[0] && read_file(AT_FDCWD, file, boot, sizeof boot) <= 0)
        die("%s: %s", file, strerror(errno));
    return boot;
}

/* Numbers are given out again; number, start and boot together are not. */
static bool is_alive(const struct made *m, long long pid, long long start) {
    if (pid <= 0 || start <= 0 || strcmp(m->boot, this_boot()) != 0) return false;
    const long long is = start_time(pid);
    return is == start || is == -2; /* in doubt it lives: then nothing is taken from it */
}
static bool runs(const struct made *m) {
    return is_alive(m, m->pid, m->start);
}
static bool has_engine(const struct made *m) {
    return is_alive(m, m->engine, m->engine_start);
}

/* The set of signals in a line of a process's status, such as "\nSigIgn:"; in doubt all of them.
 * The lines before it list groups, of which there may be 65,536. proc_pid_status(5) */
static uint64_t signal_set(long long pid, const char *line) {
    static char text[1 << 20];
    char path[64] = "/proc/self/status";
    if (pid) snprintf(path, sizeof path, "/proc/%lld/status", pid);
    const char *at = read_file(AT_FDCWD, path, text, sizeof text) > 0 ? strstr(text, line) : NULL;
    return at ? strtoull(at + strlen(line), NULL, 16) : ~0ULL;
}

/* No signal waits, and SIGPIPE, which we ignore, means what it means to others. */
static void free_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

/* The new process of start_program, which borrows our memory until exec. No interface made in the
 * network namespace from now on has IPv6, as docker's: nobody believes router advertisements there
 * (CVE-2020-13401), and a start sends nothing to all other containers of the bridge. */
static int exec_program(void *program) {
    const struct program *p = program;
    free_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char *ipv6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6"; /* not every kernel has it */
    if (p->netns_fd >= 0 && (setns(p->netns_fd, CLONE_NEWNET) < 0 ||
                             (write_file(AT_FDCWD, ipv6, "1") < 0 && errno != ENOENT)))
        return ENGINE_FAILED;
    if (dup2(p->input_fd, 0) < 0 || dup2(p->output_fd, 1) < 0 || dup2(p->output_fd, 2) < 0)
        return ENGINE_FAILED;
    execvpe(p->path ? p->path : p->argv[0], p->argv, p->environment ? p->environment : environ);
    return NOT_FOUND;
}

/* Start a program of the host's, never through a shell. It runs while we go on; what it says goes
 * to a file in memory. Until it runs it borrows our memory, as with vfork(2): to copy that is what
 * makes fork slow. */
static int start_program(struct container *c, char *const *argv, const char *input, int netns_fd) {
    static char stack[1 << 16] __attribute__((aligned(16)));
    struct program *p = &c->program;
    *p = (struct program){p->path, argv, p->environment, .netns_fd = netns_fd, .pid = -1};
    p->input_fd = memfd_create("input", MFD_CLOEXEC);
    p->output_fd = memfd_create("output", MFD_CLOEXEC);
    if (p->input_fd >= 0 && p->output_fd >= 0 &&
        pwrite(p->input_fd, input, strlen(input), 0) == (ssize_t)strlen(input))
        p->pid = clone(exec_program, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, p);
    close_fd(&p->input_fd);
    return did(c, p->pid, netns_fd < 0 ? "execve %s" : "execve %s, after setns NEWNET", argv[0]);
}

/* Wait for its end, and pass on the first line of what it said if that was no good one. */
static int await_program(struct container *c, int seconds) {
    struct program *p = &c->program;
    struct pollfd end = {sys_pidfd_open(p->pid), POLLIN, 0};
    char said[200] = "";
    int status = -1, ready = end.fd < 0 ? -1 : poll(&end, 1, seconds * 1000);
    if (ready <= 0) kill(p->pid, SIGKILL);
    if (waitpid(p->pid, &status, 0) < 0) ready = -1;
    const ssize_t n = pread(p->output_fd, said, sizeof said - 1, 0);
    said[n > 0 ? strcspn(said, "\n") : 0] = '\0';
    close_fd(&p->output_fd);
    close_fd(&end.fd);
    if (ready < 0) return fail(c, "cannot wait for %s", p->argv[0]);
    if (ready == 0) return refuse(c, "%s did not finish within %d seconds", p->argv[0], seconds);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
        return refuse(c, "%s cannot be run: is %s installed? (" ENV_SH " deps)", p->argv[0],
                      strcmp(p->argv[0], "ip") == 0 ? "iproute2" : "it");
    return status ? refuse(c, "%s failed: %s", p->argv[0], said[0] ? said : "silently") : 0;
}

/* ---- 4. The two tables, and the drivers that walk them ----------------------------------- */

/* Functions of these two forms come later: the makers of the steps, and their undoers. */
static typeof(int(struct container *)) claim, make_cgroup, clone_child, map_users, start_network,
    mount_layer, go, leave_host, place_mounts, pivot, set_hostname, drop_capabilities, filter_calls,
    execute, serve;
static typeof(void(struct container *)) release, remove_cgroup, end_child, remove_network;
static int hear_child(struct container *c, int kind, int *fds, size_t count);

static const struct step host_steps[] = {
    {"claim", "takes the name and the address, so that nobody else gets them",
     "container_engine list", claim, release},
    {"cgroup", "writes the limits, which are in force before the first instruction inside",
     "cat CGROUP/cpu.max", make_cgroup, remove_cgroup},
    {"clone", "makes the child, in new namespaces and in its cgroup", "lsns -p PID", clone_child,
     end_child},
    {"users", "maps user ids: root inside is a user outside who owns nothing",
     "cat /proc/PID/uid_map", map_users},
    {"network", "lays a cable from the bridge to the container", "ip -br link show master BRIDGE",
     start_network, remove_network},
    {"layer", "puts a writable layer over the rootfs, which stays as it is", "ls -A DIR/upper",
     mount_layer},
    {"go", "lets the child become the program, now that all of this stands", "ls -l /proc/PID/exe",
     go},
    {0},
};

static const struct step container_steps[] = {
    {"private", "leaves the caller's session, keys and mounts", "cat /proc/PID/sessionid",
     leave_host},
    {"mounts", "mounts proc, sys and dev, and hides what is the whole machine's", "findmnt -N PID",
     place_mounts},
    {"pivot", "changes the root, and detaches the host's", "ls /proc/PID/root", pivot},
    {"hostname", "sets the name, and the loopback interface up", "nsenter -t PID -u hostname",
     set_hostname},
    {"caps", "drops capabilities, and becomes the user", "grep Cap /proc/PID/status",
     drop_capabilities},
    {"seccomp", "filters system calls", "grep Seccomp /proc/PID/status", filter_calls},
    {"exec", "closes all files but 0, 1, 2, and becomes the program", "ls -l /proc/PID/fd",
     execute},
    {0},
};

/* A step begins; --explain tells of it, and --step may end it here. */
static int begin(struct container *c, const char *name) {
    c->step = name;
    return c->tell ? c->tell(c, NULL, 0) : 0;
}

/* Undo steps from the last to the first, whether they were made, half made, or not at all. */
static void walk_back(struct container *c, const struct step *first, const struct step *last) {
    c->back = true;
    c->steps = first;
    for (size_t i = (size_t)(last - first) + 1; i-- > 0;) {
        if (!first[i].undo) continue;
        begin(c, first[i].name);
        first[i].undo(c);
    }
}

/* The signals that are passed on to the container wait in signal_fd until somebody looks: half a
 * container is never left. SIGHUP only where it is not ignored, as after nohup(1). SIGALRM is our
 * own: the time to end is over. signalfd(2) */
static int hold_signals(uint64_t ignored) {
    static const int numbers[] = {SIGINT,  SIGTERM,  SIGQUIT, SIGUSR1,
                                  SIGUSR2, SIGWINCH, SIGALRM, SIGHUP};
    const size_t count = COUNT(numbers) - (ignored >> (SIGHUP - 1) & 1);
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* The child must not inherit our caller's priority, OOM score, limits and ignored signals. So we
 * set our own, which it inherits then. getrlimit(2), proc_pid_oom_score_adj(5) */
static int reset_inherited(struct container *c, uint64_t ignored) {
    const struct sched_param plain = {0};
    const char *score = keep("%d", c->want.oom_score);
    /* Not by signal(2): the C library keeps 32 and 33 to itself. All zeros mean SIG_DFL. */
    for (int n = 1; n < NSIG; n++)
        if (ignored >> (n - 1) & 1 && n != SIGPIPE && n != SIGHUP && n != SIGXFSZ)
            syscall(SYS_rt_sigaction, n, (const unsigned long[4]){0}, NULL, 8);
    if (did(c, write_file(AT_FDCWD, "/proc/self/oom_score_adj", score), "oom_score_adj") < 0 ||
        did(c, sched_setscheduler(0, SCHED_OTHER, &plain), "sched_setscheduler OTHER") < 0 ||
        did(c, setpriority(PRIO_PROCESS, 0, 0), "setpriority 0") < 0)
        return -1;
    for (int i = 0; i < RLIM_NLIMITS; i++) { /* as high as we may; lowered in step caps */
        struct rlimit *ours = &c->limits[i];
        if (getrlimit(i, ours) < 0) return fail(c, "getrlimit %d", i);
        const struct rlimit raised = {ours->rlim_cur, c->want.process_limits[i].rlim_max};
        if (raised.rlim_max > ours->rlim_max && setrlimit(i, &raised) == 0) *ours = raised;
    }
    return 0;
}

/* The engine: all steps; when one fails, it is said why, and they are undone. Returns 0, or the
 * status to exit with. */
static int make_steps(struct container *c, const struct step *steps) {
    const struct step *s = c->steps = steps;
    const uint64_t ignored = signal_set(0, "\nSigIgn:");
    c->signal_fd = hold_signals(ignored);
    if (did(c, c->signal_fd, "signalfd") < 0 || reset_inherited(c, ignored) < 0)
        die("cannot begin: %s", c->report.why);
    while (s->name && begin(c, s->name) == 0 && s->make(c) == 0) s++;
    if (!s->name) return 0;
    /* If the child had failed before, it has said why, or is gone: that is the reason to tell, not
     * ours. (After READY, its end is no failure.) */
    struct report said = {0};
    const ssize_t n = recv(c->talk_fd, &said, sizeof said, MSG_PEEK | MSG_DONTWAIT);
    const bool over = n < 0 ? errno == ECONNRESET : said.kind == ENDED || said.kind == FAILED;
    if (!c->report.kind && c->pid_fd >= 0 && over) hear_child(c, FAILED, NULL, 0);
    const bool childs = c->report.kind == FAILED;
    c->made.status = c->forwarded ? 128 + c->forwarded : childs ? c->report.status : ENGINE_FAILED;
    if (!c->forwarded) warn("%s: %s", childs ? c->report.step : c->step, c->report.why);
    walk_back(c, steps, s);
    return (int)c->made.status;
}

/* All steps, then serve the container until it ends, then the way back. */
static int walk(struct container *c, const struct step *steps) {
    const int failed = make_steps(c, steps);
    if (failed) return failed;
    c->made.status = serve(c);
    const struct step *last = steps;
    while (last[1].name) last++;
    walk_back(c, steps, last);
    return (int)c->made.status;
}

/* The child: all its steps, the last of which does not return. */
static _Noreturn void run_child(struct container *c) {
    c->report.status = ENGINE_FAILED;
    for (const struct step *s = c->steps = c->child_steps; s->name; s++)
        if (begin(c, s->name) < 0 || s->make(c) < 0) break;
    give_up(c);
}

/* ---- 5. The engine's steps --------------------------------------------------------------- */

/* In Part II. sweep_others walks the way back of engines that were killed. */
static typeof(claim) write_state, lock_host, sweep_others, take_address, set_aside,
    remove_set_aside;
static typeof(release) unlock_host;
static int read_state(struct made *made, int lib_fd, const char *name);
static void sweep(struct container *c, const char *name);

/* Where cgroup2 is mounted, alone or beside version 1; "" if it is not. */
static const char *cgroup_mount(void) {
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    static const char *found = "";
    struct statfs f;
    for (size_t i = 0; i < COUNT(places) && !*found; i++)
        if (statfs(places[i], &f) < 0)
            return ""; /* with the reason in errno */
        else if (f.f_type == CGROUP2_SUPER_MAGIC)
            found = places[i];
    return found;
}

/* Open the container's directory, or make it, and lock it. Returns 1 to be called again: the engine
 * of an earlier run, or somebody who deletes it, has the lock for another moment. */
static int open_directory(struct container *c) {
    const char *dir = c->want.lib_dir, *name = c->want.name;
    struct made *m = &c->made;
    int result = -1;
    unlinkat(c->lib_fd, name, AT_REMOVEDIR); /* claimed, and no more: it is empty */
    c->fresh = mkdirat(c->lib_fd, name, 0700) == 0;
    if ((c->fresh || errno != EEXIST) && did(c, c->fresh - 1, "mkdir %s/%s", dir, name) < 0)
        return -1;
    c->dir_fd = openat(c->lib_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c->dir_fd < 0)
        fail(c, "open %s/%s", dir, name);
    else if (read_state(m, c->lib_fd, name) < 0 && errno != ENOENT)
        fail(c, "%s/%s/state", dir, name);
    else if (m->status < 0 && (runs(m) || (!m->started && has_engine(m)))) /* or it is starting */
        refuse(c, "a container named %s runs already", name);
    else if (m->bundle[0])
        refuse(c, "%s has a bundle: delete it first, or take another name", name);
    else if (flock(c->dir_fd, LOCK_EX | LOCK_NB) < 0)
        result = 1;
    else /* is there something that was to be swept before, when somebody had the lock? */
        result = m->status < 0 && m->engine;
    c->made.remove = c->fresh; /* what was there before stays, whatever becomes of us */
    if (result == 0) return 0;
    if (c->fresh) unlinkat(c->lib_fd, name, AT_REMOVEDIR);
    close_fd(&c->dir_fd);
    return result;
}

/* A name keeps its range of user ids; two names share one once in 19,514. FNV-1a */
static long long range_of(const char *name) {
    uint32_t hash = 2166136261U;
    for (const char *p = name; *p; p++) hash = (hash ^ (unsigned char)*p) * 16777619U;
    return FIRST_ID + (long long)(hash % ID_RANGES) * IDS;
}

/* What an earlier run left must fit: the same rootfs below it, and the same owners in it. Then the
 * state says who is at work here. Until a program has run there is nothing to keep. */
static int write_claim(struct container *c) {
    const struct wanted *w = &c->want;
    struct made *m = &c->made;
    const bool users = w->namespaces & CLONE_NEWUSER;
    char events[64];
    if (m->rootfs[0] && strcmp(m->rootfs, w->rootfs) != 0)
        return refuse(c, "the layer of %s belongs to %s: delete %s first, or take another name",
                      w->name, m->rootfs, w->name);
    if (m->rootfs[0] && (m->users != 0) != users && faccessat(c->dir_fd, "upper", F_OK, 0) == 0)
        return refuse(c,
                      "the layer of %s was made with%s a user namespace: delete %s first, or "
                      "%s --userns off",
                      w->name, users ? "out" : "", w->name, users ? "use" : "leave out");
    COPY(m->rootfs, w->rootfs);
    COPY(m->address, w->address);
    COPY(m->bridge, w->bridge);
    COPY(m->bundle, w->bundle ? w->bundle : "");
    COPY(m->boot, this_boot());
    snprintf(m->cgroup, sizeof m->cgroup, "%s/%s", cgroup_mount(), w->cgroup);
    m->users = users;
    m->base = users ? range_of(w->name) : 0;
    if (w->uid_map) sscanf(w->uid_map, "%*u %lld", &m->base);
    m->pid = m->start = m->started = 0;
    m->status = -1;
    m->engine = getpid();
    m->engine_start = start_time(m->engine);
    if (m->engine_start < 0) return fail(c, "/proc/self/stat");
    const char *file = keep("%s/cgroup.events", m->cgroup); /* ours would be killed with it */
    if (read_file(AT_FDCWD, file, events, sizeof events) > 0 && strstr(events, "populated 1"))
        return refuse(c, "%s has processes: does %s run already, with another " LIB_DIR "?",
                      m->cgroup, w->name);
    return write_state(c) == 0 ? 0 : fail(c, "write %s/%s/state", w->lib_dir, w->name);
}

/* claim: the name and the address become ours, under the host's lock. */
static int claim(struct container *c) {
    int result = 1;
    for (int i = 0; result > 0 && i < WAIT_SECONDS * 200; i++) {
        if (i) usleep(5000);
        if (lock_host(c) < 0) return -1;
        result = sweep_others(c) < 0 ? -1 : open_directory(c);
        if (result > 0) sweep(c, c->want.name); /* a reboot leaves no cgroup to find it by */
        if (result == 0 && c->want.address[0]) result = take_address(c);
        if (result == 0) result = write_claim(c);
        unlock_host(c);
    }
    if (result > 0) refuse(c, "the last run of %s has not ended yet", c->want.name);
    if (result < 0 && !c->fresh) close_fd(&c->dir_fd); /* nothing in it is ours to change */
    if (result == 0 && c->swept && remove_set_aside(c) < 0) c->report.why[0] = '\0';
    return result == 0 ? 0 : -1;
}

/* To unmount an overlay takes until all that was written to its disk, by anybody, is there. Our
 * caller need not wait for that: a fork of us holds the mount namespace and the lock of the name,
 * and lives a little longer than we do. The next run of this name waits for that lock. */
static void end_layer_later(struct container *c) {
    if (c->mounts_fd < 0) return;
    const pid_t pid = fork(); /* if that fails, we do it ourselves */
    if (pid > 0) return;
    if (pid == 0) syscall(SYS_close_range, 0, 2, 0); /* or a reader of our output waits, too */
    close_fd(&c->mounts_fd);
    unlinkat(c->dir_fd, "work/work", AT_REMOVEDIR); /* else overlayfs does it at the next start */
    if (pid == 0) _exit(0);
}

/* The state is written once more, or the directory goes: with --rm, or if no program ran in it. */
static void release(struct container *c) {
    if (c->dir_fd < 0) return;
    if (!c->made.remove)
        write_state(c);
    else if (lock_host(c) == 0)
        set_aside(c);
    close_fd(&c->lib_fd); /* the locks are free, however long the rest takes */
    if (!c->made.remove) end_layer_later(c);
    close_fd(&c->mounts_fd);
    close_fd(&c->dir_fd); /* there may be few descriptors */
    close_fd(&c->signal_fd);
    if (c->made.remove && remove_set_aside(c) < 0) warn("warning: %s", c->report.why);
}

/* Make the cgroup and the directories above it. In each new one the controllers are switched on for
 * what is below it; in those that were there, env.sh has done so. */
static int make_cgroup_path(struct container *c) {
    static const char *const controllers[] = {"+cpu", "+memory", "+pids", "+io", "+cpuset"};
    char *path = keep("%s", c->made.cgroup);
    for (char *end = path + strlen(cgroup_mount()); *end;) {
        end = strchrnul(end + 1, '/');
        const char slash = *end;
        *end = '\0';
        const bool made = mkdir(path, 0755) == 0;
        if ((made || errno != EEXIST) && did(c, made - 1, "mkdir %s", path) < 0) return -1;
        for (size_t i = 0; made && slash && i < 2 * COUNT(controllers); i++) {
            const char *file = keep("%s/%scgroup.subtree_control", path, i % 2 ? "" : "../");
            did(c, write_file(AT_FDCWD, file, controllers[i / 2]), "write %s \"%s\"", file,
                controllers[i / 2]);
            c->report.why[0] = '\0'; /* not every controller is everywhere */
        }
        *end = slash;
    }
    return 0;
}

/*
 * cgroup: the limits, in force before the container's first instruction.
 *
 * Where version 1 holds the controllers the files do not exist: a limit that was asked for is then
 * an error, and a default one is given up with a warning.
 */
static int make_cgroup(struct container *c) {
    bool missing = false;
    if (lock_host(c) < 0) return -1; /* whoever makes the first one switches controllers on, too */
    const int made = make_cgroup_path(c);
    unlock_host(c);
    if (made < 0) return -1;
    c->cgroup_fd = open(c->made.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->cgroup_fd < 0) return fail(c, "open %s", c->made.cgroup);
    for (const struct setting *s = c->want.settings; s->file; s++) {
        const int result = write_file(c->cgroup_fd, s->file, s->value);
        const bool absent = result < 0 && errno == ENOENT, no_limit = strcmp(s->value, "max") == 0;
        if (absent && !no_limit && !s->asked) missing = true;
        if (absent && (no_limit || !s->asked)) continue;
        if (did(c, result, "write %s \"%s\"%s", s->file, s->value,
                result < 0 ? " (see " ENV_SH " check)" : "") < 0)
            return -1;
    }
    if (missing)
        warn("warning: this host has no cpu, memory and pids controllers in cgroup v2: the default "
             "limits are not in force; see " ENV_SH " check");
    return 0;
}

/* Kill what is left in it and remove it, with what root inside made in it (--cap-add SYS_ADMIN):
 * a cgroup with members that still die is busy for a moment. */
static void remove_cgroup(struct container *c) {
    char *const find[] = {"find", c->made.cgroup, "-depth", "-type", "d", "-delete", NULL};
    const char *killer = keep("%s/cgroup.kill", c->made.cgroup);
    close_fd(&c->cgroup_fd);
    for (int i = 0; rmdir(c->made.cgroup) < 0 && errno == EBUSY && i < 1000; i++) {
        did(c, write_file(AT_FDCWD, killer, "1"), "write %s \"1\"", killer);
        usleep(2000);
        if (i % 100 == 10 && start_program(c, find, "", -1) >= 0) await_program(c, WAIT_SECONDS);
    }
    c->report.why[0] = '\0'; /* that of a moment in which it was busy */
    if (access(c->made.cgroup, F_OK) == 0) refuse(c, "%s cannot be removed", c->made.cgroup);
}

/* The program never gets our caller's descriptors as 0, 1 and 2: it could reopen such a file,
 * change its owner, or read what others write into it. For each that is a terminal it gets the
 * slave of a terminal of the container's own (one for all three); for each other one a pipe. serve
 * copies between ours and those. */
static int open_stdio(struct container *c) {
    const uid_t owner = (uid_t)(c->made.base + c->want.uid);
    struct stat s[3];
    int ends[2];
    if (c->want.keep_files) return 0;
    for (int i = 0; i < 3; i++) {
        if (fstat(i, &s[i]) < 0) return fail(c, "descriptor %d", i);
        if (c->want.bundle) { /* OCI: the manager's are passed on, its pipes as the user's */
            if (S_ISFIFO(s[i].st_mode) && fchown(i, owner, (gid_t)-1) < 0)
                return fail(c, "chown %d", i);
            continue;
        }
        if (!c->want.detach && isatty(i)) {
            c->has_terminal = true;
            continue;
        }
        const bool same = s[i].st_dev == s[1].st_dev && s[i].st_ino == s[1].st_ino;
        if (i == 2 && c->stdio[1] >= 0 && (same || c->want.detach)) { /* as 2>&1, in order */
            c->stdio[2] = fcntl(c->stdio[1], F_DUPFD_CLOEXEC, TALK_FD);
            return c->stdio[2] < 0 ? fail(c, "dup") : 0;
        }
        if (pipe2(ends, O_CLOEXEC) < 0) return fail(c, "pipe");
        const bool input = i == 0;
        c->stdio[i] = input ? ends[0] : ends[1];
        c->ours[i] = input ? ends[1] : ends[0];
        /* Who reopens its end can take what we were about to read, or fill what we would write. */
        if (fcntl(c->ours[i], F_SETFL, O_NONBLOCK) < 0) return fail(c, "O_NONBLOCK");
        if (c->want.detach && i == 0) close_fd(&c->ours[0]); /* an empty input */
        /* The pipes are the container's, so that it can open /dev/stdout. */
        if (fchown(c->stdio[i], owner, (gid_t)(c->made.base + c->want.gid)) < 0)
            return fail(c, "cannot give a pipe to the container");
    }
    return 0;
}

/*
 * clone: a process in new namespaces, born inside its cgroup. clone3(2)
 *
 * CLONE_INTO_CGROUP puts it there before it runs; writing cgroup.procs afterwards would leave a
 * moment without limits. The command exec takes this step, too, and needs no new namespaces.
 */
static int clone_child(struct container *c) {
    const bool users = c->want.namespaces & CLONE_NEWUSER;
    const bool quota = users && c->want.settings->file; /* not --without limits */
    /* Without an address nobody but the child needs its network: leave_host makes it meanwhile. */
    const uint64_t left_to_child = c->want.address[0] || c->want.bundle ? 0 : CLONE_NEWNET;
    const struct clone_args a = {
        .flags = (c->want.namespaces & ~left_to_child) | CLONE_PIDFD |
                 (c->cgroup_fd < 0 ? 0 : CLONE_INTO_CGROUP), /* lessons: without step cgroup */
        .cgroup = (uint64_t)c->cgroup_fd,
        .pidfd = (uintptr_t)&c->pid_fd,
        .exit_signal = SIGCHLD,
    };
    int sockets[2] = {-1, -1};
    pid_t pid = -1;
    if (open_stdio(c) < 0) return -1;
    c->waits_for_go = c->want.address[0] || c->has_terminal;
    /* The kernel charges inotify watches and message queues to the user who made the user
     * namespace. So that it charges the container's root and not the host's, our effective user id
     * is that one's during clone3; securebits(7) keep our capabilities meanwhile. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
        fail(c, "socketpair");
    else if (quota && (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0 ||
                       setresuid((uid_t)-1, (uid_t)c->made.base, (uid_t)-1) < 0))
        fail(c, "setresuid");
    else
        pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
    if (pid && !c->report.why[0])
        did(c, pid, "clone3 %s%s", names_of(a.flags),
            pid < 0 && errno == EAGAIN ? " (a limit of processes is reached: see --pids)" : "");
    if (pid == 0) {
        /* The engine's: or the child would never see that it died, and the lock would stay. */
        close_fd(&sockets[1]);
        close_fd(&c->dir_fd);
        close_fd(&c->lib_fd);
        c->talk_fd = sockets[0];
        run_child(c);
    }
    if (pid < 0) c->pid_fd = -1; /* the kernel may have written a number there */
    close_fd(&sockets[0]);
    c->talk_fd = sockets[1];
    for (int i = 0; i < 3; i++) close_fd(&c->stdio[i]);
    if (quota && (setresuid((uid_t)-1, 0, (uid_t)-1) < 0 || prctl(PR_SET_SECUREBITS, 0) < 0))
        return fail(c, "cannot be root again");
    if (pid < 0) return -1;
    c->made.pid = pid;
    c->made.start = start_time(pid);
    return c->made.start == -2 ? fail(c, "/proc/%d/stat", pid) : 0;
}

static void close_trees(struct container *c) {
    for (size_t i = 0; i < MOUNTS; i++) close_fd(&c->tree_fds[i]);
    close_fd(&c->users_fd);
}

/* Usually it has ended. After a killed engine, only the number in the state file is known: a pidfd
 * is opened first, and the start time compared then, so that nobody else's process is killed. (With
 * exec, the number is that of the container, until there is a child.) */
static void end_child(struct container *c) {
    if (c->pid_fd < 0 && c->join_fd < 0 && c->made.pid > 0) {
        c->pid_fd = sys_pidfd_open(c->made.pid);
        if (!runs(&c->made)) close_fd(&c->pid_fd);
    }
    struct pollfd end = {c->pid_fd, POLLIN, 0};
    if (c->pid_fd >= 0 && !c->ended && sys_pidfd_send_signal(c->pid_fd, SIGKILL) == 0) {
        poll(&end, 1, WAIT_SECONDS * 1000);
        waitpid((pid_t)c->made.pid, NULL, WNOHANG);
    }
    close_fd(&c->pid_fd);
    close_trees(c);
}

/* users: ids 0-65535 inside become the container's range outside. user_namespaces(7) */
static int map_users(struct container *c) {
    const char *const given[][2] = {{"gid_map", c->want.gid_map}, {"uid_map", c->want.uid_map}};
    if (!(c->want.namespaces & CLONE_NEWUSER)) return 0;
    for (int i = 0; i < 2; i++) {
        const char *map = given[i][1] ? given[i][1] : keep("0 %lld %d\n", c->made.base, IDS);
        const char *file = keep("/proc/%lld/%s", c->made.pid, given[i][0]);
        if (did(c, write_file(AT_FDCWD, file, map), "write %s \"%.*s\"", file,
                (int)strcspn(map, "\n"), map) < 0)
            return -1;
    }
    const char *path = keep("/proc/%lld/ns/user", c->made.pid);
    c->users_fd = open(path, O_RDONLY | O_CLOEXEC);
    return c->users_fd < 0 ? fail(c, "open %s", path) : 0;
}

/*
 * network: a cable from the bridge into the container. veth(4), ip-netns(8)
 *
 * ip runs in the container's network namespace, while the next step mounts. Both ends are born in
 * their places, so eth0 never exists on the host. Its hardware address is derived from the IP
 * address, as docker does: a neighbour that remembers the last owner of the address reaches the new
 * one at once. The pair dies with the namespace. The name below NETNS_DIR is for `ip netns exec`.
 */
static int start_network(struct container *c) {
    static char *const ip[] = {"ip", "-batch", "-", NULL};
    const char *path = keep("/proc/%lld/ns/net", c->made.pid);
    const char *link = keep(NETNS_DIR "/%s", c->want.name);
    unsigned char a[4];
    remove_network(c);
    if (mkdir(NETNS_DIR, 0755) < 0 && errno != EEXIST) return fail(c, "mkdir " NETNS_DIR);
    if (did(c, symlink(path, link), "symlink %s %s", path, link) < 0) return -1;
    if (!c->want.address[0]) return 0;
    inet_pton(AF_INET, c->want.address, a);
    char *batch =
        keep("link add eth0 address 02:42:%02x:%02x:%02x:%02x type veth peer name ve%08llx netns "
             "%d\naddr add %s/%d brd + dev eth0\nlink set eth0 up\nroute add default via %s\n",
             a[0], a[1], a[2], a[3], c->made.pid, getpid(), c->want.address, c->want.prefix,
             c->want.gateway);
    int netns_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (netns_fd < 0) return fail(c, "open %s", path);
    const int result = start_program(c, ip, batch, netns_fd);
    for (char *line = batch, *end; result > 0 && (end = strchr(line, '\n')) != NULL; line = end + 1)
        did(c, 0, "ip %.*s", (int)(end - line), line);
    close_fd(&netns_fd);
    return result < 0 ? -1 : 0;
}

/* The engine's end becomes a port of the bridge. The bridge drops packets until the kernel has seen
 * that the cable is plugged in, which takes a moment. The flags are set once more to wait for that:
 * the call needs a lock that the kernel holds meanwhile. netdevice(7) */
static int finish_network(struct container *c) {
    struct ifreq bridge = {0}, r = {0};
    if (!c->want.address[0]) return 0;
    if (await_program(c, WAIT_SECONDS) < 0) return -1;
    snprintf(r.ifr_name, sizeof r.ifr_name, "ve%08llx", c->made.pid);
    COPY(bridge.ifr_name, c->want.bridge);
    bridge.ifr_ifindex = (int)if_nametoindex(r.ifr_name);
    int result = bridge.ifr_ifindex ? ask_interface(SIOCBRADDIF, &bridge) : -1;
    r.ifr_flags = IFF_UP;
    if (result == 0) result = ask_interface(SIOCSIFFLAGS, &r);
    r.ifr_flags = 0;
    for (int i = 0; i < 10000 && result == 0 && !(r.ifr_flags & IFF_RUNNING); i++) {
        if (i) usleep(200);
        result = ask_interface(SIOCGIFFLAGS, &r);
    }
    if (result == 0) result = ask_interface(SIOCSIFFLAGS, &r);
    did(c, result, "ip link set %s master %s up", r.ifr_name, c->want.bridge);
    if (result == 0 && !(r.ifr_flags & IFF_RUNNING))
        return refuse(c, "%s has no carrier: is bridge %s up?", r.ifr_name, c->want.bridge);
    return result;
}

/* Set the cable down: a socket that was sent to another container keeps the namespace alive, which
 * still has the address. (Where the number is another process's by now, so is the cable.) Then
 * remove the name, if it is one of ours and not a namespace that somebody made by hand. */
static void remove_network(struct container *c) {
    char link[128], target[64] = "";
    struct ifreq cable = {0};
    snprintf(cable.ifr_name, sizeof cable.ifr_name, "ve%08llx", c->made.pid);
    if (c->made.address[0] && (runs(&c->made) || start_time(c->made.pid) < 0))
        ask_interface(SIOCSIFFLAGS, &cable);
    snprintf(link, sizeof link, NETNS_DIR "/%s", c->want.name);
    const ssize_t n = readlink(link, target, sizeof target - 1);
    if (n > 13 && strncmp(target, "/proc/", 6) == 0 && strcmp(target + n - 7, "/ns/net") == 0)
        unlink(link);
}

/* The host's name servers; NULL: they cannot be read. One on the host's loopback is not ours to
 * reach; systemd-resolved is such a one, and keeps the real ones elsewhere. When all fails, public
 * ones, as docker does. */
static const char *name_servers(void) {
    static const char local[] = "nameserver 127.", elsewhere[] = "/run/systemd/resolve/resolv.conf";
    static char text[5000];
    if (read_file(AT_FDCWD, "/etc/resolv.conf", text, sizeof text) < 0 && errno != ENOENT)
        return NULL;
    if (strstr(text, local)) read_file(AT_FDCWD, elsewhere, text, sizeof text);
    if (strstr(text, "nameserver") && !strstr(text, local)) return text;
    return "nameserver 8.8.8.8\nnameserver 1.1.1.1\n";
}

/* /etc/hosts and /etc/resolv.conf: files of ours over those of the rootfs, which may be missing or
 * wrong. They are the container's, which may write to them. */
static int write_own_file(struct container *c, const char *name) {
    const char *text = strcmp(name, "hosts") == 0
                           ? keep("127.0.0.1 localhost\n::1 localhost ip6-localhost\n%s %s %s\n",
                                  c->want.address[0] ? c->want.address : "127.0.1.1",
                                  c->want.hostname, c->want.name)
                           : name_servers();
    if (!text) return fail(c, "/etc/resolv.conf");
    int fd = openat(c->dir_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    const ssize_t length = (ssize_t)strlen(text);
    /* Cut last: a file that is emptied first is written to the disk at once by ext4. */
    const bool done = fd >= 0 && write(fd, text, (size_t)length) == length &&
                      ftruncate(fd, length) == 0 &&
                      fchown(fd, (uid_t)c->made.base, (gid_t)c->made.base) == 0;
    close_fd(&fd);
    return done ? 0 : fail(c, "write %s/%s/%s", c->want.lib_dir, c->want.name, name);
}

/* A part of the host's files, as a mount that is attached to nothing yet. With IDMAP, ids are
 * shifted by the child's user namespace: what is root's on disk is root's inside, and no file is
 * changed for it. mount_setattr(2) */
static int open_bind(struct container *c, const struct mount *m, int *tree_fd) {
    const unsigned deep = m->type[0] == 'r' ? AT_RECURSIVE : 0;
    struct mount_attr a = {.attr_set = m->attributes,
                           .attr_clr = m->cleared,
                           .propagation = m->propagation ? m->propagation : MS_PRIVATE};
    struct stat s;
    if (m->source[0] != '/' && write_own_file(c, m->source) < 0) return -1;
    *tree_fd = sys_open_tree(c->dir_fd, m->source, deep);
    if (*tree_fd < 0 || (m->data && fstat(*tree_fd, &s) < 0)) return fail(c, "%s", m->source);
    if (m->data && strcmp(m->data, keep("%u:%u", major(s.st_rdev), minor(s.st_rdev))) != 0)
        return refuse(c, "%s is not the device of that name", m->source);
    if (c->users_fd < 0) a.attr_set &= ~(uint64_t)MOUNT_ATTR_IDMAP;
    if (a.attr_set & MOUNT_ATTR_IDMAP) a.userns_fd = (uint64_t)c->users_fd;
    /* What is mounted below must be no peer of the host's either: see mount_namespaces(7). And its
     * devices are closed, too. */
    const struct mount_attr below = {.attr_set = a.attr_set & MOUNT_ATTR_NODEV,
                                     .propagation = a.propagation};
    int result = m->top_only ? sys_mount_setattr(*tree_fd, deep, &below) : 0;
    if (result == 0) result = sys_mount_setattr(*tree_fd, m->top_only ? 0 : deep, &a);
    return did(c, result, "mount_setattr %s: %s%s", m->source, names_of(a.attr_set),
               result < 0 && a.userns_fd ? " (--userns off does without)" : "");
}

/* The directories of the layer. What is written inside goes to upper, whose owner and mode are
 * those of the root directory inside; work is overlayfs's own; the rootfs is attached to lower. */
static int make_layer_directories(struct container *c) {
    const int dir_fd = c->dir_fd;
    struct stat s;
    if (!c->fresh && faccessat(dir_fd, "work", F_OK, 0) == 0) return 0; /* an earlier run's */
    if (stat(c->want.rootfs, &s) < 0) return fail(c, "stat %s", c->want.rootfs);
    const uid_t uid = (uid_t)c->made.base + s.st_uid % IDS;
    const gid_t gid = (gid_t)c->made.base + s.st_gid % IDS;
    const bool done = (mkdirat(dir_fd, "lower", 0755) == 0 || errno == EEXIST) &&
                      (mkdirat(dir_fd, "upper", 0755) == 0 || errno == EEXIST) &&
                      fchmodat(dir_fd, "upper", s.st_mode & 07777, 0) == 0 &&
                      fchownat(dir_fd, "upper", uid, gid, 0) == 0 &&
                      mkdirat(dir_fd, "work", 0755) == 0; /* last: now upper is as it must be */
    return done ? 0 : fail(c, "make the layer in %s/%s", c->want.lib_dir, c->want.name);
}

/* overlayfs shows the rootfs until a file is written, which is then copied to upper. A layer that
 * goes at the end need not be safe on the disk before (volatile).
 * https://docs.kernel.org/filesystems/overlayfs.html */
static int mount_overlay(struct container *c) {
    const char *options = keep("lowerdir=lower,upperdir=upper,workdir=work%s",
                               c->want.remove && c->fresh ? ",volatile" : "");
    const struct mount overlay = {"overlay", "overlay", "/", options, MOUNT_ATTR_NODEV};
    const char *path = keep("%s/%s", c->want.lib_dir, c->want.name);
    struct statfs f;
    /* Without a user namespace the copy still shares with the host what is mounted in it. */
    if (did(c, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount --make-rprivate /") < 0 ||
        did(c, chdir(path), "chdir %s", path) < 0 ||
        did(c, sys_move_mount(c->tree_fds[0], AT_FDCWD, "lower"), "mount %s on %s/lower",
            c->want.rootfs, path) < 0)
        return -1;
    int fd = make_file_system(&overlay);
    const char *hint = fd >= 0 ? ""
                               : " (" LIB_DIR " and the rootfs must be on ext4, xfs, btrfs or "
                                 "tmpfs; or use --write-through)";
    if (did(c, fd, "mount overlay: %s,%s%s", names_of(overlay.attributes), options, hint) < 0)
        return -1;
    close_fd(&c->tree_fds[0]);
    c->tree_fds[0] = fd;
    /* The overlay holds it. Should we not come back from here, rm(1) must not find it. */
    if (did(c, umount2("lower", DETACH), "umount2 lower MNT_DETACH") < 0) return -1;
    if (fstatfs(fd, &f) < 0) return fail(c, "statfs of the overlay");
    if (!(f.f_flags & ST_RDONLY)) return 0;
    errno = ENOSPC; /* overlayfs says nothing when it cannot make its work directory */
    return fail(c, "mount overlay: %s cannot be written", c->want.lib_dir);
}

/*
 * layer: a root that can be written, over a rootfs that is not.
 *
 * First rootfs and volumes are opened, as detached mounts. Then we enter the child's mount
 * namespace, a copy of the host's, attach the rootfs to lower there, make the overlay, and come
 * back: on the host lower stays empty. Last, all these mounts go to the child as descriptors.
 */
static int mount_layer(struct container *c) {
    const struct wanted *w = &c->want;
    int fds[MOUNTS];
    size_t count = 0;
    if (!w->write_through && make_layer_directories(c) < 0) return -1;
    for (size_t i = 0; w->mounts[i].type; i++) {
        if (!is_given(&w->mounts[i])) continue;
        if (open_bind(c, &w->mounts[i], &c->tree_fds[i]) < 0) return -1;
        fds[count++] = c->tree_fds[i];
    }
    if (!w->write_through) {
        const char *path = keep("/proc/%lld/ns/mnt", c->made.pid);
        c->mounts_fd = open(path, O_RDONLY | O_CLOEXEC);
        int host_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        if (c->mounts_fd < 0 || host_fd < 0) return close_fd(&host_fd), fail(c, "open %s", path);
        int result = did(c, setns(c->mounts_fd, CLONE_NEWNS), "setns NEWNS: the child's");
        if (result == 0) result = mount_overlay(c);
        if (did(c, setns(host_fd, CLONE_NEWNS), "setns NEWNS: the host's again") < 0) result = -1;
        close_fd(&host_fd);
        if ((w->remove && c->fresh) || w->detach) close_fd(&c->mounts_fd); /* see end_layer_later */
        if (result < 0) return -1;
        fds[0] = c->tree_fds[0]; /* the overlay, in place of the rootfs */
    }
    if (say(c->talk_fd, TREES, fds, count) < 0) return fail(c, "the child is gone");
    close_trees(c);
    return 0;
}

/* A number from a file of the cgroup, or from the line of it that starts with key; -1: max, or it
 * is not there. */
static long long read_use(const struct container *c, const char *file, const char *key) {
    char text[4096];
    const char *at = read_file(c->cgroup_fd, file, text, sizeof text) >= 0 ? text : NULL;
    if (at && key && (at = strstr(text, key)) != NULL) at += strlen(key) + 1;
    return at && isdigit((unsigned char)*at) ? atoll(at) : -1;
}

/* Wait until the child says that, perhaps with descriptors. -1: it has failed, or died, or a signal
 * came that means the end. */
static int hear_child(struct container *c, int kind, int *fds, size_t count) {
    struct pollfd p[] = {{c->talk_fd, POLLIN, 0}, {c->signal_fd, POLLIN, 0}};
    struct report said = {0};
    struct signalfd_siginfo s;
    while (poll(p, 2, -1) >= 0 && !p[0].revents) {
        if (read(c->signal_fd, &s, sizeof s) != sizeof s) break;
        const int n = (int)s.ssi_signo;
        if (n != SIGINT && n != SIGTERM && n != SIGHUP && n != SIGQUIT) continue;
        c->forwarded = n;
        return refuse(c, "interrupted");
    }
    if (!p[0].revents) return fail(c, "cannot wait for the child");
    if (pass(c->talk_fd, &said, fds, count) < 0) return fail(c, "cannot hear the child");
    if (said.kind == FAILED || said.kind == READY) c->report = said;
    if (said.kind == FAILED) return -1;
    if ((int)said.kind == kind) return 0;
    const bool memory = read_use(c, "memory.events", "oom_kill") > 0;
    return refuse(c, "the child died while being set up%s", memory ? ": --memory is too low" : "");
}

static void copy_window_size(const struct container *c) {
    struct winsize size;
    for (int i = 0; c->has_terminal && i < 3; i++)
        if (ioctl(i, TIOCGWINSZ, &size) == 0) ioctl(c->terminal_fd, TIOCSWINSZ, &size);
}

/* The program runs: from now on the directory holds something, and who looks can find it. */
static int note_start(struct container *c) {
    struct made *m = &c->made;
    size_t n = 0;
    m->started = c->want.bundle ? 0 : time(NULL); /* OCI: it waits for its start */
    if (c->dir_fd < 0) return 0;                  /* exec */
    m->remove = c->want.remove && c->fresh;       /* --rm: not what was there before */
    COPY(m->hostname, c->want.hostname);
    COPY(m->command, c->want.argv[0] ? "" : "(shell)");
    for (char **word = c->want.argv; *word && n < sizeof m->command; word++)
        n += (size_t)snprintf(m->command + n, sizeof m->command - n, "%s%s", n ? " " : "", *word);
    if (write_state(c) < 0)
        fail(c, "cannot write the state of %s", c->want.name);
    else if (c->running_fd >= 0 &&
             (dprintf(STDOUT_FILENO, "%s\n", c->want.name) < 0 || write(c->running_fd, "", 1) < 0))
        fail(c, "cannot tell anybody that it runs");
    else
        return 0;
    m->remove = c->fresh; /* nobody was told that it ran */
    return -1;
}

/* go: the child has made its walls, the network stands: let it become the program. With WALLS_STAND
 * comes its terminal, if it has one. Where neither that nor a network is waited for, the child need
 * not ask. READY and the end of the connection mean: it runs. READY and a failure: exec failed. The
 * end alone: it was killed. */
static int go(struct container *c) {
    if (c->waits_for_go) {
        int fds[2] = {-1, -1};
        if (hear_child(c, WALLS_STAND, fds, 2) < 0) return -1;
        c->terminal_fd = fds[0];
        c->slave_fd = fds[1];
        if (c->has_terminal && fcntl(c->terminal_fd, F_SETFL, O_NONBLOCK) < 0)
            return fail(c, "cannot take the terminal");
        copy_window_size(c);
        /* The second half of that step, under its name; the way back begins here, at go. */
        if (c->join_fd < 0 && begin(c, "network") < 0) return -1; /* exec has no such step */
        if (finish_network(c) < 0 || begin(c, "go") < 0) return -1;
        if (say(c->talk_fd, GO, NULL, 0) < 0) return fail(c, "tell the child");
    }
    if (hear_child(c, READY, NULL, 0) < 0 || hear_child(c, ENDED, NULL, 0) < 0) return -1;
    return note_start(c);
}

/* ---- 6. The child's steps ---------------------------------------------------------------- */

/* Wait for the engine's word, and what comes with it. If the engine is gone, the child ends: there
 * is nobody to tell. */
static void hear_engine(struct container *c, int *fds, size_t count) {
    struct report word = {0};
    const ssize_t heard = pass(c->talk_fd, &word, fds, count);
    if (heard == 0) _exit(ENGINE_FAILED);
    need(c, heard, "hear the engine");
}

/* Groups go first, for a mere user may not change them. Whenever user or group ids change, the
 * kernel resets two settings: that nobody may look into us (not dumpable, CVE-2016-9962), and that
 * we are killed when the engine dies. So they are made again here. prctl(2) */
static void become_user(struct container *c, uid_t uid, gid_t gid, size_t groups) {
    must(c, setgroups(groups, c->want.groups), "setgroups");
    must(c, setresgid(gid, gid, gid), "setresgid %u", gid);
    must(c, setresuid(uid, uid, uid), "setresuid %u", uid);
    must(c, prctl(PR_SET_DUMPABLE, 0), "prctl PR_SET_DUMPABLE 0");
    if (!c->want.bundle) must(c, prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl PR_SET_PDEATHSIG KILL");
}

/* Of whoever called us nothing is inherited: not the terminal, not the keys (session-keyring(7)).
 * Then we are root, instead of the unmapped user that clone leaves. */
static void leave_caller(struct container *c) {
    enum { JOIN_SESSION_KEYRING = 1 };
    if (!c->want.keep_files) must(c, setsid(), "setsid");
    const long keyring = syscall(SYS_keyctl, JOIN_SESSION_KEYRING, NULL);
    if (keyring < 0 && errno != ENOSYS) must(c, keyring, "keyctl JOIN_SESSION_KEYRING");
    become_user(c, 0, 0, 0);
}

/*
 * private: nothing done here shows on the host.
 *
 * Mounts of a systemd host are shared, so a copied namespace would still pass mounts on; MS_PRIVATE
 * ends that. mount_namespaces(7)
 */
static int leave_host(struct container *c) {
    const struct mount *mounts = c->want.mounts;
    int fds[MOUNTS] = {0}, *next = fds;
    if (!c->want.address[0] && !c->want.bundle && c->want.namespaces & CLONE_NEWNET)
        must(c, unshare(CLONE_NEWNET), "unshare NEWNET");
    hear_engine(c, fds, MOUNTS); /* which has mapped our user ids meanwhile */
    for (size_t i = 0; mounts[i].type; i++)
        if (is_given(&mounts[i])) c->tree_fds[i] = *next++;
    leave_caller(c);
    /* Not everybody has a layer, for which it was done before. */
    must(c, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount --make-rprivate /");
    return 0;
}

/* Where a mount or mask goes, for attach. A path below a mount that is placed already is looked for
 * from that mount, not from the root: with --write-through somebody could exchange directories of
 * the rootfs meanwhile. A name that only we or the kernel can have made is left to attach, which
 * does not follow a link. To /proc, /sys and /dev and below them no link is followed
 * (CVE-2019-19921); other links are followed as the container would follow them. */
static int open_place(struct container *c, const char *path, int like_fd, const char **name) {
    static const char *const fixed[] = {"/proc", "/sys", "/dev"};
    uint64_t resolve = RESOLVE_IN_ROOT;
    size_t below = 0;
    for (size_t i = 0; i < COUNT(fixed); i++)
        if (is_below(path, fixed[i]) || strcmp(path, fixed[i]) == 0) resolve |= RESOLVE_NO_SYMLINKS;
    for (size_t i = 1; i < c->placed && !strstr(path, "/.."); i++)
        if (is_below(path, c->want.mounts[i].target)) below = i;
    if (below) path += strlen(c->want.mounts[below].target);
    path += strspn(path, "/");
    if (below && !c->want.bundle && !is_bind(&c->want.mounts[below]) && *path &&
        !strchr(path, '/')) { /* OCI: a tmpcopyup or an overlay has what the image has */
        *name = path;
        if (like_fd >= 0 && make_like(like_fd, c->tree_fds[below], path) < 0 && errno != EEXIST)
            return -1;
        return c->tree_fds[below];
    }
    *name = "";
    return open_inside(c->tree_fds[below], trim(keep("%s", path)), like_fd, resolve);
}

/* The last mount that was put there; -1: none. */
static int tree_at(const struct container *c, const char *target) {
    for (size_t i = c->placed; i-- > 0;)
        if (strcmp(c->want.mounts[i].target, target) == 0) return c->tree_fds[i];
    return errno = ENOENT, -1;
}

/* Attach a mount to target: to what at_fd is, or to a name in it. */
static void attach(struct container *c, int tree_fd, const struct mount *m, int at_fd,
                   const char *name, const char *target) {
    const bool bind = is_bind(m);
    const int result = tree_fd < 0 ? -1 : sys_move_mount(tree_fd, at_fd, name);
    must(c, result, "mount %s on %s%s%s%s%s%s", bind ? m->source : m->type, target,
         bind ? "" : ": ", names_of(bind ? 0 : m->attributes), !bind && m->data ? "," : "",
         !bind && m->data ? m->data : "",
         result < 0 && errno == EINVAL ? ": one is a directory, the other is not" : "");
    if (!*name) close_fd(&at_fd);
}

/* Attach a mount to its place, which is made where it is missing. */
static void place_mount(struct container *c, int tree_fd, const struct mount *m) {
    const char *name;
    need(c, tree_fd, "mount %s%s%s", is_bind(m) ? m->source : m->type, m->data ? ": " : "",
         m->data ? m->data : "");
    const int at_fd = open_place(c, m->target, tree_fd, &name);
    need(c, at_fd, errno == ELOOP ? "%s is a symbolic link in the rootfs" : "open %s", m->target);
    attach(c, tree_fd, m, at_fd, name, m->target);
}

/* Cover a path, if it is there. To hide it: a file with /dev/null, a directory with an empty one.
 * Otherwise with itself, as a mount that cannot be written. */
static void cover(struct container *c, const char *path, bool hide) {
    static const struct mount null = {"bind", "/dev/null"},
                              empty = {"tmpfs", "tmpfs", "", "size=0,mode=555", QUIET | RDONLY};
    static int empty_fd = -1; /* the first one, of which the others are copies */
    const struct mount_attr a = {.attr_set = QUIET | RDONLY};
    const struct mount self = {"rbind", path}, *with = &self;
    const char *name;
    struct stat s;
    const int at_fd = open_place(c, path, -1, &name);
    const int found =
        at_fd < 0 ? -1 : fstatat(at_fd, name, &s, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
    if (found < 0 && errno == ENOENT) return;
    need(c, found, "open %s", path);
    if (hide) with = S_ISDIR(s.st_mode) ? &empty : &null;
    int tree_fd;
    if (with == &empty && empty_fd < 0)
        tree_fd = empty_fd = make_file_system(&empty);
    else if (hide)
        tree_fd = sys_open_tree(with == &empty ? empty_fd : tree_at(c, "/dev/null"), "", 0);
    else
        tree_fd = sys_open_tree(at_fd, name, AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
    if (!hide && tree_fd >= 0)
        must(c, sys_mount_setattr(tree_fd, AT_RECURSIVE, &a), "mount_setattr %s: %s", path,
             names_of(a.attr_set));
    attach(c, tree_fd, with, at_fd, name, path);
    if (tree_fd != empty_fd) close_fd(&tree_fd);
}

/* The master of a new terminal of the container's, for the engine, and its slave. pty(7) */
static void open_terminal(struct container *c, int ptmx_fd) {
    const int unlocked = 0;
    need(c, ptmx_fd, "open /dev/pts/ptmx");
    c->terminal_fd = ptmx_fd;
    must(c, ioctl(ptmx_fd, TIOCSPTLCK, &unlocked), "ioctl TIOCSPTLCK");
    c->slave_fd = ioctl(ptmx_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    need(c, c->slave_fd, "TIOCGPTPEER");
    must(c, fchown(c->slave_fd, c->want.uid, (gid_t)-1), "fchown the terminal");
    for (int i = 0; i < 3; i++)
        if (c->stdio[i] < 0) c->stdio[i] = c->slave_fd;
}

/*
 * mounts: the table, row by row, and then what is hidden or protected.
 *
 * Before pivot, because the kernel allows proc and sysfs in a user namespace only where full ones
 * are visible already, and the host's still are. Device nodes are not made (a user namespace may
 * not) but are the host's; devpts is a new instance: the host's terminals are not in it.
 */
static int place_mounts(struct container *c) {
    const struct mount *m = c->want.mounts,
                       console = {"bind", c->has_terminal ? "/dev/pts/0" : "/dev/null",
                                  "/dev/console"};
    /* pivot_root needs a mount, and / is always there; who enters later (setns) comes to it, too.
     * With --without pivot the root is on /tmp, for on / no way would lead out of the chroot. */
    const char *const place = c->want.chroot && !c->want.bundle ? "/tmp" : "/", *name;
    bool hosts_dev = false; /* there we make nothing */
    must(c, sys_move_mount(c->tree_fds[0], AT_FDCWD, place), "mount the root on %s", place);
    must(c, fchdir(c->tree_fds[0]), "fchdir to it");
    for (c->placed = 1; m[c->placed].type; c->placed++) {
        const struct mount *row = &m[c->placed];
        int *tree_fd = &c->tree_fds[c->placed];
        if (*tree_fd < 0 && is_bind(row) && open_bind(c, row, tree_fd) < 0) give_up(c);
        if (*tree_fd < 0) *tree_fd = make_file_system(row);
        place_mount(c, *tree_fd, row);
        if (strcmp(row->target, "/dev") == 0) hosts_dev = is_bind(row);
    }
    int dev_fd = open_place(c, "/dev", c->tree_fds[0], &name);
    need(c, dev_fd, "open /dev");
    for (size_t i = 0; i < COUNT(device_links) && !hosts_dev; i++)
        if (symlinkat(device_links[i][0], dev_fd, device_links[i][1]) < 0 && errno != EEXIST)
            must(c, -1, "symlink /dev/%s", device_links[i][1]);
    close_fd(&dev_fd);
    for (const char *const *path = c->want.masked; *path; path++) cover(c, *path, true);
    for (const char *const *path = c->want.read_only_paths; *path; path++) cover(c, *path, false);
    if (c->has_terminal)
        open_terminal(
            c, sys_openat2(tree_at(c, "/dev/pts"), "ptmx", O_RDWR | O_NOCTTY, RESOLVE_NO_SYMLINKS));
    /* OCI: a console is always a terminal. */
    if (!c->has_terminal && (c->want.bundle || hosts_dev)) return 0;
    int console_fd = sys_open_tree(c->has_terminal ? c->slave_fd : tree_at(c, "/dev/null"), "", 0);
    place_mount(c, console_fd, &console);
    close_fd(&console_fd);
    return 0;
}

/*
 * pivot: the root of the mount namespace itself is exchanged, and the old one detached.
 *
 * chroot(2) would only change where "/" points for this process, and root can walk out of it. With
 * pivot_root(".", ".") the old root ends up on top of the new one, from where it is unmounted:
 * afterwards no path, and no mount, leads to the host's files. pivot_root(2)
 */
static int pivot(struct container *c) {
    const struct mount_attr read_only = {.attr_set = RDONLY};
    if (c->want.read_only)
        must(c, sys_mount_setattr(c->tree_fds[0], 0, &read_only), "mount_setattr the root: ro");
    if (c->want.chroot) { /* --without pivot */
        must(c, chroot("."), "chroot .");
        return 0;
    }
    must(c, syscall(SYS_pivot_root, ".", "."), "pivot_root . .");
    must(c, umount2(".", DETACH), "umount2 . MNT_DETACH");
    must(c, chdir("/"), "chdir /");
    return 0;
}

/* hostname: uts_namespaces(7); and the loopback interface of the new network, which is down. */
static int set_hostname(struct container *c) {
    const struct wanted *w = &c->want;
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (w->hostname[0])
        must(c, sethostname(w->hostname, strlen(w->hostname)), "sethostname \"%s\"", w->hostname);
    if (!(w->namespaces & CLONE_NEWNET)) return 0;
    must(c, ask_interface(SIOCSIFFLAGS, &lo), "ip link set lo up");
    return 0;
}

/* A number in such a line; IDS, which nobody has, where it is none. */
static unsigned id_in(const char *text) {
    char *end;
    const unsigned long id = strtoul(text ? text : "", &end, 10);
    return text && *text && !*end && id < IDS ? (unsigned)id : IDS;
}

/* The fields of the first line with that text in that field. passwd(5), group(5) */
static bool find_line(const char *file, int field, const char *text, char *fields[7]) {
    static char list[1 << 20]; /* the container's, whose files may say anything */
    char *rest = list, *line;
    read_file(AT_FDCWD, file, list, sizeof list);
    while ((line = strsep(&rest, "\n")) != NULL) {
        for (int i = 0; i < 7; i++) fields[i] = strsep(&line, ":");
        if (fields[field] && strcmp(fields[field], text) == 0) return true;
    }
    return false;
}

/* Who is meant by the names of -u says the container itself. */
static void find_user(struct container *c) {
    struct wanted *w = &c->want;
    char *line[7];
    if (w->user) {
        const bool found = find_line("/etc/passwd", 0, w->user, line);
        if (!found || id_in(line[2]) == IDS || id_in(line[3]) == IDS)
            refuse(c, "-u: there is no '%s' in the container's /etc/passwd", w->user), give_up(c);
        w->uid = id_in(line[2]);
        if (w->group && !*w->group) w->gid = id_in(line[3]);
        if (w->uid) memset(&w->capabilities[EFFECTIVE], 0, ALL_BUT_BOUNDING);
        for (int i = 0; i < 3; i++) /* so that it can open /dev/stdout */
            if (c->stdio[i] >= 0) must(c, fchown(c->stdio[i], w->uid, (gid_t)-1), "chown %d", i);
    }
    if (w->group && *w->group) {
        if (!find_line("/etc/group", 0, w->group, line) || id_in(line[2]) == IDS)
            refuse(c, "-u: there is no '%s' in the container's /etc/group", w->group), give_up(c);
        w->gid = id_in(line[2]);
    }
}

/* caps: root of the container keeps only the capabilities in its bounding set, another user has
 * none; none are inheritable, and no set-user-ID program gives more. capabilities(7) */
static int drop_capabilities(struct container *c) {
    const uint64_t *want = c->want.capabilities;
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        const rlim_t highest = c->limits[i].rlim_max;
        struct rlimit limit = c->want.process_limits[i];
        if (limit.rlim_max > highest) limit.rlim_max = highest;
        if (limit.rlim_cur > highest) limit.rlim_cur = highest;
        if (memcmp(&limit, &c->limits[i], sizeof limit) != 0)
            need(c, setrlimit(i, &limit), "setrlimit %d", i);
    }
    for (int i = 0; i < 64; i++) {
        if (want[BOUNDING] >> i & 1 || prctl(PR_CAPBSET_DROP, i) == 0) continue;
        if (errno == EINVAL) break; /* no such capability, and none after it */
        must(c, -1, "drop capability %d", i);
    }
    find_user(c);
    must(c, prctl(PR_SET_KEEPCAPS, 1), "prctl PR_SET_KEEPCAPS");
    become_user(c, c->want.uid, c->want.gid, c->want.group_count);
    need(c, syscall(SYS_capget, &header, sets), "capget"); /* we cannot give what we have not */
    const uint64_t had = (uint64_t)sets[1].permitted << 32 | sets[0].permitted;
    for (int i = 0; i < 2; i++) {
        sets[i].permitted &= (uint32_t)(want[PERMITTED] >> 32 * i);
        sets[i].effective = sets[i].permitted & (uint32_t)(want[EFFECTIVE] >> 32 * i);
        sets[i].inheritable = (uint32_t)((had & want[INHERITABLE]) >> 32 * i);
    }
    must(c, syscall(SYS_capset, &header, sets), "capset");
    must(c, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0),
         "prctl PR_CAP_AMBIENT_CLEAR_ALL");
    for (int i = 0; i < 64; i++)
        if ((had & want[AMBIENT]) >> i & 1)
            must(c, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0),
                 "prctl PR_CAP_AMBIENT_RAISE %d", i);
    if (c->want.no_new_privileges)
        must(c, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS");
    return 0;
}

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "the system call filter is written for x86_64 and aarch64"
#endif

enum {
    DENY = SECCOMP_RET_ERRNO | EPERM,
    MISSING = SECCOMP_RET_ERRNO | ENOSYS,
    LAST_CALL = 469, /* file_setattr: the last one that was looked at; newer ones are MISSING */
};

/* System calls that are denied, unless the container has the capability in front of them; -1:
 * always denied. If a test follows, {argument, comparison, mask, value}, only where it holds. Older
 * headers lack some calls, which are given by number. */
static const struct denied {
    int unless, calls[14]; /* up to the first 0 */
    struct test test;
} denied[] = {
    /* mounts: it could undo its read-only and masked paths; namespaces of others */
    {CAP_SYS_ADMIN,
     {SYS_mount, SYS_umount2, SYS_pivot_root, SYS_move_mount, SYS_open_tree, SYS_fsopen,
      SYS_fsconfig, SYS_fsmount, SYS_setns}},
    {-1, {SYS_mount_setattr, SYS_fspick, 467 /* open_tree_attr */}}, /* writable again */
    /* files by number instead of by name, past the root */
    {CAP_DAC_READ_SEARCH, {SYS_open_by_handle_at, SYS_name_to_handle_at}},
    /* programs, events and memory inside the kernel, where many holes were found */
    {CAP_SYS_ADMIN, {SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_fanotify_init}},
    {CAP_SYS_ADMIN, {459 /* lsm_get_self_attr */, 460 /* lsm_set_self_attr */, 461 /* lsm_list */}},
    {-1, {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register}},
    {CAP_SYS_MODULE, {SYS_init_module, SYS_finit_module, SYS_delete_module}},
    /* keys belong to the user, not to a namespace */
    {-1, {SYS_add_key, SYS_request_key, SYS_keyctl}},
    /* the machine as a whole: another kernel, its clock, swap, accounting, log, devices' ports */
    {CAP_SYS_BOOT, {SYS_kexec_load, SYS_kexec_file_load, SYS_reboot}},
    {CAP_SYS_TIME, {SYS_settimeofday, SYS_clock_settime}},
    {CAP_SYS_ADMIN, {SYS_swapon, SYS_swapoff, SYS_quotactl, SYS_quotactl_fd}},
    {CAP_SYS_PACCT, {SYS_acct}},
    {CAP_SYSLOG, {SYS_syslog}},
#ifdef __x86_64__
    {CAP_SYS_RAWIO, {SYS_iopl, SYS_ioperm}},
#endif
    /* other processes' internals and memory placement */
    {CAP_SYS_PTRACE, {SYS_kcmp, SYS_pidfd_getfd, SYS_process_madvise}},
    {CAP_SYS_NICE, {SYS_move_pages, SYS_migrate_pages}},
    /* in a user namespace of its own it would have all capabilities again */
    {CAP_SYS_ADMIN, {SYS_clone, SYS_unshare}, {0, EQ, CLONE_NEWUSER, CLONE_NEWUSER}},
    /* a mount that is read-only or without devices stays so */
    {-1, {SYS_mount}, {3, EQ, MS_REMOUNT, MS_REMOUNT}},
    /* pushes input into a terminal, which may be the host's */
    {-1, {SYS_ioctl}, {1, EQ, UINT32_MAX, TIOCSTI}},
    {-1, {SYS_ioctl}, {1, EQ, UINT32_MAX, TIOCLINUX}},
    /* sockets that lead to the hypervisor, or to old corners of the kernel (CVE-2026-31431) */
    {-1, {SYS_socket}, {0, EQ, UINT32_MAX, AF_VSOCK}},
    {-1, {SYS_socket}, {0, EQ, UINT32_MAX, AF_ALG}},
    {-1, {SYS_socket}, {0, EQ, UINT32_MAX, AF_RXRPC}},
};

/* The default filter as rules: everything but these is allowed. */
static size_t default_rules(uint64_t capabilities, struct rule *rules) {
    struct rule *r = rules;
    /* clone3 passes its flags in memory, where a filter cannot look: libc then uses clone. */
    *r++ = (struct rule){SYS_clone3, MISSING, 0, {{0}}};
    for (const struct denied *d = denied; d < denied + COUNT(denied); d++)
        for (const int *call = d->calls; *call; call++)
            if (d->unless < 0 || !(capabilities >> d->unless & 1))
                *r++ = (struct rule){*call, DENY, d->test.mask != 0, {d->test}};
    return (size_t)(r - rules);
}

/* A program in classic BPF: it loads a field of struct seccomp_data into its one register, and
 * compares, and jumps (counted in instructions) or returns a verdict. seccomp(2) */
struct filter {
    struct sock_filter code[BPF_MAXINSNS];
    unsigned count;
};

enum { NEXT_RULE = 255, LOAD = BPF_LD | BPF_W | BPF_ABS, JUMP = BPF_JMP | BPF_K, RETURN = BPF_RET };

static void emit(struct filter *f, int code, uint32_t value, unsigned yes, unsigned no) {
    if (f->count < BPF_MAXINSNS)
        f->code[f->count++] =
            (struct sock_filter){(uint16_t)code, (uint8_t)yes, (uint8_t)no, value};
}

/*
 * One test of an argument, which has 64 bits, with a register of 32: first the high half, then the
 * low one. Falls through when it holds, and jumps to NEXT_RULE when it does not. As an example,
 * `argument 1 >= 0x100000005`:
 *
 *   1  load high half of argument 1
 *   2  and  0xffffffff           (the mask)
 *   3  if > 1  jump over 4 to 7: holds
 *   4  if == 1 go on,            else NEXT_RULE
 *   5  load low half
 *   6  and  0xffffffff
 *   7  if >= 5 go on: holds,     else NEXT_RULE
 *
 * `argument 1 < 0x100000005` is the same with the two ways out exchanged: 3 leads to NEXT_RULE, 4
 * over 5 to 7, and 7 on where it is not >= 5.
 */
static void emit_test(struct filter *f, const struct test *t) {
    const uint32_t offset = (uint32_t)(offsetof(struct seccomp_data, args) + 8UL * t->argument);
    const uint32_t high = (uint32_t)(t->value >> 32), low = (uint32_t)t->value;
    /* NE is the opposite of EQ, LT of GE, LE of GT. */
    const bool negated = t->compare == NE || t->compare == LT || t->compare == LE;
    const unsigned holds = negated ? NEXT_RULE : 0, fails = negated ? 0 : NEXT_RULE;
    const bool equal = t->compare == EQ || t->compare == NE;
    const int last = equal ? BPF_JEQ : t->compare == GE || t->compare == LT ? BPF_JGE : BPF_JGT;
    emit(f, LOAD, offset + 4, 0, 0); /* both machines are little-endian */
    emit(f, BPF_ALU | BPF_AND, (uint32_t)(t->mask >> 32), 0, 0);
    if (!equal) emit(f, JUMP | BPF_JGT, high, negated ? NEXT_RULE : 4, 0);
    emit(f, JUMP | BPF_JEQ, high, 0, negated ? 3 : NEXT_RULE);
    emit(f, LOAD, offset, 0, 0);
    emit(f, BPF_ALU | BPF_AND, (uint32_t)t->mask, 0, 0);
    emit(f, JUMP | last, low, holds, fails);
}

/* If it is this call, and all tests hold, this is the verdict; else the next rule begins here. */
static void emit_rule(struct filter *f, const struct rule *r) {
    const unsigned start = f->count;
    emit(f, LOAD, offsetof(struct seccomp_data, nr), 0, 0);
    emit(f, JUMP | BPF_JEQ, (uint32_t)r->call, 0, NEXT_RULE);
    for (unsigned i = 0; i < r->count; i++) emit_test(f, &r->tests[i]);
    emit(f, RETURN, r->action, 0, 0);
    for (unsigned i = start; i < f->count; i++) {
        if (f->code[i].jt == NEXT_RULE) f->code[i].jt = (uint8_t)(f->count - i - 1);
        if (f->code[i].jf == NEXT_RULE) f->code[i].jf = (uint8_t)(f->count - i - 1);
    }
}

/* seccomp: the kernel runs the filter before each system call; the first rule that fits decides.
 * Other ABIs of the processor have other numbers for the same calls, so they are refused. */
static int filter_calls(struct container *c) {
    static struct filter f;
    const struct wanted *w = &c->want;
    if (!w->rules) return 0;
    emit(&f, LOAD, offsetof(struct seccomp_data, arch), 0, 0);
    emit(&f, JUMP | BPF_JEQ, OUR_ARCH, 1, 0);
    emit(&f, RETURN, SECCOMP_RET_KILL_PROCESS, 0, 0);
    emit(&f, LOAD, offsetof(struct seccomp_data, nr), 0, 0);
    emit(&f, JUMP | BPF_JGT, (uint32_t)w->last_call, 0, 1); /* x32's have a high bit, too */
    emit(&f, RETURN, MISSING, 0, 0);
    for (size_t i = 0; i < w->rule_count; i++) emit_rule(&f, &w->rules[i]);
    emit(&f, RETURN, w->otherwise, 0, 0);
    const struct sock_fprog program = {(unsigned short)f.count, f.code};
    if (f.count == BPF_MAXINSNS) refuse(c, "the filter is too long"), give_up(c);
    must(c, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program),
         "seccomp SET_MODE_FILTER, %u instructions", f.count);
    return 0;
}

/* Why exec failed, in the status and the words that shells use. */
static int explain_exec(struct container *c, const char *program) {
    const int error = errno;
    c->report.status = error == ENOENT || error == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE;
    if (error == ENOENT && strchr(program, '/') && access(program, F_OK) == 0)
        return refuse(c, "%s is there, but its interpreter or loader is not in the rootfs",
                      program);
    if (error == ENOENT)
        return refuse(c, "%s: no such file or directory in the container%s", program,
                      c->want.argv[0] ? "" : ": is the rootfs a root file system?");
    if (error == ENOEXEC) return refuse(c, "%s: not a program for this machine", program);
    errno = error;
    return fail(c, "%s", program);
}

/* Tell the engine that all walls stand, and wait until the network does, too. */
static void tell_engine(struct container *c) {
    struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
    struct ifreq eth0 = {.ifr_name = "eth0", .ifr_data = (void *)&link};
    int fds[] = {c->terminal_fd, c->slave_fd};
    need(c, say(c->talk_fd, WALLS_STAND, fds, c->has_terminal ? 2 : 0), "tell the engine");
    hear_engine(c, NULL, 0);
    /* The kernel notices a moment later that the other end of the cable is up, too, and drops what
     * is sent before. To ask whether there is a carrier makes it look now (from Linux 6.8 on). */
    if (c->want.address[0]) need(c, ask_interface(SIOCETHTOOL, &eth0), "eth0");
}

/*
 * exec: when the network stands, become the program.
 *
 * Just before, every descriptor but 0, 1, 2 is closed, because one open directory of the host would
 * be a way out; only then the working directory is entered, and checked to be inside: it may be a
 * link to /proc/self/fd/7 (CVE-2024-21626).
 */
static int execute(struct container *c) {
    char cwd[PATH_MAX], *shell[] = {"/bin/bash", NULL}, **argv = c->want.argv;
    if (c->waits_for_go) tell_engine(c);
    if (!argv[0] && access(shell[0], X_OK) < 0) shell[0] = "/bin/sh";
    if (!argv[0]) argv = shell;
    for (int i = 0; i < 3; i++)
        if (c->stdio[i] >= 0) must(c, dup2(c->stdio[i], i), "dup2 %d", i);
    if (c->has_terminal)
        must(c, ioctl(isatty(0) ? 0 : isatty(1) ? 1 : 2, TIOCSCTTY, 0), "ioctl TIOCSCTTY");
    const int last_fd = TALK_FD + (int)c->want.kept_fds;
    if (c->talk_fd != last_fd) must(c, dup3(c->talk_fd, last_fd, O_CLOEXEC), "dup3");
    c->talk_fd = last_fd;
    if (!c->want.keep_files) /* --without descriptors */
        must(c, syscall(SYS_close_range, last_fd + 1, ~0U, 0), "close_range");
    const int entered = chdir(c->want.cwd);
    must(c, entered, entered < 0 ? "-w %s" : "chdir %s", c->want.cwd);
    const char *inside = getcwd(cwd, sizeof cwd);
    if (!inside && errno != ENOENT) return fail(c, "getcwd");
    if (!inside || cwd[0] != '/')
        return refuse(c, "the working directory is outside of the container");
    free_signals();
    signal(SIGHUP, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    umask(c->want.umask);
    /* Fails where the engine died before we asked the kernel to be killed with it. */
    need(c, say(c->talk_fd, READY, NULL, 0), "tell the engine");
    environ = c->want.environment;
    execvp(argv[0], argv);
    return explain_exec(c, argv[0]);
}

/* ---- 7. Serve: terminal, output, signals ------------------------------------------------- */

/* One direction: bytes read that could not be written yet. */
struct stream {
    int *from, *to;
    size_t start, end;
    int error; /* why something could not be written */
    char *data;
};

enum { INPUT, OUTPUT, ERRORS, TERMINAL, STREAMS, STREAM_BYTES = 8192 };

/* Move what can be moved without waiting: a writable pipe takes PIPE_BUF bytes. When nobody can
 * read it any more, its writer is told, too (SIGPIPE). */
static void pump(struct stream *s, bool may_read, bool may_write) {
    bool over = false;
    if (may_read) {
        const ssize_t n = read(*s->from, s->data, STREAM_BYTES);
        s->start = 0;
        s->end = n > 0 ? (size_t)n : 0;
        over = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    } else if (may_write) {
        const size_t left = s->end - s->start;
        const ssize_t n = write(*s->to, s->data + s->start, left < PIPE_BUF ? left : PIPE_BUF);
        const bool lost = n < 0 && errno != EAGAIN && errno != EINTR;
        if (n > 0) s->start += (size_t)n;
        if (lost) s->start = s->end;
        if (lost) s->error = errno;
        over = lost && errno == EPIPE;
    }
    if (over && *s->from > STDERR_FILENO) close(*s->from); /* what is the caller's stays open */
    if (over) *s->from = -1;
}

/* Keep the log bounded: at LOG_BYTES it becomes log.1, in place of the older one. A container that
 * floods it waits for us: at a buffer each millisecond that costs little outside of its limits. */
static void turn_log(struct container *c) {
    usleep(1000);
    if (c->log_fd >= 0 && lseek(c->log_fd, 0, SEEK_CUR) < LOG_BYTES) return;
    if (c->log_fd >= 0) renameat(c->dir_fd, "log", c->dir_fd, "log.1");
    close_fd(&c->log_fd);
    c->log_fd = openat(c->dir_fd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* In the background the terminal is the shell's. (-1: it is not the one that controls us.) */
static bool in_foreground(void) {
    const pid_t group = tcgetpgrp(0);
    return group < 0 || group == getpgrp();
}

/* Our terminal becomes a plain wire, because echo and editing are done by the container's own; or
 * again what it was. */
static void set_terminal(bool raw) {
    static struct termios saved;
    static bool is_raw;
    struct termios t;
    if (raw == is_raw || !isatty(0) || !in_foreground() || (raw && tcgetattr(0, &saved) < 0))
        return;
    t = saved;
    if (raw) cfmakeraw(&t);
    if (raw && !(isatty(1) && isatty(2))) t.c_oflag = saved.c_oflag; /* others write to it */
    tcsetattr(0, TCSANOW, &t);
    is_raw = raw;
}

/* Does the process catch, ignore or wait for this signal? One that blocks it may wait for it, as
 * inits do; but a shell, which catches CHLD, blocks signals for a moment between two commands. */
static bool handles_signal(long long pid, int number) {
    char path[64], text[64];
    const uint64_t caught = signal_set(pid, "\nSigCgt:"), ignored = signal_set(pid, "\nSigIgn:");
    const uint64_t blocked = caught >> (SIGCHLD - 1) & 1 ? 0 : signal_set(pid, "\nSigBlk:");
    snprintf(path, sizeof path, "/proc/%lld/syscall", pid); /* in sigwait(3) it is not blocked */
    if (read_file(AT_FDCWD, path, text, sizeof text) > 0 && atoi(text) == SYS_rt_sigtimedwait)
        return true;
    return (blocked | ignored | caught) >> (number - 1) & 1;
}

/* Pass a signal on. The kernel drops what a PID namespace's first process has no handler for, even
 * SIGTERM; then we do what would have happened to any other process: it ends. */
static void forward(struct container *c, int number) {
    const bool end = number == SIGTERM || number == SIGHUP;
    if (number == SIGWINCH) return copy_window_size(c);
    if (end) alarm(WAIT_SECONDS); /* to end in; then comes SIGALRM */
    const bool dropped =
        number == SIGALRM || (c->join_fd < 0 && !handles_signal(c->made.pid, number));
    if ((dropped || end) && number != SIGALRM) c->forwarded = number;
    if (c->join_fd >= 0 && number != SIGALRM)
        kill(-(pid_t)c->made.pid, number); /* exec: as a terminal would, to all of its session */
    else
        sys_pidfd_send_signal(c->pid_fd, dropped ? SIGKILL : number);
}

/* Ctrl-C, when the container's first process is in the foreground: the kernel drops the signal if
 * that one has no handler for it. Any other process would end, so we end it. One that ignores the
 * signal goes on, and the second time we say how to end it. Ctrl-\ three times in a row does. */
static void end_by_key(struct container *c, const struct stream *input) {
    static int interrupts, quits;
    pid_t group = 0;
    struct termios t;
    for (size_t i = 0; i < input->end; i++) quits = input->data[i] == CTRL('\\') ? quits + 1 : 0;
    if (quits >= 3) return forward(c, SIGALRM); /* as when its time to end is over */
    if (c->join_fd >= 0 || !memchr(input->data, CTRL('C'), input->end) ||
        ioctl(c->terminal_fd, TIOCGPGRP, &group) < 0 || group != c->made.pid ||
        tcgetattr(c->slave_fd, &t) < 0 || !(t.c_lflag & ISIG))
        return;
    if (!handles_signal(c->made.pid, SIGINT)) return forward(c, SIGINT);
    if (!(signal_set(c->made.pid, "SigIgn:") >> (SIGINT - 1) & 1) || ++interrupts != 2) return;
    set_terminal(false); /* for a line that begins on the left */
    warn("%s ignores Ctrl-C: Ctrl-\\ three times ends it, or stop %s from another terminal",
         c->want.name, c->want.name);
}

/* One look at everything, for so many milliseconds (-1: until there is something). Returns whether
 * there was something. */
static bool relay(struct container *c, struct stream *streams, int milliseconds) {
    struct pollfd p[2 + 2 * STREAMS] = {{c->ended ? -1 : c->pid_fd, POLLIN, 0},
                                        {c->signal_fd, POLLIN, 0}};
    struct signalfd_siginfo s;
    for (int i = 0; i < STREAMS; i++) {
        if (*streams[i].to < 0) streams[i].start = streams[i].end; /* no place to go to */
        const bool waits = streams[i].start < streams[i].end;
        p[2 + 2 * i] = (struct pollfd){waits ? -1 : *streams[i].from, POLLIN, 0};
        p[3 + 2 * i] = (struct pollfd){waits ? *streams[i].to : -1, POLLOUT, 0};
    }
    if (c->has_terminal && isatty(0) && !c->ended) {
        set_terminal(true);
        if (!in_foreground()) { /* look again from time to time */
            p[2].fd = -1;
            milliseconds = 200;
        }
    }
    if (poll(p, COUNT(p), milliseconds) <= 0) return false;
    if (p[1].revents && read(c->signal_fd, &s, sizeof s) == sizeof s) forward(c, (int)s.ssi_signo);
    for (int i = 0; i < STREAMS; i++) pump(&streams[i], p[2 + 2 * i].revents, p[3 + 2 * i].revents);
    if (c->has_terminal && p[2 + 2 * INPUT].revents) end_by_key(c, &streams[INPUT]);
    if (*streams[INPUT].from < 0 && streams[INPUT].start == streams[INPUT].end)
        close_fd(&c->ours[0]); /* the end of our input is the end of the program's */
    if (c->want.detach && p[2 + 2 * OUTPUT].revents) turn_log(c);
    c->ended |= p[0].revents != 0;
    return true;
}

/* With -d we wait for long, and need little of our code and constants any more: what is needed the
 * kernel reads in again. dl_iterate_phdr(3), madvise(2) */
static int give_back(struct dl_phdr_info *object, size_t size, void *unused) {
    const ElfW(Phdr) *p = object->dlpi_phdr, *end = p + object->dlpi_phnum;
    (void)size, (void)unused;
    for (; p < end; p++)
        if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
            syscall(SYS_madvise, object->dlpi_addr + p->p_vaddr, p->p_memsz, MADV_DONTNEED);
    return 0;
}

/* Until the program has ended, and all that it wrote is passed on; after a signal nobody waits for
 * a reader that is slow. Returns the exit status for the shell. */
static int serve(struct container *c) {
    static struct stream streams[STREAMS];
    static char data[STREAMS][STREAM_BYTES];
    static int fds[] = {0, 1, 2};
    int *const shown = &fds[isatty(1) ? 1 : isatty(2) ? 2 : 0], status = 0;
    streams[INPUT] = (struct stream){.from = &fds[0], .to = &c->ours[0]};
    streams[OUTPUT] = (struct stream){.from = &c->ours[1], .to = &fds[1]};
    streams[ERRORS] = (struct stream){.from = &c->ours[2], .to = &fds[2]};
    streams[TERMINAL] = (struct stream){.from = &c->terminal_fd, .to = shown};
    for (int i = 0; i < STREAMS; i++) streams[i].data = data[i];
    if (c->has_terminal && isatty(0)) streams[INPUT].to = &c->terminal_fd;
    if (c->want.detach) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int i = 0; i < 3; i++) dup2(null_fd, i);
        close_fd(&null_fd);
        streams[INPUT].from = &c->ours[0]; /* closed */
        streams[OUTPUT].to = &c->log_fd;
        turn_log(c);
        dl_iterate_phdr(give_back, NULL);
    }
    while (!c->ended) relay(c, streams, -1);
    set_terminal(false);
    fds[0] = -1;
    bool waits = true; /* whoever was sent an end may write for ever: it is read for a while */
    for (int passes = 0; waits && passes < 8192; passes++) {
        if (relay(c, streams, 0)) continue;
        waits = false;
        for (int i = OUTPUT; i < STREAMS; i++) waits |= streams[i].start < streams[i].end;
        waits = waits && !c->forwarded && relay(c, streams, -1);
    }
    close_fd(&c->log_fd);
    waitpid((pid_t)c->made.pid, &status, 0);
    const int lost = c->want.detach || streams[OUTPUT].error == EPIPE ? 0 : streams[OUTPUT].error;
    if (lost) warn("standard output: %s: some of it is lost", strerror(lost));
    if (lost && status == 0) return ENGINE_FAILED; /* the program could not know */
    if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
    if (WTERMSIG(status) == SIGKILL && read_use(c, "memory.events", "oom_kill") > 0) {
        warn("%s was killed: it needed more memory than its limit; see --memory", c->want.name);
        usleep(300000); /* before its cgroup goes: those that serve an exec look there, too */
    }
    return 128 + (c->forwarded ? c->forwarded : WTERMSIG(status));
}

/* ==== Part II: Living with containers ====================================================== */

/* ---- State, and what a killed engine left ------------------------------------------------ */

/* The bytes of the UTF-8 character here; 0: it is none. RFC 3629 */
static size_t utf8_length(const char *text, uint32_t *character) {
    static const uint32_t least[] = {1, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    const size_t more = *s < 0xc0 ? 0 : *s < 0xe0 ? 1 : *s < 0xf0 ? 2 : 3;
    *character = *s & (more ? 0x7fU >> more : 0xff);
    for (size_t n = 1; n <= more; n++) {
        if ((s[n] & 0xc0) != 0x80) return 0;
        *character = *character << 6 | (s[n] & 0x3f);
    }
    if (*character < least[more] || *character > 0x10ffff || (!more && *s >= 0x80)) return 0;
    return *character >= 0xd800 && *character < 0xe000 ? 0 : more + 1; /* surrogates */
}

/* For people and JSON: what is no UTF-8 character, or moves a cursor, becomes '?'. */
static void make_printable(char *s) {
    for (uint32_t character; *s;) {
        const size_t n = utf8_length(s, &character);
        const bool moves = character < ' ' || (character >= 0x7f && character < 0xa0);
        if (n == 0 || moves) *s = '?';
        s += n == 0 || moves ? 1 : n;
    }
}

/* The row of a table that begins with this name; NULL: there is none. */
#define FIND(table, name) find_row(table, COUNT(table), sizeof *(table), name)
static const void *find_row(const void *table, size_t count, size_t size, const char *name) {
    const char *row = table, *const end = row + count * size;
    while (row < end && strcmp(*(const char *const *)(const void *)row, name) != 0) row += size;
    return row < end ? row : NULL;
}

/* What is known of a container, under the names that state, list --json and inspect have for it: a
 * field of struct made (size 0: a number), which outlives the process in the state file, or what a
 * file of its cgroup says now, as a whole or in the line that begins so. */
/* clang-format off */
#define TEXT(field)   {#field, offsetof(struct made, field), sizeof((struct made *)0)->field}
#define NUMBER(field) {#field, offsetof(struct made, field), 0}
static const struct field {
    const char *key;
    size_t offset, size;
    const char *file, *line;
} fields[] = {
    TEXT(rootfs), TEXT(address), TEXT(bridge), TEXT(hostname), TEXT(command), TEXT(cgroup),
    TEXT(bundle), TEXT(boot), NUMBER(pid), NUMBER(start), NUMBER(started), NUMBER(status),
    NUMBER(users), NUMBER(base), NUMBER(remove), NUMBER(engine), NUMBER(engine_start),
    {"cpu_max", 0, 0, "cpu.max", NULL},       {"cpu_usec", 0, 0, "cpu.stat", "usage_usec"},
    {"memory", 0, 0, "memory.current", NULL}, {"cpu_throttled", 0, 0, "cpu.stat", "nr_throttled"},
    {"memory_max", 0, 0, "memory.max", NULL}, {"oom_kills", 0, 0, "memory.events", "oom_kill"},
    {"pids", 0, 0, "pids.current", NULL},     {"pids_max", 0, 0, "pids.max", NULL},
};
/* clang-format on */

/* The value of a field as text; a number that there is not is -1. */
static const char *field_text(const struct container *c, const struct field *f) {
    const char *at = (const char *)&c->made + f->offset;
    if (f->size) return at;
    return keep("%lld",
                f->file ? read_use(c, f->file, f->line) : *(const long long *)(const void *)at);
}

/* KEY=VALUE lines, in one write of a fixed length, in place: to replace a file by another makes
 * ext4 wait for the disk. Behind them stand the words of the command line, for exec and start. */
static int write_state(struct container *c) {
    char text[RECORD];
    size_t n = 0;
    for (const struct field *f = fields; !f->file && n < sizeof text; f++) {
        if (f->size) make_printable((char *)&c->made + f->offset); /* it may hold line ends */
        n += (size_t)snprintf(text + n, sizeof text - n, "%s=%s\n", f->key, field_text(c, f));
    }
    if (n >= sizeof text) return errno = ENAMETOOLONG, -1;
    memset(text + n, '\n', sizeof text - n);
    int fd = openat(c->dir_fd, "state", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) errno = ENOSPC; /* where less is written than was asked for */
    bool done = fd >= 0 && pwrite(fd, text, sizeof text, 0) == RECORD;
    if (done && c->words && c->made.started && c->made.status < 0)
        done = pwrite(fd, c->words, c->words_size, RECORD) == (ssize_t)c->words_size &&
               ftruncate(fd, RECORD + (off_t)c->words_size) == 0;
    close_fd(&fd);
    return done ? 0 : -1;
}

/* What is not there, or makes no sense, is 0 or empty, and status -1: that does no harm. */
static int read_state(struct made *m, int lib_fd, const char *name) {
    char text[RECORD + 1], *rest = text, *line;
    *m = (struct made){.status = -1};
    const ssize_t length = read_file(lib_fd, keep("%s/state", name), text, sizeof text);
    if (length < 0) return -1;
    while ((line = strsep(&rest, "\n")) != NULL && *line) { /* up to the padding */
        const char *key = strsep(&line, "=");
        const struct field *f = line ? FIND(fields, key) : NULL;
        if (!f || f->file) continue;
        char *at = (char *)m + f->offset;
        if (f->size)
            snprintf(at, f->size, "%s", line);
        else
            *(long long *)(void *)at = atoll(line);
    }
    if (length < RECORD) m->remove = 0; /* torn: nothing is deleted on its word */
    return 0;
}

/* A lock makes engines take turns; it never says who lives. The host's lock, on the directory of
 * all containers, is the one under which names and addresses are claimed; env.sh takes it, too. It
 * is held for a moment only. flock(2) */
static int lock_host(struct container *c) {
    const char *dir = c->want.lib_dir;
    struct stat s;
    for (int i = 0; i < WAIT_SECONDS * 200; i++) {
        if (c->lib_fd < 0) c->lib_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (c->lib_fd < 0 && errno == ENOENT && i < 10 &&
            (mkdir(dir, 0700) == 0 || errno == EEXIST))
            continue;
        if (c->lib_fd < 0) return fail(c, "open %s", dir);
        const bool locked = flock(c->lib_fd, LOCK_EX | LOCK_NB) == 0;
        if (!locked && (errno != EWOULDBLOCK || usleep(5000) < 0)) break;
        if (locked && fstat(c->lib_fd, &s) == 0 && s.st_nlink > 0) return 0;
        if (locked) close_fd(&c->lib_fd); /* env.sh clean has removed it, for it was empty */
    }
    return fail(c, "%s: cannot lock it, another engine or " ENV_SH " may hang", dir);
}
static void unlock_host(struct container *c) {
    if (c->lib_fd >= 0) flock(c->lib_fd, LOCK_UN);
}

/* Give the directory a name that no container can have, under the host's lock: from then on the
 * container is gone, whoever removes the rest, and however long that takes. */
static int set_aside(struct container *c) {
    const char *aside = keep(".deleted.%s.%d.%lld", c->want.name, getpid(), c->made.start);
    const int result = renameat(c->lib_fd, c->want.name, c->lib_fd, aside);
    return result < 0 && errno != ENOENT ? fail(c, "rename %s", c->want.name) : 0;
}

/* Remove what was set aside, by us or by somebody who was killed then; not under the lock. A layer
 * in which nothing was written goes at once, another one by rm(1), which takes longer to start. On
 * the host lower is empty: were a rootfs still attached to it, it would be emptied. */
static int remove_set_aside(struct container *c) {
    /* clang-format off */
    static const char *const parts[] = { /* files, then directories */
        "state", "hosts", "resolv.conf", "work/work/incompat/volatile/dirty",
        "work/work/incompat/volatile", "work/work/incompat", "work/work", "work", "lower", "upper",
    };
    /* clang-format on */
    char *argv[] = {"rm", "-rf", "--one-file-system", "--", NULL, NULL};
    int result = 0;
    DIR *dir = opendir(c->want.lib_dir);
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        if (strncmp(e->d_name, ".deleted.", 9) != 0) continue;
        argv[4] = keep("%s/%s", c->want.lib_dir, e->d_name);
        int fd = open(argv[4], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        bool mounted = false;
        for (size_t i = 0; i < COUNT(parts); i++)
            mounted |= unlinkat(fd, parts[i], i < 4 ? 0 : AT_REMOVEDIR) < 0 && errno == EBUSY;
        close_fd(&fd);
        if (!mounted && rmdir(argv[4]) == 0) continue;
        if (!mounted && start_program(c, argv, "", -1) >= 0 && await_program(c, 86400) == 0)
            continue;
        if (strstr(e->d_name, keep(".%d.", getpid()))) /* who set it aside is told */
            result = refuse(c, "%s cannot be emptied: see lsattr(1), findmnt(8)", argv[4]);
    }
    if (dir) closedir(dir);
    return result;
}

/* Where an engine was killed, walk the way back that it could not walk: its state has no status,
 * and nobody holds the lock of its directory. Under the host's lock, so what is to be removed is
 * only set aside. (One with a bundle has no engine: it is in the way only when it is from before
 * the last boot, for then nothing of it is left but that.) */
static void sweep(struct container *c, const char *name) {
    static struct container left; /* large */
    struct made m;
    int fd = openat(c->lib_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const bool alone = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    const bool known = alone && read_state(&m, c->lib_fd, name) == 0;
    if (alone && !known) unlinkat(c->lib_fd, name, AT_REMOVEDIR); /* claimed, and no more: empty */
    bool due = strcmp(c->want.lib_dir, LIB_DIR) == 0;             /* no copy, below a --root */
    if (known && m.bundle[0]) due = strcmp(m.boot, this_boot()) != 0;
    if (known && m.status < 0 && due) {
        left = blank;
        left.want.name = name;
        left.want.lib_dir = c->want.lib_dir;
        left.lib_fd = c->lib_fd;
        left.dir_fd = fd;
        left.made = m;
        snprintf(left.made.cgroup, sizeof m.cgroup, "%s/container_engine/%s", cgroup_mount(), name);
        if (!m.bundle[0]) /* all but claim */
            walk_back(&left, &host_steps[1], &host_steps[COUNT(host_steps) - 2]);
        left.made.status = 128 + SIGKILL;
        c->swept |= m.remove;
        if (m.remove)
            set_aside(&left);
        else
            write_state(&left);
    }
    close_fd(&fd);
}

/* What runs has a cgroup, and so has what a killed engine left. What has stopped is not looked at:
 * a start costs the same with a thousand. */
static int sweep_others(struct container *c) {
    char *parent = keep("%s/%s", cgroup_mount(), c->want.cgroup);
    *strrchr(parent, '/') = '\0';
    DIR *dir = opendir(parent);
    if (!dir && errno != ENOENT) return fail(c, "%s", parent);
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;)
        if (e->d_type == DT_DIR && e->d_name[0] != '.') sweep(c, e->d_name);
    if (dir) closedir(dir);
    return 0;
}

/* No two containers of a bridge have one address: each engine holds a lock on one byte of the
 * directory of all containers, the one whose place is the address. Whatever ends the engine, the
 * kernel lets it go. A directory can only be locked for reading, which several may: so we ask first
 * whether there is a lock, and nobody comes in between, for we have the host's. fcntl_locking(2) */
static int lock_address(struct container *c, uint32_t n) {
    const off_t bridge = (off_t)if_nametoindex(c->want.bridge) << 32;
    struct flock lock = {.l_type = F_WRLCK, .l_start = bridge | n, .l_len = 1};
    if (fcntl(c->lib_fd, F_OFD_GETLK, &lock) < 0) return -1;
    if (lock.l_type != F_UNLCK) return errno = EADDRINUSE, -1;
    lock.l_type = F_RDLCK;
    return fcntl(c->lib_fd, F_OFD_SETLK, &lock);
}

/* The address becomes ours; of several that will do (auto) the lowest one that is free. */
static int take_address(struct container *c) {
    const struct wanted *w = &c->want;
    for (uint32_t n = w->first; n <= w->last; n++) {
        const char *address = inet_ntoa((struct in_addr){htonl(n)});
        if (strcmp(address, w->gateway) == 0) continue;
        if (lock_address(c, n) == 0) return c->want.address = keep("%s", address), 0;
        if (errno != EADDRINUSE) return fail(c, "lock the address %s", address);
    }
    if (w->first != w->last) return refuse(c, "no address is free on %s", w->bridge);
    return refuse(c, "address %s is in use: see container_engine list", w->address);
}

/* ---- What a command is asked, and about whom ---------------------------------------------- */

/* What options ask of a command, and of no container. */
static struct {
    bool explain, step, json, quiet, force, follow, ignored, all;
    bool all_capabilities; /* --without caps */
    /* OCI */
    const char *log, *bundle, *pid_file, *console_socket, *process;
    int json_log, json_ps;    /* of json and another format, whether it is json */
    int filter;               /* run: of system calls, ON or OFF */
    long long seconds, lines; /* stop: before KILL; logs: so many, -1 for all */
    const char *verb;         /* the command's word as it was typed, or "run" */
    char **argv, **words;     /* our command line; what follows the verb */
    const char *directory;    /* where relative paths begin */
} flags = {.seconds = WAIT_SECONDS, .lines = -1, .filter = ON};

/* The place of a word in a list of them, counted from 0; -1: it is not there. same: strncmp, or
 * strncasecmp for any case. */
static int find_word(const char *words, const char *word,
                     int (*same)(const char *one, const char *two, size_t length)) {
    const size_t length = strcspn(word, " |");
    for (int n = 0; *words && !word[length]; n++, words += strspn(words, " |")) {
        const size_t end = strcspn(words, " |");
        if (end == length && same(words, word, length) == 0) return n;
        words += end;
    }
    return -1;
}

/* Digits only: no sign, no blanks, no leading zeros. */
static long long parse_whole(const char *what, const char *text, long long high) {
    const size_t digits = strspn(text, "0123456789");
    const long long n = strtoll(text, NULL, 10); /* of too many digits the highest there is */
    if (digits == 0 || text[digits] || (text[0] == '0' && digits > 1) || n > high)
        die("%s '%s': a whole number from 0 to %lld is needed", what, text, high);
    return n;
}

/* A name becomes a directory, a cgroup and a line of a list, so little is allowed in it. */
static bool is_name(const char *text, size_t most) {
    const size_t n =
        strspn(text, "_.-+abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    return n > 0 && n <= most && text[n] == '\0' && !strchr("_.-+", text[0]);
}

static void check_name(const char *what, const char *text, size_t most) {
    if (!is_name(text, most))
        die("%s '%s': needs 1 to %zu letters, digits, '_', '.', '-', a letter or digit first%s",
            what, text, most, text[0] == '-' ? "; options come before <rootfs>" : "");
}

static const char *describe(const struct made *m) {
    if (runs(m)) return "running";
    if (has_engine(m)) return m->started ? "ending" : "starting";
    return keep("exited (%lld)", m->status < 0 ? 128LL + SIGKILL : m->status);
}

/* What there is of a container: its state, and while it runs its first process and its cgroup.
 * False: there is none. */
static bool find_container(struct container *c, const char *name) {
    check_name("name", name, NAME_LENGTH);
    if (lock_host(c) < 0) die("%s", c->report.why);
    sweep(c, name);
    unlock_host(c);
    c->want.name = name;
    c->dir_fd = openat(c->lib_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c->dir_fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return false;
    if (c->dir_fd < 0 || (read_state(&c->made, c->lib_fd, name) < 0 && errno != ENOENT))
        die("container %s: %s", name, strerror(errno));
    c->pid_fd = sys_pidfd_open(c->made.pid);
    c->cgroup_fd = open(c->made.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!runs(&c->made)) /* it has ended, and the number may be another's */
        close_fd(&c->pid_fd), close_fd(&c->cgroup_fd);
    return true;
}

static void close_container(struct container *c) {
    int *const fds[] = {&c->dir_fd,    &c->pid_fd,     &c->cgroup_fd,   &c->join_fd,
                        &c->signal_fd, &c->running_fd, &c->talk_fd,     &c->ours[0],
                        &c->ours[1],   &c->ours[2],    &c->terminal_fd, &c->slave_fd};
    for (size_t i = 0; i < COUNT(fds); i++) close_fd(fds[i]);
}

/* The container that a command is about: it must be there, and run where that is needed. */
enum need { NONE, THERE, RUNS };
static void need_container(struct container *c, const char *name, enum need need) {
    if (!find_container(c, name))
        die("there is no container named %s: it does not exist; see container_engine list", name);
    if ((c->pid_fd < 0 || c->cgroup_fd < 0) && runs(&c->made))
        die("container %s: %s", name, strerror(errno));
    if (need == RUNS && c->pid_fd < 0)
        die("container not running: %s is %s", name, describe(&c->made));
}

/* ---- list and inspect -------------------------------------------------------------------- */

/* Hundredths of a processor, on average since it started, as ps(1) has it. */
static double cpu_percent(const struct container *c) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    const double started = (double)c->made.start / (double)sysconf(_SC_CLK_TCK);
    const double lived = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - started;
    const long long used = read_use(c, "cpu.stat", "usage_usec");
    return used < 0 || lived <= 0 ? 0 : (double)used / 1e4 / lived;
}

/* A value for people; NULL: there is no such key. */
static const char *show(const struct container *c, const char *key) {
    const struct field *f = FIND(fields, key);
    const time_t started = (time_t)c->made.started;
    const struct tm *when = started ? localtime(&started) : NULL; /* NULL: after the year 2^31 */
    char text[64] = "-";
    if (strcmp(key, "name") == 0) return c->want.name;
    if (strcmp(key, "status") == 0) return describe(&c->made);
    if (strcmp(key, "layer") == 0) return keep("%s/%s", c->want.lib_dir, c->want.name);
    if (strcmp(key, "cpu") == 0) return keep("%.1f%%", cpu_percent(c));
    if (strcmp(key, "pid") == 0 && !runs(&c->made)) return "-";
    if (strcmp(key, "address") == 0 && !c->made.address[0]) return "none";
    if (when) strftime(text, sizeof text, "%m-%d %H:%M:%S", when);
    if (strcmp(key, "started") == 0) return keep("%s", text);
    if (!f || !f->file) return f ? field_text(c, f) : NULL;
    if (f->line) return read_use(c, f->file, f->line) < 0 ? "-" : field_text(c, f);
    if (read_file(c->cgroup_fd, f->file, text, sizeof text) <= 0) return "-";
    text[strcspn(text, "\n")] = '\0';
    return key[0] == 'm' && isdigit((unsigned char)text[0]) ? keep("%.1fM", atof(text) / (1 << 20))
                                                            : keep("%s", text);
}

/* JSON: in the format ' stands for ", and %s for a text, in which nothing moves a cursor. */
static void put_json(FILE *f, const char *format, ...) {
    va_list args;
    va_start(args, format);
    for (const char *p = format; *p; p++) {
        const char *text = *p == '%' ? va_arg(args, const char *) : "";
        if (*p == '%')
            p++;
        else
            fputc(*p == '\'' ? '"' : *p, f);
        for (; *text; text++)
            if ((unsigned char)*text < ' ' || *text == 0x7f)
                fprintf(f, "\\u%04x", (unsigned)*text);
            else
                fprintf(f, strchr("\"\\", *text) ? "\\%c" : "%c", *text);
    }
    va_end(args);
}

static void print_json(const struct container *c) {
    put_json(stdout, "{'name':'%s','state':'%s','cpu_percent':%s", c->want.name, describe(&c->made),
             keep("%.1f", cpu_percent(c)));
    for (const struct field *f = fields; f < fields + COUNT(fields); f++) {
        const char *value = field_text(c, f);
        if (!f->size && value[0] == '-') value = "null";
        put_json(stdout, f->size ? ",'%s':'%s'" : ",'%s':%s", f->key, value);
    }
    putchar('}');
}

/* list: everything that runs or has a directory. */
static int list(struct container *c, char **argv) {
    static const char row[] = "%-16s %-12s %7s %-15s %-14s %6s %7s/%-7s %4s/%-4s %s\n";
    struct dirent **names = NULL;
    const char *before = "[";
    (void)argv;
    const int count = scandir(c->want.lib_dir, &names, NULL, alphasort);
    if (count < 0 && errno != ENOENT) die("open %s: %s", c->want.lib_dir, strerror(errno));
    if (!flags.quiet && !flags.json)
        printf(row, "NAME", "STATUS", "PID", "ADDRESS", "STARTED", "CPU", "MEMORY", "MAX", "PIDS",
               "MAX", "COMMAND");
    for (int i = 0; i < count; free(names[i++])) {
        if (!is_name(names[i]->d_name, NAME_LENGTH) || !find_container(c, names[i]->d_name))
            continue; /* none, or gone meanwhile */
        if (flags.quiet)
            puts(c->want.name);
        else if (flags.json)
            fputs(before, stdout), print_json(c);
        else
            printf(row, c->want.name, describe(&c->made), show(c, "pid"), show(c, "address"),
                   show(c, "started"), show(c, "cpu"), show(c, "memory"), show(c, "memory_max"),
                   show(c, "pids"), show(c, "pids_max"), c->made.command);
        before = ",\n ";
        close_container(c);
    }
    if (flags.json && !flags.quiet) puts(*before == '[' ? "[]" : "]");
    free(names);
    remove_set_aside(c);
    return 0;
}

/* The namespaces of the host and of the container: numbers that differ are walls. */
static void show_namespaces(long long pid) {
    printf("namespaces  %-24s %-24s\n", "host", "container");
    for (size_t i = 0; i < COUNT(namespaces); i++) {
        const char *file = namespaces[i].file;
        char host[64] = "", inside[64] = "";
        if (readlink(keep("/proc/self/ns/%s", file), host, sizeof host - 1) > 0 &&
            readlink(keep("/proc/%lld/ns/%s", pid, file), inside, sizeof inside - 1) > 0)
            printf("  %-9s %-24s %-24s %s\n", file, host, inside,
                   strcmp(host, inside) ? "its own" : "the host's");
    }
}

/* inspect: all that is known, or one value, for scripts. */
static int inspect(struct container *c, char **argv) {
    const char *value = argv[1] ? show(c, argv[1]) : "";
    if (!value) die("inspect: there is no '%s': try pid, address, status, layer, ...", argv[1]);
    if (argv[1]) return puts(value), 0;
    printf("%-13s %s\n%-13s %s\n", "name", c->want.name, "layer", show(c, "layer"));
    for (const struct field *f = fields; f < fields + COUNT(fields); f++)
        printf("%-13s %s\n", f->key, show(c, f->key));
    if (c->pid_fd >= 0) show_namespaces(c->made.pid);
    return 0;
}

/* ---- exec, update, stop, kill, delete, logs ------ ---------------------------------------- */

/* enter: our own process joins all of the container's namespaces but that of users, so that its
 * child shows nothing of the host's from its first moment. It is not dumpable, or the container's
 * processes could reach into it, which still knows the host (CVE-2016-9962). setns(2) */
static int enter(struct container *c) {
    char text[PATH_MAX], *at;
    uint64_t others = 0;
    c->join_fd = c->pid_fd;
    c->pid_fd = -1; /* no child of ours yet, and that one is not ours to end */
    close_fd(&c->dir_fd);
    for (size_t i = 0; i < COUNT(namespaces); i++) others |= namespaces[i].flag;
    others &= ~(uint64_t)CLONE_NEWUSER;
    /* The first process may be in a cgroup below: systemd leaves its own, to switch controllers on
     * there, and then the kernel lets nobody in. Where it is we can be, too. */
    const char *file = keep("/proc/%lld/cgroup", c->made.pid);
    const char *own = c->made.cgroup + strlen(cgroup_mount());
    if (read_file(AT_FDCWD, file, text, sizeof text) > 0 &&
        (at = strstr(text, "0::")) != NULL && /* version 2's line */
        (at = strstr(at, own)) != NULL) {
        const char *path = keep("%s%.*s", cgroup_mount(), (int)strcspn(at, "\n"), at);
        close_fd(&c->cgroup_fd);
        c->cgroup_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (c->cgroup_fd < 0) return fail(c, "open %s", path);
    }
    if (did(c, prctl(PR_SET_DUMPABLE, 0), "prctl PR_SET_DUMPABLE 0") < 0) return -1;
    const int joined = setns(c->join_fd, (int)others);
    if (did(c, joined, "setns %s: those of %s", names_of(others), c->want.name) < 0) return -1;
    return c->want.chroot ? did(c, chroot("/tmp"), "chroot /tmp") : 0; /* --without pivot */
}

/* join: the user namespace, too; its root becomes ours. */
static int join(struct container *c) {
    if (c->made.users) must(c, setns(c->join_fd, CLONE_NEWUSER), "setns NEWUSER");
    leave_caller(c);
    return 0;
}

/* terminal: one of the container's. Its /dev may have changed, so what is opened is checked. */
static int open_exec_terminal(struct container *c) {
    const char *path = "/dev/pts/ptmx";
    struct stat s;
    if (!c->has_terminal) return 0;
    int path_fd = sys_openat2(AT_FDCWD, path, O_PATH, RESOLVE_NO_SYMLINKS);
    if (path_fd < 0 || fstat(path_fd, &s) < 0 || s.st_rdev != makedev(5, 2))
        return refuse(c, "%s of the container is not the device of that name", path);
    open_terminal(c, open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW));
    return 0;
}

/* A program that joins a running container finds the walls there, and only dresses alike. */
/* clang-format off */
static const struct step exec_host_steps[] = {
    {"enter", "joins the container's namespaces", "lsns -p PID", enter},
    {"clone", "makes the child, in the container's cgroup", "", clone_child, end_child},
    {"go", "lets the child become the program", "", go},
    {0},
};
static const struct step exec_child_steps[] = {
    {"join", "enters the container's user namespace", "lsns -p PID", join},
    {"terminal", "opens one of the container's", "ls -l /proc/PID/fd", open_exec_terminal},
    {"caps", "drops capabilities, and becomes the user", "grep Cap /proc/PID/status",
     drop_capabilities},
    {"seccomp", "filters system calls", "grep Seccomp /proc/PID/status", filter_calls},
    {"exec", "closes all files, and becomes the program", "ls -l /proc/PID/fd", execute},
    {0},
};
/* clang-format on */

/* update: the kernel puts new limits in force at once, and kills where less memory is left than is
 * used. */
static int update(struct container *c, char **argv) {
    int count = 0;
    for (const struct setting *s = c->want.settings; s->file; s++) {
        count += s->asked;
        if (s->asked && write_file(c->cgroup_fd, s->file, s->value) < 0)
            die("cannot write %s: %s; see " ENV_SH " check", s->file, strerror(errno));
    }
    if (!count) die("update %s: --cpus, --memory or --pids is needed", argv[0]);
    return 0;
}

/* Wait until the container has ended, and its engine has cleaned up and let go of its lock. */
static bool wait_gone(struct container *c, long long seconds, bool says) {
    for (long long i = 0; runs(&c->made) || flock(c->dir_fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (says && i == 200)
            warn("%s: waiting for its end, up to %lld seconds", c->want.name, seconds);
        if (i >= seconds * 200 || usleep(5000) < 0) return false;
    }
    return true;
}

static void kill_and_wait(struct container *c) {
    if (c->pid_fd >= 0) sys_pidfd_send_signal(c->pid_fd, SIGKILL);
    if (!wait_gone(c, WAIT_SECONDS, false) && has_engine(&c->made))
        kill((pid_t)c->made.engine, SIGTERM); /* it waits for a slow reader */
    if (!wait_gone(c, 1, false))
        die("the engine of %s, process %lld, does not react: end it, then try again", c->want.name,
            c->made.engine);
}

static int stop(struct container *c, char **argv) {
    if (!handles_signal(c->made.pid, SIGTERM))
        warn("%s: its first process has no handler for TERM, so it is killed", c->want.name);
    else if (sys_pidfd_send_signal(c->pid_fd, SIGTERM) == 0 &&
             !wait_gone(c, flags.seconds, flags.seconds > 1))
        warn("%s: still there %lld s after TERM, so it is killed", c->want.name, flags.seconds);
    kill_and_wait(c);
    puts(argv[0]);
    return 0;
}

static int parse_signal(const char *text) {
    static const char names[] =
        "0 HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT "
        "STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS ";
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    const bool digits = isdigit((unsigned char)*text);
    const int number =
        digits ? (int)parse_whole("signal", text, NSIG - 1) : find_word(names, name, strncasecmp);
    if (number <= 0)
        die("signal '%s': a number or a name such as TERM is needed, as in kill NAME TERM", text);
    return number;
}

/* The processes in a cgroup and in those below it, which root inside may have made. nftw(3) */
static pid_t processes[(1 << 22) + 1]; /* Linux has no more; up to 0 */
static int find_processes(const char *path, const struct stat *s, int type, struct FTW *place) {
    static pid_t *next = processes;
    const bool lists = type == FTW_F && strcmp(path + place->base, "cgroup.procs") == 0;
    FILE *f = lists ? fopen(path, "re") : NULL;
    (void)s;
    while (f && next < processes + COUNT(processes) - 1 && fscanf(f, "%d", next) == 1) next++;
    if (f) fclose(f);
    return 0;
}

/* kill: the first process gets the signal; with --all every one. */
static int send_signal(struct container *c, char **argv) {
    const int asked = argv[1] ? parse_signal(argv[1]) : 0;
    need_container(c, argv[0], flags.all ? THERE : RUNS);
    const int number = asked ? asked : c->made.bundle[0] ? SIGTERM : SIGKILL; /* OCI: TERM */
    if (flags.all) nftw(c->made.cgroup, find_processes, 16, FTW_PHYS);
    for (const pid_t *pid = processes; *pid; pid++) kill(*pid, number);
    if (!flags.all && sys_pidfd_send_signal(c->pid_fd, number) < 0)
        die("container %s has just ended", c->want.name);
    return 0;
}

/* delete: out of the way under the host's lock, and removed after that, however long it takes. */
static int delete_own(struct container *c) {
    struct made now;
    if ((c->pid_fd >= 0 || has_engine(&c->made)) && !flags.force)
        die("container %s is running: stop it first, or use delete -f", c->want.name);
    kill_and_wait(c);
    close_fd(&c->dir_fd); /* and our lock with it */
    if (lock_host(c) < 0) die("%s", c->report.why);
    sweep(c, c->want.name); /* if its engine was killed meanwhile */
    if (read_state(&now, c->lib_fd, c->want.name) == 0 && now.engine != c->made.engine &&
        has_engine(&now))
        die("container %s has been started again", c->want.name);
    const int result = set_aside(c);
    unlock_host(c);
    if (result < 0 || remove_set_aside(c) < 0) die("%s", c->report.why);
    puts(c->want.name);
    return 0;
}

/* logs: what one with -d has said, all or the last lines, and with -f until its engine has ended.
 * tail(1) follows the newer file when it is full and another one takes its place. */
static int logs(struct container *c, char **argv) {
    const long long engine = has_engine(&c->made) ? c->made.engine : INT_MAX;
    char *count = flags.lines < 0 ? "+1" : keep("%lld", flags.lines), *pid = keep("%lld", engine),
         *tail[] = {"tail", "-n", count, "--pid", pid, flags.follow ? "-F" : "--", "log", NULL};
    if (faccessat(c->dir_fd, "log", F_OK, 0) < 0 || fchdir(c->dir_fd) < 0)
        die("container %s has no log: it was started without -d", argv[0]);
    dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO); /* it speaks of what it follows */
    if (flags.lines < 0 && fork() == 0) execlp("cat", "cat", "log.1", NULL);
    wait(NULL);
    execvp(tail[0], tail);
    return NOT_FOUND;
}
/* ==== Part III: The command line =========================================================== */

/* ---- Values of options ------------------------------------------------------------------- */

static struct container it; /* which the options below write to */

enum { MANY = INT_MAX };

/* The limits of the cgroup: the file, what is in force when nobody asks, and for those that have an
 * option the characters of a figure, its units, what it may be. They are the first settings. */
static const struct limit {
    const char *file, *value, *digits, *units, *form;
    double low, high;
} limits[] = {
    {"cpu.max", "50000 100000", "0123456789.", "", "a number such as 0.5", 0.01, 10000},
    {"memory.max", "52428800", "0123456789", "K M G", "a size such as 50M or 1G", 1, 1LL << 50},
    {"pids.max", "64", "0123456789", "", "a whole number from 1 on", 1, 1 << 22},
    {.file = "memory.swap.max", .value = "0"},  /* no swap beside the memory limit; */
    {.file = "memory.oom.group", .value = "1"}, /* when it is hit, all die, not a random one */
};

/* From what people say to what the file wants: 0.5 -> "50000 100000" (microseconds of processor
 * time in each period), 50M -> "52428800", max -> max. cgroups(7) */
static void take_limit(const char *option, const char *text, void *to) {
    struct setting *s = to;
    const struct limit *l = &limits[s - it.want.settings];
    char *end;
    double n = strtod(text, &end);
    const int unit = find_word(l->units, end, strncasecmp);
    const bool is_max = strcmp(text, "max") == 0,
               plain = end > text && end == text + strspn(text, l->digits),
               zero = text[0] == '0' && isdigit((unsigned char)text[1]);
    for (int i = 0; i <= unit; i++) n *= 1024; /* K once, M twice, G thrice */
    if (!is_max && (!plain || zero || (*end && unit < 0) || n < l->low || n > l->high))
        die("%s '%s': %s is needed, or max", option, text, l->form);
    if (l == &limits[1])
        it.want.settings[3].file = is_max ? NULL : limits[3].file; /* and the last */
    s->asked = true;
    s->value = is_max ? text : keep("%.0f", n);
    if (!is_max && l == limits) s->value = keep("%.0f %d", n * CPU_PERIOD, CPU_PERIOD);
}

/* KEY=VALUE, in place of an earlier one; but not where no option says so: then it is a default. The
 * last entry stays NULL, as execve wants. */
static void take_variable(const char *option, const char *value, void *to) {
    char **at = to;
    const size_t key = strcspn(value, "=");
    if (key == 0 || !value[key]) die("-e '%s': KEY=VALUE is needed", value);
    while (*at && strncmp(*at, value, key + 1) != 0) at++;
    if (at == &it.want.environment[VARIABLES]) die("-e: at most %d variables", VARIABLES);
    if (option || !*at) *at = keep("%s", value);
}

/* HOST:CONTAINER[:ro]; a relative path of the host's is made absolute. */
static void take_volume(const char *option, const char *value, void *to) {
    struct mount *m = to;
    char *rest = keep("%s", value);
    char *host = strsep(&rest, ":"), *target = strsep(&rest, ":");
    if (!*host || !target || target[0] != '/' || !target[strspn(target, "/")] ||
        strlen(target) >= PATH_MAX || (rest && strcmp(rest, "ro") != 0))
        die("%s '%s': HOST:/CONTAINER or HOST:/CONTAINER:ro is needed", option, value);
    while (m->type) m++;
    if (m == &it.want.mounts[MOUNTS]) die("%s: too many volumes", option);
    if (host[0] != '/') host = keep("%s/%s", flags.directory, host);
    *m = (struct mount){"rbind", host, trim(target), NULL, MOUNT_ATTR_NODEV | MOUNT_ATTR_IDMAP};
    if (rest) m->attributes |= RDONLY;
}

/* A user, and perhaps a group: each a number, or a name that is looked for inside (find_user). */
static void take_user(const char *option, const char *value, void *to) {
    struct wanted *w = to;
    char *group = keep("%s", value), *user = strsep(&group, ":");
    if (!*user || (group && !*group)) die("%s '%s': USER or USER:GROUP is needed", option, value);
    w->user = isdigit((unsigned char)*user) ? NULL : user;
    w->uid = w->user ? 0 : (uid_t)parse_whole(option, user, IDS - 1);
    w->gid = w->uid;
    w->group = w->user ? "" : NULL;
    if (group) w->group = isdigit((unsigned char)*group) ? NULL : group;
    if (group && !w->group) w->gid = (gid_t)parse_whole(option, group, IDS - 1);
    w->group_count = 0; /* OCI: those of config.json's user, */
    if (w->uid) memset(&w->capabilities[EFFECTIVE], 0, ALL_BUT_BOUNDING); /* and his rights */
}

static void take_directory(const char *option, const char *value, void *to) {
    if (value[0] != '/') die("%s '%s': an absolute path is needed", option, value);
    *(const char **)to = value;
}

static void take_whole(const char *option, const char *value, void *to) {
    *(long long *)to = parse_whole(option, value, 86400);
}

/* In the order of their numbers. capabilities(7) */
static const char capability_names[] =
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP "
    "LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER "
    "SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
    "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF "
    "CHECKPOINT_RESTORE ";

/* NAME, CAP_NAME or ALL. */
static void take_capability(const char *option, const char *value, void *to) {
    const char *name = strncasecmp(value, "cap_", 4) == 0 ? value + 4 : value;
    const int n = find_word(capability_names, name, strncasecmp);
    if (n < 0 && strcasecmp(value, "all") != 0)
        die("capability '%s' is unknown: see capabilities(7), or use ALL", value);
    const uint64_t some = n < 0 ? (1ULL << (CAP_LAST_CAP + 1)) - 1 : 1ULL << n;
    uint64_t *set = to;
    *set = strcmp(option, "--cap-add") == 0 ? *set | some : *set & ~some;
}

/* ---- Options and commands ---------------------------------------------------------------- */

/* In Parts IV and V. */
static typeof(take_limit) take_without, take_resources;
static void leave_out(struct wanted *w);
static int tell(struct container *c, const char *call, long result);

/* An option: its names, most of them docker's, what its value is called (NULL: it has none), the
 * commands that take it, what it sets, its line in --help (NULL: it is nothing to us), and how the
 * value gets there (NULL: as it is, or as true; of two words as whether it is the first one). */
/* clang-format off */
static const struct option {
    const char *names, *value, *commands;
    void *to;
    const char *help;
    void (*take)(const char *option, const char *value, void *to);
} options[] = {
    {"--cpus", "N|max", "run update", it.want.settings, "processors (default 0.5)", take_limit},
    {"--memory -m", "SIZE|max", "run update", &it.want.settings[1],
     "or with K, M, G (default 50M; no swap)", take_limit},
    {"--pids --pids-limit", "N|max", "run update", &it.want.settings[2],
     "processes and threads (default 64)", take_limit},
    {"-e --env", "KEY=VALUE", "run exec", it.want.environment, "set a variable", take_variable},
    {"-w --workdir --chdir --cwd", "DIR", "run exec", &it.want.cwd, "start in DIR", take_directory},
    {"-u --user", "USER[:GROUP]", "run exec", &it.want, "as whom: numbers or names", take_user},
    {"-v --volume", "HOST:CONTAINER[:ro]", "run", &it.want.mounts[1],
     "show a host's file or directory", take_volume},
    {"-d --detach", NULL, "run", &it.want.detach, "in the background, with a log"},
    {"--name", "NAME", "run", &it.want.name, "in place of the word <name>"},
    {"--hostname", "NAME", "run", &it.want.hostname, "default: the container's name"},
    {"--bridge", "NAME", "run", &it.want.bridge, "default: cebr0"},
    {"--rm", NULL, "run", &it.want.remove, "delete the container's layer when it ends"},
    {"--read-only", NULL, "run", &it.want.read_only, "nothing can be written but volumes"},
    {"--write-through", NULL, "run", &it.want.write_through, "write to <rootfs>, not a layer"},
    {"--userns", "on|off", "run", &it.want.users, "root inside is nobody outside (if possible)"},
    {"--cap-add", "CAP", "run", it.want.capabilities, "one more, or ALL", take_capability},
    {"--cap-drop", "CAP", "run", it.want.capabilities, "one less; order counts", take_capability},
    {"--seccomp", "on|off", "run", &flags.filter, "filter system calls (else on)"},
    {"--explain", NULL, "run exec", &flags.explain, "say what is done, each step and call"},
    {"--step", NULL, "run exec", &flags.step, "the same, and wait for Enter at each step"},
    {"--without", "WALL,...", "run", &it.want.mounts[1], "leave walls out to see what they do",
     take_without},
    {"-i --interactive -t --tty", NULL, "run create exec start", &flags.ignored},
    {"-a --all", NULL, "list ps start", &flags.ignored},
    {"-q --quiet", NULL, "list ps", &flags.quiet, "print names only"},
    {"--json", NULL, "list ps", &flags.json, "for programs"},
    {"-n --tail", "LINES", "logs", &flags.lines, "only the last ones", take_whole},
    {"-f --follow", NULL, "logs", &flags.follow, "go on until the container ends"},
    {"-t --time", "SECONDS", "stop", &flags.seconds, "from TERM to KILL (else 10)", take_whole},
    {"-f --force", NULL, "delete", &flags.force, "even if it runs"},
    /* OCI */
    {"--root", "DIR", "global", &it.want.lib_dir}, {"--log", "FILE", "global", &flags.log},
    {"--log-format", "json|text", "global", &flags.json_log},
    {"--debug", NULL, "global", &flags.ignored},
    {"--bundle -b", "DIR", "run create", &flags.bundle},
    {"--pid-file", "FILE", "run create exec", &flags.pid_file},
    {"--console-socket", "FILE", "run create exec", &flags.console_socket},
    {"--no-pivot", NULL, "run create", &it.want.chroot},
    {"--preserve-fds", "N", "run create exec", &it.want.kept_fds, NULL, take_whole},
    {"--process", "FILE", "exec", &flags.process}, {"-d --detach", NULL, "exec", &it.want.detach},
    {"--resources", "FILE", "update", NULL, NULL, take_resources},
    {"-a --all", NULL, "kill", &flags.all}, {"--format", "json|table", "ps", &flags.json_ps},
};

/* What others have, and this has not: what to do instead. */
static const char *const hints[][2] = {
    {"-p -P --publish --publish-all --expose port", "no ports: the host reaches its address"},
    {"--network --net --link --ip --dns --add-host", "the word after <name>: <ip>, auto or none"},
    {"--privileged", "--cap-add ALL --seccomp off --userns off comes near"},
    {"--security-opt", "see --seccomp, --cap-drop and --userns"},
    {"--systemd-cgroup", "use the cgroup manager cgroupfs instead"},
    {"--restart", "nobody starts a container again: systemd(1) could"},
    {"--pid --ipc --uts --cgroupns --unshare-all --unshare-net --unshare-pid --unshare-user",
     "each container has its own; --without leaves one out"},
    {"--memory-swap --cpu-shares --cpuset-cpus --cpu-quota --ulimit --shm-size --storage-opt",
     "the limits are --cpus, --memory (there is no swap) and --pids"},
    {"--mount --tmpfs --bind --ro-bind --dev-bind --device --gpus --volumes-from volume",
     "see -v HOST:/CONTAINER[:ro]"},
    {"--entrypoint --init", "what runs, as the first process, are the words after <ip>"},
    {"--env-file --setenv", "see -e KEY=VALUE"},
    {"-f --format --filter --latest -l", "see list --json, and inspect NAME KEY"},
    {"-s -9 --signal", "the signal comes after the name, as in kill NAME TERM"},
    {"pull push build images image load import login search tag history rmi",
     ROOTFS_SH " makes a rootfs, also from a registry's image"},
    {"attach wait top stats", "see list and logs -f, or exec NAME for a program inside"},
    {"cp commit diff export save", "see -v; inspect NAME layer prints where its files are"},
    {"restart", "stop NAME, then start NAME"},
    {"rename", "delete NAME, and start another"},
    {"pause unpause", "see kill NAME STOP, and CONT"},
    {"network info system", "see list, " ENV_SH " status, " ENV_SH " check"},
    {"container", "leave that word out"},
    {"compose pod swarm", "each container is started by a line of its own"},
};

static typeof(list) run, oci_create, oci_start, oci_state, oci_ps,
    oci_delete, oci_run, oci_exec, freeze, oci_features, oci_spec;
static void open_oci_files(void);

/* A command: its name, other words for it, what follows it (NAME...: it runs once for each), its
 * line in --help, how many words it takes at least and at most, and what the first one names. */
static const struct command {
    const char *name, *also, *words, *help;
    int low, high;
    enum need need;
    int (*run)(struct container *c, char **argv);
} commands[] = {
    {"list", "ls", "", "containers, and what they use (also: ls, ps)", 0, 0, NONE, list},
    {"inspect", "", "NAME [KEY]", "all, or one value: inspect c1 address", 1, 2, THERE, inspect},
    {"exec", "", "NAME [command...]", "another program: exec -u 5 c1 ps", 1, MANY, NONE, oci_exec},
    {"start", "", "NAME [command...]", "one that ended, as before", 1, MANY, THERE, oci_start},
    {"logs", "", "NAME", "what one with -d has said: logs -f -n 10 c1", 1, 1, THERE, logs},
    {"update", "", "NAME", "other limits at once: update --memory 1G c1", 1, 1, RUNS, update},
    {"stop", "", "NAME...", "TERM, and KILL after a while: stop -t 1 c1 c2", 1, MANY, RUNS, stop},
    {"kill", "", "NAME [SIGNAL]", "KILL, or what you name: kill c1 HUP", 1, 2, NONE, send_signal},
    {"delete", "rm", "NAME...", "the layer, too (also: rm): rm -f c1", 1, MANY, NONE, oci_delete},
    /* OCI */
    {"state", "", "ID", "", 1, 1, THERE, oci_state}, {"pause", "", "ID", "", 1, 1, RUNS, freeze},
    {"ps", "", "[ID]", "", 0, 1, NONE, oci_ps}, {"resume", "", "ID", "", 1, 1, RUNS, freeze},
    {"spec", "", "", "", 0, 0, NONE, oci_spec},
    {"features", "", "", "", 0, 0, NONE, oci_features},
    /* The last, which is meant, too, when it is none of these words. */
    {"run", "create", "<rootfs> <name> <ip>|auto|none [command...]", "", 3, MANY, NONE, run},
};
/* clang-format on */

static const char *hint(const char *word, const char *otherwise) {
    for (size_t i = 0; i < COUNT(hints); i++)
        if (find_word(hints[i][0], word, strncmp) >= 0) return hints[i][1];
    return otherwise;
}

static bool is_command(const struct command *command, const char *word) {
    return strcmp(word, command->name) == 0 || find_word(command->also, word, strncmp) >= 0;
}

static const struct command *find_command(const char *word) {
    const struct command *w = commands, *last = &commands[COUNT(commands) - 1];
    while (w < last && !(word && is_command(w, word))) w++;
    return w;
}

/* How much of a word is the option's name: -wDIR, --memory=1G. */
static int name_length(const char *word) {
    return word[0] == '-' && word[1] == '-' ? (int)strcspn(word, "=") : 2;
}

static const struct option *find_option(const char *command, const char *word) {
    const char *name = keep("%.*s", name_length(word), word);
    const struct option *o = options, *end = options + COUNT(options);
    while (o < end &&
           (find_word(o->names, name, strncmp) < 0 || find_word(o->commands, command, strncmp) < 0))
        o++;
    return o < end ? o : NULL;
}

/* The help of one command, or, with run, of all. */
static void print_usage(const struct command *about) {
    const bool all = about->run == run;
    printf("Usage: container_engine %s [options] %s\n", all ? "[run]" : about->name, about->words);
    puts(all ? "       container_engine COMMAND ...\n\n"
               "Runs a command (default: /bin/bash, else /bin/sh) in a container: isolated from\n"
               "the host, limited, with the address <ip> on the bridge of `" ENV_SH " set`.\n"
             : about->help);
    for (const struct option *o = options; o < options + COUNT(options); o++)
        if (o->help && find_word(o->commands, about->name, strncmp) >= 0)
            printf("  %-25s%s\n",
                   keep("%.*s %s", (int)strcspn(o->names, " "), o->names, o->value ? o->value : ""),
                   o->help);
    printf("  %-25s%s\n", "--", "end of options");
    if (!all) return;
    for (const struct command *w = commands; w->run != run; w++)
        if (*w->help)
            printf("%s  %-8s%-19s%s\n", w == commands ? "\n" : "", w->name, w->words, w->help);
    puts("  --help, --version    (also: help [COMMAND], COMMAND --help, version)\n\n"
         "As an OCI runtime, under podman, containerd or docker: spec, create --bundle DIR ID,\n"
         "start, state, ps, pause, resume, update --resources FILE, kill, delete, features.\n\n"
         "Exit status: the command's; 128+n if signal n ended it; 125 if the engine failed,\n"
         "126 if the command cannot be executed, 127 if it is not found.");
}

/* What was printed must arrive, unless its reader has gone (grep -q). Returns the exit status. */
static int flush_output(int status) {
    if (fflush(stdout) != 0 && errno != EPIPE) die("standard output: %s", strerror(errno));
    return status;
}

/* One option: -w DIR, -wDIR, --memory 1G, --memory=1G. Returns what remains of the word: of -it -t,
 * or NULL. */
static const char *take_option(const char *command, const char *word, char ***argv) {
    const int n = name_length(word);
    const bool is_long = word[1] == '-';
    const char *name = keep("%.*s", n, word), *value = word[n] ? word + n + is_long : NULL;
    const struct option *o = find_option(command, word);
    if (find_word("--help -h", name, strncmp) >= 0)
        print_usage(find_command(command)), exit(flush_output(0));
    if (strcmp(name, "--version") == 0) puts("container_engine " VERSION), exit(flush_output(0));
    if (!o || (is_long && value && !o->value))
        die("option %s: %s; see container_engine %s --help", name,
            hint(name, "unknown, or not for this command"), command);
    if (o->value && !value) value = *++*argv;
    if (o->value && !value) die("option %s: a value is needed, %s", name, o->value);
    const bool one_of_two = o->value && !o->take && strchr(o->value, '|');
    const int choice = one_of_two ? find_word(o->value, value, strncmp) : 0;
    if (choice < 0) die("%s '%s': %s is needed", name, value, o->value);
    if (o->take)
        o->take(name, value, o->to);
    else if (one_of_two)
        *(int *)o->to = choice == 0;
    else if (o->value)
        *(const char **)o->to = value;
    else
        *(bool *)o->to = true;
    return o->value || !value ? NULL : keep("-%s", value);
}

/* Returns the first word that is no option. */
static char **take_options(const char *command, char **argv) {
    for (; *argv && argv[0][0] == '-' && argv[0][1]; argv++) {
        if (command[0] == 'g' && !find_option(command, *argv)) return argv; /* not before it */
        if (strcmp(*argv, "--") == 0) return argv + 1;
        for (const char *word = *argv; word;) word = take_option(command, word, &argv);
    }
    return argv;
}

/* ---- run: what was typed becomes what is wanted ------------------------------------------- */

/* What is there when no option says otherwise. */
static void set_defaults(struct container *c) {
    struct wanted *w = &c->want;
    const char *lib_dir = w->lib_dir ? w->lib_dir : LIB_DIR; /* what --root said stays */
    *w = (struct wanted){.lib_dir = lib_dir,
                         .bridge = "cebr0",
                         .cwd = "/",
                         .umask = 022,
                         .users = AUTO,
                         .no_new_privileges = true,
                         .capabilities = {[BOUNDING] = default_capabilities}};
    memcpy(&w->mounts[1], default_mounts, sizeof default_mounts);
    memcpy(w->masked, default_masked, sizeof default_masked);
    const long processors = sysconf(_SC_NPROCESSORS_CONF);
    if (processors > PATHS - (long)COUNT(default_masked)) die("%ld processors", processors);
    for (long i = 0; i < processors; i++)
        w->masked[COUNT(default_masked) + (size_t)i] = keep(THROTTLE, i);
    memcpy(w->read_only_paths, default_read_only, sizeof default_read_only);
    memcpy(w->process_limits, default_process_limits, sizeof default_process_limits);
    for (size_t i = 0; i < COUNT(namespaces); i++) w->namespaces |= namespaces[i].flag;
    for (size_t i = 0; i < COUNT(limits); i++)
        w->settings[i] = (struct setting){limits[i].file, limits[i].value, false};
}

/* What depends on the user and on the host name: capabilities, and a clean environment, in which
 * what -e set stays. Of the host's own only TERM and LANG get in. */
static void complete(struct container *c) {
    struct wanted *w = &c->want;
    const char *term = getenv("TERM"), *lang = getenv("LANG");
    w->capabilities[EFFECTIVE] = w->capabilities[PERMITTED] =
        w->uid ? 0 : w->capabilities[BOUNDING];
    take_variable(NULL, "PATH=" STANDARD_PATH, w->environment);
    const bool root = w->user ? strcmp(w->user, "root") == 0 : w->uid == 0;
    take_variable(NULL, root ? "HOME=/root" : "HOME=/", w->environment);
    take_variable(NULL, keep("HOSTNAME=%s", w->hostname), w->environment);
    take_variable(NULL, keep("TERM=%s", term && *term ? term : "linux"), w->environment);
    if (lang) take_variable(NULL, keep("LANG=%s", lang), w->environment);
}

/* The words after <rootfs>, and what follows from them. */
static void take_words(struct container *c, char **argv) {
    static struct rule rules[COUNT(denied) * 14 + 1];
    struct wanted *w = &c->want;
    if (!w->name && *argv) w->name = *argv++;
    if (!w->name || !*argv || !**argv)
        die("an address is missing: <rootfs> <name> <ip>|auto|none is needed; see --help");
    if (!w->hostname) w->hostname = w->name;
    check_name("name", w->name, NAME_LENGTH);
    check_name("--hostname", w->hostname, NAME_LENGTH);
    check_name("--bridge", w->bridge, IF_NAMESIZE - 1); /* else we would ask for a shorter one */
    w->address = strcmp(*argv, "none") == 0 ? "" : *argv;
    w->argv = argv + 1;
    w->cgroup = keep("container_engine/%s", w->name);
    w->mounts[0] =
        (struct mount){"bind", w->rootfs, "/", NULL, MOUNT_ATTR_NODEV | MOUNT_ATTR_IDMAP};
    for (struct mount *m = w->mounts; m->type; m++) {
        if (!is_bind(m) || m->source[0] == '/') continue;
        if (w->read_only) m->attributes |= RDONLY; /* our own files */
        if (!w->address[0] && strcmp(m->source, "resolv.conf") == 0)
            memmove(m, m + 1, (size_t)(&w->mounts[MOUNTS] - m) * sizeof *m);
    }
    if (flags.filter == ON) {
        w->otherwise = SECCOMP_RET_ALLOW;
        w->last_call = LAST_CALL;
        w->rules = rules;
        w->rule_count = default_rules(w->capabilities[BOUNDING], rules);
    }
    complete(c);
    leave_out(w);
}

/* exec, start: what a container was started with, from the words behind its state: the directory,
 * and what was typed from the options of run on. */
static void recall_words(struct container *c) {
    static char text[RECORD + PATH_MAX + COMMAND_LINE];
    static char *words[COMMAND_LINE / 8]; /* each has a pointer in it */
    size_t count = 0;
    const ssize_t n = read_file(c->dir_fd, "state", text, sizeof text);
    if (n < 0) die("container %s: its state: %s", c->want.name, strerror(errno));
    for (char *at = text + RECORD; at < text + n && count < COUNT(words) - 1; at += strlen(at) + 1)
        words[count++] = at;
    if (count < 3) die("container %s does not say how it was started", c->want.name);
    set_defaults(c);
    flags.directory = words[0];
    c->want.rootfs = keep("%s", c->made.rootfs);
    take_words(c, take_options("run", words + 1) + 1);
    c->want.kept_fds = 0; /* those were of then */
}

/* Of an engine in a chroot(2) the containers could get out of theirs: pivot_root exchanges what is
 * "/" to us, and below that the host's root would remain. Entering our own mount namespace once
 * more leads to the root of it, which must be ours; and so does our working directory. setns(2) */
static void check_root(void) {
    enum { WHERE = STATX_MNT_ID | STATX_INO };
    struct statx ours, its;
    int mounts_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (mounts_fd < 0 || statx(AT_FDCWD, "/", 0, WHERE, &ours) < 0 ||
        setns(mounts_fd, CLONE_NEWNS) < 0 || statx(AT_FDCWD, "/", 0, WHERE, &its) < 0)
        die("/proc/self/ns/mnt: %s", strerror(errno));
    if (ours.stx_mnt_id != its.stx_mnt_id || ours.stx_ino != its.stx_ino)
        die("must not be run in a chroot, which its containers could leave: use pivot_root(8)");
    close_fd(&mounts_fd);
}

/* Without a user namespace root inside could overwrite the engine's file through a running copy of
 * it (CVE-2019-5736). So what runs then is a copy in memory, sealed against writing. */
enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };
static bool is_sealed(void) { /* we are the copy */
    int self_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const bool sealed = fcntl(self_fd, F_GET_SEALS) == SEALS;
    close_fd(&self_fd);
    return sealed;
}

static void run_sealed(void) {
    if (is_sealed()) return;
    int self_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int copy_fd = memfd_create("container_engine", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ssize_t n = 1;
    while (n > 0) n = sendfile(copy_fd, self_fd, NULL, INT_MAX);
    if (n == 0 && fcntl(copy_fd, F_ADD_SEALS, SEALS) == 0) fexecve(copy_fd, flags.argv, environ);
    die("cannot run from a sealed copy in memory: %s", strerror(errno));
}

/* The address must be free for use on the bridge, whose own address is the gateway. */
static void check_address(struct wanted *w) {
    static const unsigned long questions[] = {SIOCGIFADDR, SIOCGIFNETMASK, SIOCGIFFLAGS};
    const bool chosen = strcmp(w->address, "auto") != 0; /* else see take_address */
    uint32_t answers[COUNT(questions)];
    struct in_addr address = {0};
    struct ifreq r = {0};
    if (chosen && inet_pton(AF_INET, w->address, &address) != 1)
        die("address '%s': one such as 192.168.1.2 (IPv4) is needed, auto or none", w->address);
    COPY(r.ifr_name, w->bridge);
    for (size_t i = 0; i < COUNT(questions); i++) {
        if (ask_interface(questions[i], &r) < 0)
            die("there is no bridge %s with an address (%s): use none, or `sudo " ENV_SH " set`",
                w->bridge, strerror(errno));
        answers[i] = ntohl(((struct sockaddr_in *)(void *)&r.ifr_addr)->sin_addr.s_addr);
    }
    if (!(r.ifr_flags & IFF_UP)) die("bridge %s is down: run `sudo " ENV_SH " set`", w->bridge);
    const uint32_t own = answers[0], mask = answers[1], a = ntohl(address.s_addr);
    w->prefix = __builtin_popcount(mask);
    w->gateway = keep("%s", inet_ntoa((struct in_addr){htonl(own)}));
    w->first = (own & mask) + 1;
    w->last = (own | ~mask) - 1;
    if (!chosen) return;
    if (a < w->first || a > w->last || a == own)
        die("address %s is not in the bridge's network %s/%d, or is its gateway or broadcast",
            w->address, w->gateway, w->prefix);
    w->first = w->last = a;
}

/* Why there can be no user namespace; NULL: there can. Idmapped mounts are needed, and not every
 * kernel and file system has them. */
static const char *without_users(const struct wanted *w) {
    static const unsigned plain[] = {V9FS_MAGIC, NFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC,
                                     FUSE_SUPER_MAGIC};
    struct utsname u = {0};
    struct statfs f;
    int major = 0, minor = 0;
    if (uname(&u) < 0) die("uname: %s", strerror(errno));
    sscanf(u.release, "%d.%d", &major, &minor);
    if (major * 1000 + minor < 5015) die("Linux 5.15 or newer is needed, not %s", u.release);
    if (access("/proc/self/ns/user", F_OK) < 0) return "this kernel has none";
    if (!w->write_through && major * 1000 + minor < 5019)
        return keep("a layer over mapped files needs Linux 5.19, not %s", u.release);
    for (const struct mount *m = w->mounts; m->type; m++) {
        if (!(m->attributes & MOUNT_ATTR_IDMAP) || statfs(m->source, &f) < 0) continue;
        if (f.f_type == TMPFS_MAGIC && major * 1000 + minor < 6003)
            return keep("%s is on tmpfs, which Linux %s cannot map", m->source, u.release);
        for (size_t i = 0; i < COUNT(plain); i++)
            if ((unsigned)f.f_type == plain[i])
                return keep("%s is on 9p, NFS, overlay or FUSE and cannot be mapped", m->source);
    }
    return NULL;
}

/* Before anything is made it is decided whether there is a user namespace: once decided, it is had
 * or the start fails. */
static void decide_users(struct container *c) {
    struct wanted *w = &c->want;
    const char *why = without_users(w); /* refuses a kernel that is too old for anything */
    if (w->users == ON && why) die("--userns on: %s", why);
    if (w->users != OFF && !why) return;
    w->namespaces &= ~(uint64_t)CLONE_NEWUSER;
    run_sealed();
    if (w->users == AUTO) warn("warning: no user namespace, root inside is root outside: %s", why);
}

/* -d: the user's process waits until the container runs; ours goes on as its engine. */
static void detach(struct container *c) {
    int running[2], status = -1;
    char byte;
    const pid_t engine = pipe2(running, O_CLOEXEC) < 0 ? -1 : fork();
    if (engine < 0) die("fork: %s", strerror(errno));
    close(running[engine > 0]);
    c->running_fd = running[1];
    if (engine == 0) {
        setsid(); /* out of reach of the terminal's signals */
        return;
    }
    const ssize_t n = read(running[0], &byte, 1);
    if (n < 0) warn("cannot tell whether %s runs: %s", c->want.name, strerror(errno));
    if (n < 0) kill(engine, SIGTERM);
    close(running[0]);
    if (n == 1) exit(0); /* it has said so */
    waitpid(engine, &status, 0);
    exit(n == 0 && WIFEXITED(status) ? WEXITSTATUS(status) : ENGINE_FAILED);
}

/* Look at everything the user typed before anything is made; then walk. */
static int start_container(struct container *c) {
    /* With another --root, two would have one cgroup and one address. */
    if (strcmp(c->want.lib_dir, LIB_DIR) != 0 || flags.pid_file || flags.console_socket)
        die("option --pid-file, --console-socket, --root: only for a container with a bundle");
    for (const struct mount *m = &c->want.mounts[1]; m->type; m++)
        if (m->type[0] == 'r' && access(m->source, F_OK) < 0)
            die("-v '%s': %s", m->source, strerror(errno));
    if (c->want.address[0]) check_address(&c->want);
    this_boot(); /* or nobody could say later who lives */
    errno = ENOENT;
    if (!cgroup_mount()[0])
        die("no cgroup2 on /sys/fs/cgroup: %s; see " ENV_SH " check", strerror(errno));
    decide_users(c); /* may run us once more, where the user is */
    check_root();
    if (c->want.detach) detach(c);
    c->child_steps = container_steps;
    if (flags.explain || flags.step) c->tell = tell;
    return walk(c, host_steps);
}

/* exec: a second program, behind the same walls and in the same cgroup as the first. */
static int exec_in(struct container *c) {
    recall_words(c); /* the user, capabilities and filter that it was started with, */
    memset(c->want.environment, 0, sizeof c->want.environment); /* but not those */
    c->want.cwd = "/";
    flags.explain = flags.step = false; /* these were said then */
    c->want.argv = take_options("exec", flags.words) + 1;
    complete(c);
    c->want.address = "";
    c->want.namespaces = 0;
    c->want.detach = false;
    if (!c->made.users && c->want.capabilities[BOUNDING] & CAP(SYS_PTRACE))
        die("exec into %s: with --userns off and SYS_PTRACE its programs could take over whoever "
            "enters; use nsenter(1) if you trust them",
            c->want.name);
    if (!c->made.users) run_sealed();
    c->child_steps = exec_child_steps;
    if (flags.explain || flags.step) c->tell = tell;
    return walk(c, exec_host_steps);
}

/* start: one that ended, once more, with the words that it was started with. */
static int start(struct container *c, char **argv) {
    recall_words(c);
    if (argv[1]) c->want.argv = argv + 1;
    close_container(c); /* claim looks itself */
    return start_container(c);
}

static int run(struct container *c, char **argv) {
    if (flags.bundle && (!argv[0] || argv[1])) die("--bundle: ID is needed, and nothing else");
    if (argv[0] && !argv[1] && (flags.bundle || access("config.json", F_OK) == 0))
        return strcmp(flags.verb, "create") == 0 ? oci_create(c, argv) : oci_run(c, argv);
    if (!argv[0])
        die("<rootfs> <name> <ip>|auto|none is needed, or a command such as list; see --help");
    const char *rootfs = realpath(keep("%s%s", argv[0], *argv[0] ? "/" : ""), NULL);
    if (!rootfs)
        die("neither a command nor a rootfs: '%s': %s; --help knows the commands", argv[0],
            hint(argv[0], keep("%s; " ROOTFS_SH " makes one", strerror(errno))));
    if (strcmp(rootfs, "/") == 0) die("rootfs '%s': it would be the host's own", argv[0]);
    char *printable = keep("%s", rootfs);
    make_printable(printable);
    if (strcmp(printable, rootfs) != 0) die("rootfs '%s': unprintable characters", argv[0]);
    c->want.rootfs = rootfs;
    take_words(c, argv + 1);
    /* For recall_words: the directory, and the words as they were typed. */
    c->words = keep("%s", flags.directory);
    for (char **word = flags.words; *word; word++) keep("%s", *word); /* one behind the other */
    c->words_size = (size_t)(kept_end - c->words);
    return start_container(c);
}

/* A file opened as 0, 1 or 2 would become the container's input or output; a directory there would
 * be a way out (CVE-2024-21626). */
static void check_descriptors(void) {
    struct stat s;
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO) fd = open("/dev/null", O_RDWR);
    if (fd < 0) die("/dev/null: %s", strerror(errno));
    close_fd(&fd);
    for (int i = 0; i < 3; i++)
        if (fstat(i, &s) == 0 && S_ISDIR(s.st_mode))
            die("descriptor %d is a directory: a file, a pipe or a terminal is needed", i);
}

/* As many words as the command takes, and none that is an option among those that it needs. */
static void check_words(const struct command *command, char **words) {
    int count = 0;
    while (words[count]) count++;
    for (int i = 0; i < count && i <= command->low - (it.want.name != NULL); i++)
        if (find_option(command->name, words[i]) && !(command->run == run && hint(words[0], NULL)))
            die("option %s: %s", words[i],
                hint(words[i], keep("options come before %s", command->words)));
    if (command->run != run && (count < command->low || count > command->high))
        die("too %s words for %s; see container_engine %s --help",
            count < command->low ? "few" : "many", command->name, command->name);
}

int main(int argc, char **argv) {
    static char directory[PATH_MAX];
    struct container *c = &it;
    check_descriptors();
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* setrlimit(2): then a write says why it fails */
    signal(SIGCHLD, SIG_DFL); /* ignored, nobody would be told how a child ended */
    *c = blank;
    set_defaults(c);
    flags.argv = argv;
    flags.directory = getcwd(directory, sizeof directory) ? directory : "."; /* it is deleted */
    char **words = take_options("global", argv + (argc > 0)); /* OCI: before the command's word */
    open_oci_files();
    if (*words && strcmp(*words, "help") == 0)
        return print_usage(find_command(words[1])), flush_output(0);
    if (*words && strcmp(*words, "version") == 0) *words = keep("--version");
    const struct command *command = find_command(*words);
    flags.verb = *words && is_command(command, *words) ? *words++ : command->name;
    flags.words = words;
    words = take_options(command->name, words);
    for (int fd = 3; fd < 3 + c->want.kept_fds; fd++)
        if (fcntl(fd, F_GETFD) < 0) die("--preserve-fds: %d: %s", fd, strerror(errno));
    if (!c->want.keep_files) syscall(SYS_close_range, 3 + c->want.kept_fds, ~0U, 0);
    check_words(command, words);
    if (geteuid() != 0) die("must be run as root: sudo container_engine ...");
    if (setenv("PATH", STANDARD_PATH, 1) < 0) die("setenv: %s", strerror(errno));
    const bool each = strcmp(command->words, "NAME...") == 0;
    int status = 0, failed = 0;
    for (; each && *words; words++) { /* one that fails does not keep the others from it */
        const pid_t pid = fork();
        if (pid == 0) break; /* to do this one */
        if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) failed = ENGINE_FAILED;
    }
    if (each && !*words) return failed;
    if (command->need) need_container(c, words[0], command->need);
    status = command->run(c, words);
    close_container(c);
    close_fd(&c->lib_fd);
    return flush_output(status);
}

/* ==== Part IV: The classroom ============================================================== */

/* ---- --explain and --step ---------------------------------------------------------------- */

/* Commands that do the same as a call, whose name is that of its man page, if theirs is another. */
/* clang-format off */
static const char *const commands_for[][2] = {
    {"capset", "setpriv --bounding-set"}, {"clone3", "unshare --fork"}, {"setns", "nsenter"},
    {"close_range", "exec N>&-"}, {"dup2", "exec N>&M"}, {"mount_setattr", "mount --bind -o"},
    {"prctl", "setpriv"}, {"sethostname", "hostname"}, {"setgroups", "setpriv --groups"},
    {"setresgid", "setpriv --regid"}, {"setresuid", "setpriv --reuid"}, {"symlink", "ln -s"},
    {"umount2", "umount -l"}, {"write", "echo VALUE >FILE"},
};
/* clang-format on */

/* The command to look with, with the real name in place of one of these words. */
static const char *fill_in(const struct container *c, const char *look) {
    const char *const as[][2] = {{"PID", c->made.pid ? keep("%lld", c->made.pid) : "PID"},
                                 {"DIR", keep("%s/%s", c->want.lib_dir, c->want.name)},
                                 {"CGROUP", c->made.cgroup},
                                 {"BRIDGE", c->want.bridge}};
    const char *at = NULL;
    size_t i = 0;
    while (i < COUNT(as) && (at = strstr(look, as[i][0])) == NULL) i++;
    return at ? keep("%.*s%s%s", (int)(at - look), look, as[i][1], at + strlen(as[i][0])) : look;
}

/* A call, with the arguments it was made with, the kernel's answer, and where to read. Or (NULL) a
 * step begins: who acts, its number and name, what it does. With --step, Enter goes on and q ends
 * it; what the other process has to tell waits meanwhile. lockf(3) */
static int tell(struct container *c, const char *call, long result) {
    static int terminal_fd = -1, turn_fd = -1; /* the child has them from us */
    const bool inside = c->steps == c->child_steps;
    const char *colour = !isatty(STDERR_FILENO) ? "" : inside ? "\033[1;36m" : "\033[1;33m";
    const struct step *s = c->steps;
    char self[16] = "", answer = '\n', last = '\n';
    if (!c->step) return 0; /* before the first */
    while (strcmp(s->name, c->step) != 0) s++;
    if (flags.step && terminal_fd < 0) terminal_fd = open("/dev/tty", O_RDONLY | O_CLOEXEC);
    if (flags.step && terminal_fd < 0) return refuse(c, "--step: a terminal is needed");
    if (turn_fd < 0) turn_fd = memfd_create("turn", MFD_CLOEXEC); /* /dev/tty is everybody's */
    lockf(turn_fd, F_LOCK, 0);
    if (call) {
        const char *name = keep("%.*s", (int)strcspn(call, " "), call),
                   *why = result < 0 ? strerror((int)-result) : keep("%ld", result);
        const char *const *same = FIND(commands_for, name);
        dprintf(STDERR_FILENO, "%-9s   %-60s # %s(%d)%s%s\n", inside ? "container" : "host",
                result ? keep("%s = %s", call, why) : call, name, strcmp(name, "ip") ? 2 : 8,
                same ? ", " : "", same ? same[1] : "");
    } else {
        if (inside && c->made.pid == 0 && readlink("/proc/self", self, sizeof self - 1) > 0)
            c->made.pid = atoll(self); /* as long as /proc is the host's */
        dprintf(STDERR_FILENO, "%s%-9s %s%td %-8s %s%s\n", colour, inside ? "CONTAINER" : "HOST",
                c->back ? "back " : "", s - c->steps + 1, s->name,
                c->back ? "undoes what the step made" : s->about, *colour ? "\033[0m" : "");
    }
    if (!call && flags.step && !c->back) {
        dprintf(STDERR_FILENO, "%10slook from another terminal: %s\n", "", fill_in(c, s->look));
        dprintf(STDERR_FILENO, "%10sEnter: go on; q: walk back ", "");
        while (read(terminal_fd, &last, 1) == 1 && last != '\n') answer = last;
    }
    lockf(turn_fd, F_ULOCK, 0);
    return answer == 'q' ? refuse(c, "ended by q") : 0;
}

/* ---- --without --------------------------------------------------------------------------- */

/* The walls that can be left out, and what is wanted instead: the host's namespace; what the host
 * has at this place; a variable of ours that becomes 0, or a flag that becomes 1. */
#define NO(variable)   .at = &(variable), .size = sizeof(variable)
#define YES(flag_here) NO(flag_here), .byte = true
static const struct wall {
    const char *name, *without, *place;
    uint64_t flag;
    void *at;
    size_t size;
    int byte;
} walls[] = {
    {"pid", "it sees, and can signal, the host's processes", "/proc", CLONE_NEWPID},
    {"net", "it has the host's network", "/sys", CLONE_NEWNET},
    {"uts", "it has the host's name", NULL, CLONE_NEWUTS},
    {"ipc", "it shares System V IPC and message queues", "/dev/mqueue", CLONE_NEWIPC},
    {"user", "root inside is root outside", NULL, CLONE_NEWUSER, NO(it.want.users)},
    {"cgroup", "it sees the host's cgroups", "/sys/fs/cgroup", CLONE_NEWCGROUP},
    {"pivot", "only chroot(2): root can walk out of it", YES(it.want.chroot)},
    {"proc", "it has the host's /proc", "/proc"},
    {"masks", "the whole machine's settings can be read and written", NO(it.want.masked)},
    {"devices", "it has the host's /dev", "/dev"},
    {"caps", "root inside has all capabilities", YES(flags.all_capabilities)},
    {"seccomp", "no system call is filtered", NO(flags.filter)},
    {"limits", "nothing bounds its time, memory and processes", NO(it.want.settings)},
    {"layer", "it writes to the rootfs itself", YES(it.want.write_through)},
    {"descriptors", "it inherits what its caller has open", YES(it.want.keep_files)},
};

/* They change nothing but what is wanted: OCI needs the same data. A red line tells of each. */
static void take_without(const char *option, const char *value, void *to) {
    char *list = keep("%s", value), *name;
    while ((name = strsep(&list, ",")) != NULL) {
        const struct wall *w = FIND(walls, name);
        if (!w)
            die("%s '%s': pid, net, uts, ipc, user, cgroup, pivot, proc, masks, devices, caps, "
                "seccomp, limits, layer, descriptors; mnt, private: the host's would change",
                option, name);
        const char *red = isatty(STDERR_FILENO) ? "\033[1;31m" : "";
        if (!is_sealed()) /* the copy need not say it again */
            dprintf(STDERR_FILENO, "%swithout %s: %s%s\n", red, name, w->without,
                    *red ? "\033[0m" : "");
        it.want.namespaces &= ~w->flag;
        if (w->at) memset(w->at, w->byte, w->size);
        for (struct mount *m = to; w->place && m->type; m++) {
            const char *from = access(m->target, F_OK) == 0 ? w->place : "/dev/null"; /* mqueue */
            const bool gone = from != w->place && is_below(m->target, w->place);
            if (strcmp(m->target, w->place) == 0 || gone) *m = (struct mount){"rbind", from, from};
        }
    }
}

/* What can only be left out when the rest is known. */
static void leave_out(struct wanted *w) {
    if (!(w->namespaces & CLONE_NEWNET)) w->address = ""; /* it has the host's */
    if (!(w->namespaces & CLONE_NEWUTS)) w->hostname = "";
    if (!w->masked[0]) w->read_only_paths[0] = NULL;
    for (struct mount *m = w->mounts; m->type && w->users == OFF; m++) /* the host's root may */
        if (strcmp(m->type, "devpts") == 0 && m[-1].type[0] == 'r') /* use the host's terminals */
            *m = (struct mount){"rbind", "/dev/pts", "/dev/pts"};
    for (int i = BOUNDING; flags.all_capabilities && i <= PERMITTED; i++)
        w->capabilities[i] = UINT64_MAX;
}

/* ==== Part V: The OCI face ================================================================ */

/*
 * podman, containerd and docker do not build containers themselves. They write a bundle, which is a
 * directory with config.json, and call a runtime: create, start, kill, delete. Here is that
 * runtime. config.json fills struct wanted, as options do; then the same steps run.
 *                                    https://github.com/opencontainers/runtime-spec
 */

/* ---- 14. A reader for JSON --------------------------------------------------------------- */

enum { JSON_BYTES = 1 << 20, JSON_VALUES = 1 << 15, JSON_DEPTH = 64 };

/* A JSON text (RFC 8259) becomes an array of values. A value is followed by all that is inside of
 * it; next says how far away the first one after that is. Strings are unescaped in place. */
struct value {
    char kind;       /* how it begins: { [ " t f n; 0 for every number */
    const char *key; /* its name in an object */
    char *text;      /* of a string or a number */
    int next, line, column;
};

/* What is read: one text after the other, and before anything is made, so an error is the end. */
static struct {
    const char *file;
    char *at, *line_start;
    int line, count;
    struct value values[JSON_VALUES]; /* of all texts */
} json;

#define COLUMN_HERE                 ((int)(json.at - json.line_start) + 1)
#define wrong_at(line, column, ...) die("%s:%d:%d: %s", json.file, line, column, keep(__VA_ARGS__))
#define bad(...)                    wrong_at(json.line, COLUMN_HERE, __VA_ARGS__)
#define wrong(v, ...) \
    wrong_at((v)->line, (v)->column, "%s%s%s", (v)->key ? (v)->key : "", (v)->key ? ": " : "", \
             keep(__VA_ARGS__))

/* Past this, if it comes next. */
static bool take(const char *word) {
    const bool there = strncmp(json.at, word, strlen(word)) == 0;
    if (there) json.at += strlen(word);
    return there;
}

/* The same, after blanks. */
static bool skip(const char *word) {
    for (; *json.at && strchr(" \t\r\n", *json.at); json.at++) {
        if (*json.at != '\n') continue;
        json.line++;
        json.line_start = json.at + 1;
    }
    return take(word);
}

static uint32_t read_hex(void) {
    if (strspn(json.at, "0123456789abcdefABCDEF") < 4) bad("four digits are needed");
    json.at += 4;
    return (uint32_t)strtoul(keep("%.4s", json.at - 4), NULL, 16);
}

/* After a backslash. What is written is never longer than what was read. Characters above U+FFFF
 * are two \u, of which the first one is no character. */
static void read_escape(char **to) {
    static const char letters[] = "\"\\/bfnrtu", meanings[] = "\"\\/\b\f\n\r\t",
                      lead[] = "\0\xc0\xe0\xf0";
    const char *found = *json.at ? strchr(letters, *json.at) : NULL;
    if (!found) bad("there is no such escape");
    json.at++;
    uint32_t n = *found == 'u' ? read_hex() : (uint32_t)meanings[found - letters];
    if (n >= 0xd800 && n < 0xdc00 && take("\\u")) {
        const uint32_t low = read_hex();
        n = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((n - 0xd800) << 10) + (low - 0xdc00) : 0;
    }
    if (n == 0 || (n >= 0xd800 && n < 0xe000)) bad("this is half a character, or none");
    int more = n < 0x80 ? 0 : n < 0x800 ? 1 : n < 0x10000 ? 2 : 3;
    *(*to)++ = (char)((unsigned char)lead[more] | n >> 6 * more);
    while (more-- > 0) *(*to)++ = (char)(0x80 | (n >> 6 * more & 0x3f));
}

static char *read_string(void) {
    if (!skip("\"")) bad("a string is needed");
    char *text = json.at, *to = text;
    for (uint32_t character; *json.at != '"';) {
        const size_t n = utf8_length(json.at, &character);
        if (n == 0) bad("this is not UTF-8, or the string does not end");
        if (character < ' ') bad("a control character must be written as an escape");
        memmove(to, json.at, n);
        json.at += n;
        if (character == '\\')
            read_escape(&to);
        else
            to += n;
    }
    json.at++;
    *to = '\0';
    return text;
}

static void read_digits(void) {
    const size_t n = strspn(json.at, "0123456789");
    if (n == 0) bad("a value is needed");
    json.at += n;
}

/* A digit after a leading zero is none of what may follow. */
static void read_number(void) {
    take("-");
    if (!take("0")) read_digits();
    if (take(".")) read_digits();
    if (!take("e") && !take("E")) return;
    if (!take("+")) take("-");
    read_digits();
}

/* Each name is in an object once: of two, readers would differ in which counts. */
static void read_value(const char *key, int depth) {
    skip("");
    const char first = *json.at, last[] = {(char)(first + 2), '\0'}; /* of brackets, in ASCII */
    const int at = json.count++;
    if (json.count >= JSON_VALUES || depth > JSON_DEPTH) bad("too many values, or too deep");
    struct value *v = &json.values[at];
    *v = (struct value){first, key, json.at, 1, json.line, COLUMN_HERE};
    if (take("{") || take("[")) {
        while (!skip(last)) {
            if (json.count > at + 1 && !skip(",")) bad("a comma or the end of the list is needed");
            const char *name = first == '{' ? read_string() : NULL;
            for (int i = at + 1; name && i < json.count; i += json.values[i].next)
                if (strcmp(json.values[i].key, name) == 0) bad("%s was there before", name);
            if (name && !skip(":")) bad("a colon is needed");
            read_value(name, depth + 1);
        }
    } else if (first == '"') {
        v->text = read_string();
    } else if (!take("true") && !take("false") && !take("null")) {
        v->kind = '0';
        read_number();
    }
    v->next = json.count - at;
}

/* Read size bytes of text, which end with NUL, and stay: strings point into them. */
static const struct value *read_json(const char *file, char *text, size_t size) {
    const struct value *root = &json.values[json.count];
    json.file = file;
    json.at = json.line_start = text;
    json.line = 1;
    read_value(NULL, 1);
    skip("");
    if (json.at != text + size) bad("something follows the value");
    return root;
}

/* The whole of a file; "-": of standard input. */
static const struct value *load_json(const char *path) {
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *text = calloc(1, JSON_BYTES + 1);
    const size_t size = f && text ? fread(text, 1, JSON_BYTES, f) : 0;
    if (!f || !text || ferror(f)) die("%s: %s", path, strerror(errno));
    if (size == JSON_BYTES) die("%s: more than %d bytes", path, JSON_BYTES - 1);
    fclose(f);
    return read_json(path, text, size);
}

/* The values in a list, kind '[', or an object, '{': the one after v; NULL: before the first, and
 * after the last. */
static const struct value *each(const struct value *parent, const struct value *v, char kind) {
    if (parent->kind != kind && parent->kind != 'n')
        wrong(parent, kind == '[' ? "a list is needed" : "an object is needed");
    v = v ? v + v->next : parent + 1;
    return v < parent + parent->next ? v : NULL;
}

/* The value at a path such as "linux.resources.memory". What is not there counts as null. Names
 * that nobody knows are ignored: the specification wants that, for its later versions. */
static struct value absent = {.kind = 'n', .next = 1};
static const struct value *find(const struct value *v, const char *path) {
    if (*path == '.') path++;
    const size_t n = strcspn(path, ".[{");
    if (n == 0) return v;
    for (const struct value *m = NULL; (m = each(v, m, '{')) != NULL;)
        if (strncmp(m->key, path, n) == 0 && !m->key[n]) return find(m, path + n);
    absent = (struct value){'n', path, NULL, 1, v->line, v->column};
    return &absent;
}

static char *text_of(const struct value *v) {
    if (v->kind != '"') wrong(v, "a string is needed");
    return v->text;
}

static bool flag_of(const struct value *v) {
    if (!strchr("tfn", v->kind)) wrong(v, "true or false is needed");
    return v->kind == 't';
}

/* A whole number of 64 bits, with or without a sign: 2^64-1 is -1; otherwise if there is none. */
static long long number_of(const struct value *v, long long otherwise, long long low,
                           long long high) {
    char *end = "n";
    long long n = otherwise;
    errno = 0;
    if (v->kind == '0')
        n = *v->text == '-' ? strtoll(v->text, &end, 10) : (long long)strtoull(v->text, &end, 10);
    if (!strchr("0n", v->kind) || errno || strchr(".eE", *end) || n < low || n > high)
        wrong(v, "a whole number from %lld to %lld is needed", low, high);
    return n;
}
static uint64_t bits_of(const struct value *v) {
    return (uint64_t)number_of(v, 0, LLONG_MIN, LLONG_MAX);
}

/* Which of these words it is, behind the prefix, counted from 0. */
static int word_of(const struct value *v, const char *prefix, const char *words) {
    const size_t n = strlen(prefix);
    const bool fits = strncmp(text_of(v), prefix, n) == 0;
    const int word = fits ? find_word(words, v->text + n, strncmp) : -1;
    if (word < 0) wrong(v, "'%s' is not supported", v->text);
    return word;
}

/* The texts of a list, up to NULL; NULL: there is no list. */
static char **texts_of(const struct value *list) {
    if (list->kind == 'n') return NULL;
    char **texts = calloc((size_t)list->next, sizeof *texts), **text = texts;
    if (!texts) die("out of memory");
    for (const struct value *v = NULL; (v = each(list, v, '[')) != NULL;) *text++ = text_of(v);
    return texts;
}

/* ---- 15. seccomp profiles ---------------------------------------------------------------- */

/* clang-format off */
/* System calls by name; the second group is of x86_64 alone. */
static const struct call {
    const char *name;
    int number;
} calls[] = {
#define _(name) {#name, SYS_##name},
    _(accept) _(accept4) _(acct) _(add_key) _(adjtimex) _(bind) _(bpf) _(brk) _(capget) _(capset)
    _(chdir) _(chroot) _(clock_adjtime) _(clock_getres) _(clock_gettime) _(clock_nanosleep)
    _(clock_settime) _(clone) _(clone3) _(close) _(close_range) _(connect) _(copy_file_range)
    _(delete_module) _(dup) _(dup3) _(epoll_create1) _(epoll_ctl) _(epoll_pwait) _(epoll_pwait2)
    _(eventfd2) _(execve) _(execveat) _(exit) _(exit_group) _(faccessat) _(faccessat2) _(fadvise64)
    _(fallocate) _(fanotify_init) _(fanotify_mark) _(fchdir) _(fchmod) _(fchmodat) _(fchown)
    _(fchownat) _(fcntl) _(fdatasync) _(fgetxattr) _(finit_module) _(flistxattr) _(flock)
    _(fremovexattr) _(fsconfig) _(fsetxattr) _(fsmount) _(fsopen) _(fspick) _(fstat) _(fstatfs)
    _(fsync) _(ftruncate) _(futex) _(get_mempolicy) _(get_robust_list) _(getcpu) _(getcwd)
    _(getdents64) _(getegid) _(geteuid) _(getgid) _(getgroups) _(getitimer) _(getpeername)
    _(getpgid) _(getpid) _(getppid) _(getpriority) _(getrandom) _(getresgid) _(getresuid)
    _(getrlimit) _(getrusage) _(getsid) _(getsockname) _(getsockopt) _(gettid) _(gettimeofday)
    _(getuid) _(getxattr) _(init_module) _(inotify_add_watch) _(inotify_init1) _(inotify_rm_watch)
    _(io_cancel) _(io_destroy) _(io_getevents) _(io_pgetevents) _(io_setup) _(io_submit)
    _(io_uring_enter) _(io_uring_register) _(io_uring_setup) _(ioctl) _(ioprio_get) _(ioprio_set)
    _(kcmp) _(kexec_file_load) _(kexec_load) _(keyctl) _(kill) _(landlock_add_rule)
    _(landlock_create_ruleset) _(landlock_restrict_self) _(lgetxattr) _(linkat) _(listen)
    _(listxattr) _(llistxattr) _(lookup_dcookie) _(lremovexattr) _(lseek) _(lsetxattr) _(madvise)
    _(mbind) _(membarrier) _(memfd_create) _(memfd_secret) _(migrate_pages) _(mincore) _(mkdirat)
    _(mknodat) _(mlock) _(mlock2) _(mlockall) _(mmap) _(mount) _(mount_setattr) _(move_mount)
    _(move_pages) _(mprotect) _(mq_getsetattr) _(mq_notify) _(mq_open) _(mq_timedreceive)
    _(mq_timedsend) _(mq_unlink) _(mremap) _(msgctl) _(msgget) _(msgrcv) _(msgsnd) _(msync)
    _(munlock) _(munlockall) _(munmap) _(name_to_handle_at) _(nanosleep) _(newfstatat) _(nfsservctl)
    _(open_by_handle_at) _(open_tree) _(openat) _(openat2) _(perf_event_open) _(personality)
    _(pidfd_getfd) _(pidfd_open) _(pidfd_send_signal) _(pipe2) _(pivot_root) _(pkey_alloc)
    _(pkey_free) _(pkey_mprotect) _(ppoll) _(prctl) _(pread64) _(preadv) _(preadv2) _(prlimit64)
    _(process_madvise) _(process_mrelease) _(process_vm_readv) _(process_vm_writev) _(pselect6)
    _(ptrace) _(pwrite64) _(pwritev) _(pwritev2) _(quotactl) _(quotactl_fd) _(read) _(readahead)
    _(readlinkat) _(readv) _(reboot) _(recvfrom) _(recvmmsg) _(recvmsg) _(remap_file_pages)
    _(removexattr) _(renameat) _(renameat2) _(request_key) _(restart_syscall) _(rseq)
    _(rt_sigaction) _(rt_sigpending) _(rt_sigprocmask) _(rt_sigqueueinfo) _(rt_sigreturn)
    _(rt_sigsuspend) _(rt_sigtimedwait) _(rt_tgsigqueueinfo) _(sched_get_priority_max)
    _(sched_get_priority_min) _(sched_getaffinity) _(sched_getattr) _(sched_getparam)
    _(sched_getscheduler) _(sched_rr_get_interval) _(sched_setaffinity) _(sched_setattr)
    _(sched_setparam) _(sched_setscheduler) _(sched_yield) _(seccomp) _(semctl) _(semget) _(semop)
    _(semtimedop) _(sendfile) _(sendmmsg) _(sendmsg) _(sendto) _(set_mempolicy) _(set_robust_list)
    _(set_tid_address) _(setdomainname) _(setfsgid) _(setfsuid) _(setgid) _(setgroups)
    _(sethostname) _(setitimer) _(setns) _(setpgid) _(setpriority) _(setregid) _(setresgid)
    _(setresuid) _(setreuid) _(setrlimit) _(setsid) _(setsockopt) _(settimeofday) _(setuid)
    _(setxattr) _(shmat) _(shmctl) _(shmdt) _(shmget) _(shutdown) _(sigaltstack) _(signalfd4)
    _(socket) _(socketpair) _(splice) _(statfs) _(statx) _(swapoff) _(swapon) _(symlinkat) _(sync)
    _(sync_file_range) _(syncfs) _(sysinfo) _(syslog) _(tee) _(tgkill) _(timer_create)
    _(timer_delete) _(timer_getoverrun) _(timer_gettime) _(timer_settime) _(timerfd_create)
    _(timerfd_gettime) _(timerfd_settime) _(times) _(tkill) _(truncate) _(umask) _(umount2) _(uname)
    _(unlinkat) _(unshare) _(userfaultfd) _(utimensat) _(vhangup) _(vmsplice) _(wait4) _(waitid)
    _(write) _(writev)
#ifdef __x86_64__
    _(_sysctl) _(access) _(afs_syscall) _(alarm) _(arch_prctl) _(chmod) _(chown) _(creat)
    _(create_module) _(dup2) _(epoll_create) _(epoll_ctl_old) _(epoll_wait) _(epoll_wait_old)
    _(eventfd) _(fork) _(futimesat) _(get_kernel_syms) _(get_thread_area) _(getdents) _(getpgrp)
    _(getpmsg) _(inotify_init) _(ioperm) _(iopl) _(lchown) _(link) _(lstat) _(mkdir) _(mknod)
    _(modify_ldt) _(open) _(pause) _(pipe) _(poll) _(putpmsg) _(query_module) _(readlink) _(rename)
    _(rmdir) _(security) _(select) _(set_thread_area) _(signalfd) _(stat) _(symlink) _(sysfs)
    _(time) _(tuxcall) _(unlink) _(uselib) _(ustat) _(utime) _(utimes) _(vfork) _(vserver)
#endif
#undef _
    {"futex_waitv", 449}, {"set_mempolicy_home_node", 450}, {"cachestat", 451}, {"fchmodat2", 452},
    {"map_shadow_stack", 453}, {"futex_wake", 454}, {"futex_wait", 455}, {"futex_requeue", 456},
    {"statmount", 457}, {"listmount", 458}, {"lsm_get_self_attr", 459}, {"lsm_set_self_attr", 460},
    {"lsm_list_modules", 461}, {"mseal", 462}, {"setxattrat", 463}, {"getxattrat", 464},
    {"listxattrat", 465}, {"removexattrat", 466}, {"open_tree_attr", 467},
};
/* clang-format on */

/* An action, with the errno that belongs to two of them. */
static uint32_t action_of(const struct value *object, const char *action, const char *error) {
    static const uint32_t meanings[] = {SECCOMP_RET_KILL_THREAD,  SECCOMP_RET_KILL_THREAD,
                                        SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_TRAP,
                                        SECCOMP_RET_ERRNO,        SECCOMP_RET_TRACE,
                                        SECCOMP_RET_LOG,          SECCOMP_RET_ALLOW};
    const char *words = "KILL KILL_THREAD KILL_PROCESS TRAP ERRNO TRACE LOG ALLOW ";
    const uint32_t a = meanings[word_of(find(object, action), "SCMP_ACT_", words)];
    const long long n = number_of(find(object, error), EPERM, 0, SECCOMP_RET_DATA);
    return a == SECCOMP_RET_ERRNO || a == SECCOMP_RET_TRACE ? a | (uint32_t)n : a;
}

/* The tests of arguments: all of them must hold. The words are in the order of enum compare. */
static void load_tests(struct rule *rule, const struct value *list) {
    for (const struct value *a = NULL; (a = each(list, a, '[')) != NULL;) {
        const int op = word_of(find(a, "op"), "SCMP_CMP_", "EQ NE LT LE GE GT MASKED_EQ ");
        struct test t = {(unsigned char)number_of(find(a, "index"), -1, 0, 5), (unsigned)op,
                         UINT64_MAX, bits_of(find(a, "value"))};
        if (op > GT) t = (struct test){t.argument, EQ, t.value, bits_of(find(a, "valueTwo"))};
        for (unsigned i = 0; i < rule->count; i++)
            if (rule->tests[i].argument == t.argument) wrong(a, "two tests of one argument");
        rule->tests[rule->count++] = t;
    }
}

/* Calls that this architecture does not have are left out, as libseccomp does: a profile is written
 * for all of them. Calls of another architecture never get as far as a rule. */
static void load_seccomp(void *to, const struct value *v) {
    struct wanted *w = to;
    const struct value *list = find(v, "syscalls");
    w->otherwise = action_of(v, "defaultAction", "defaultErrnoRet");
    w->last_call = (1 << 30) - 1;                            /* those of x32 begin there */
    w->rules = calloc((size_t)list->next, sizeof *w->rules); /* more values than names */
    if (!w->rules) die("out of memory");
    for (const struct value *s = NULL; (s = each(list, s, '[')) != NULL;) {
        struct rule rule = {.action = action_of(s, "action", "errnoRet")};
        load_tests(&rule, find(s, "args"));
        for (const struct value *n = NULL; (n = each(find(s, "names"), n, '[')) != NULL;) {
            const struct call *call = FIND(calls, text_of(n));
            if (!call) continue;
            rule.call = call->number;
            w->rules[w->rule_count++] = rule;
        }
    }
}

/* ---- 16. config.json --------------------------------------------------------------------- */

/* What of a bundle only this part needs. */
static struct {
    const struct value *config;
    bool all_devices;
    const char *domainname, *label, *annotation; /* which is only looked at */
    struct setting sysctls[SETTINGS + 1];        /* up to the one without a file */
    uint64_t propagation;                        /* MS_* of the root; 0: private */
    uint64_t namespaces;                         /* CLONE_NEW* of all that are not the host's */
    struct winsize size;                         /* of the terminal */
    struct more {                                /* what a row of the mounts may need besides: */
        uint32_t mode, major, minor, uid, gid;   /* a device that is made for it; mode 0: none */
        bool copy_up, read_only; /* a tmpfs: begins with what the rootfs has there; at last is so */
    } more[MOUNTS];
    int start_fd, console_fd, pid_fd; /* where start knocks; the manager's socket, its pid file */
    int own_fds[COUNT(namespaces)];
    FILE *log; /* the manager's, once it is open */
} oci = {.config = &absent, .start_fd = -1, .console_fd = -1, .pid_fd = -1};

/* Options of a mount, and of `features`. With r before its name, one is for what is mounted below,
 * too. */
/* clang-format off */
static const struct mount_option {
    const char *name;
    uint64_t set, cleared, propagation;
} mount_options[] = {
    {"ro", RDONLY, 0, 0}, {"rw", 0, RDONLY, 0},
    {"nosuid", MOUNT_ATTR_NOSUID, 0, 0}, {"suid", 0, MOUNT_ATTR_NOSUID, 0},
    {"nodev", MOUNT_ATTR_NODEV, 0, 0}, {"dev", 0, MOUNT_ATTR_NODEV, 0},
    {"noexec", MOUNT_ATTR_NOEXEC, 0, 0}, {"exec", 0, MOUNT_ATTR_NOEXEC, 0},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0, 0}, {"diratime", 0, MOUNT_ATTR_NODIRATIME, 0},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, 0}, {"atime", 0, MOUNT_ATTR_NOATIME, 0},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, 0},
    {"relatime", 0, MOUNT_ATTR__ATIME, 0}, {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0, 0},
    {"private", 0, 0, MS_PRIVATE}, {"slave", 0, 0, MS_SLAVE}, {"shared", 0, 0, MS_SHARED},
    {"unbindable", 0, 0, MS_UNBINDABLE}, {"idmap", MOUNT_ATTR_IDMAP, 0, 0},
    {"bind", 0, 0, 0}, {"defaults", 0, 0, 0}, {"tmpcopyup", 0, 0, 0},
};
/* clang-format on */

/* What is no attribute of a mount is for its file system to know. */
static void load_mount_option(struct mount *m, struct more *more, const struct value *v) {
    const char *text = text_of(v);
    const struct mount_option *o = FIND(mount_options, text);
    const bool deep = !o && text[0] == 'r' && (o = FIND(mount_options, text + 1)) != NULL;
    if (!o) m->data = m->data ? keep("%s,%s", m->data, text) : text;
    if (!o) return;
    m->attributes = (m->attributes & ~o->cleared) | o->set;
    m->cleared = (m->cleared & ~o->set) | o->cleared;
    if (o->propagation) m->propagation = o->propagation;
    if (strcmp(o->name, "bind") == 0) m->type = deep ? "rbind" : "bind";
    if (deep && (o->set || o->cleared)) m->top_only = false;
    if (strcmp(o->name, "tmpcopyup") == 0) more->copy_up = true;
}

/* The row that mounts on target, or, for "", the first free one. */
static struct mount *mount_row(struct wanted *w, const struct value *v, const char *target) {
    struct mount *m = w->mounts;
    while (m->type && strcmp(m->target, target) != 0) m++;
    if (m == w->mounts + MOUNTS) wrong(v, "there is no room for more than %d mounts", MOUNTS);
    return m;
}

static char *absolute(const struct value *v) {
    if (text_of(v)[0] != '/') wrong(v, "an absolute path is needed");
    return trim(v->text);
}

/* A device can be opened nowhere but where one is bound: that is how we do without a BPF program
 * for the cgroup. A container that may use all devices (--privileged) needs no such care. */
static void load_mount(void *to, const struct value *v) {
    struct wanted *w = to;
    const struct value *type = find(v, "type"), *source = find(v, "source");
    struct mount *m = mount_row(w, v, "");
    struct more *more = &oci.more[m - w->mounts];
    *m = (struct mount){.type = type->kind == 'n' ? "none" : text_of(type), .top_only = true};
    m->source = source->kind == 'n' ? m->type : text_of(source);
    m->target = absolute(find(v, "destination"));
    if (!m->target[strspn(m->target, "/")]) wrong(v, "destination: it is the root");
    for (const struct value *o = NULL; (o = each(find(v, "options"), o, '[')) != NULL;)
        load_mount_option(m, more, o);
    /* Mounts go into it before: podman has a /dev like that. */
    more->read_only = strcmp(m->type, "tmpfs") == 0 && m->attributes & RDONLY;
    if (more->read_only) m->attributes &= ~(uint64_t)RDONLY;
    if (is_bind(m) && m->data) wrong(v, "option '%s' is unknown", m->data);
    if (is_bind(m) && m->source[0] != '/') m->source = keep("%s/%s", w->bundle, m->source);
    if (strcmp(m->type, "cgroup") == 0) m->type = "cgroup2";
    if (find(v, "uidMappings")->kind != 'n' ||
        (m->attributes & MOUNT_ATTR_IDMAP && !(w->namespaces & CLONE_NEWUSER)))
        wrong(v, "uidMappings: only idmap is supported, by the container's user namespace");
    if (!is_bind(m) && m->propagation & (MS_SHARED | MS_UNBINDABLE))
        wrong(v, "propagation: only of a bind is it supported");
    if (!oci.all_devices && strcmp(m->type, "devpts") != 0) m->attributes |= MOUNT_ATTR_NODEV;
}

/* Which devices it may use: those that are bound in, and with 'a' all (--privileged). */
static void load_device_rule(void *to, const struct value *v) {
    const struct value *type = find(v, "type"), *access = find(v, "access");
    const char *what = access->kind == 'n' ? "rwm" : text_of(access);
    const bool reads = strchr(what, 'r'), writes = strchr(what, 'w');
    const bool allow = flag_of(find(v, "allow"));
    const bool all = type->kind == 'n' || text_of(type)[0] == 'a';
    if (allow && reads != writes) wrong(v, "less than reading and writing is not supported");
    if (!allow && !all && *(bool *)to) wrong(v, "all devices but some is not supported");
    if (all) *(bool *)to = allow && reads;
}

/* An id, or another number of 32 bits, which must be there if otherwise is -1. */
static uint32_t id_of(const struct value *object, const char *key, long long otherwise) {
    return (uint32_t)number_of(find(object, key), otherwise, 0, UINT32_MAX - 1);
}

/* A device is a node that we make in the container's directory (keep_bundle), and bind to its
 * place. */
static void load_device(void *to, const struct value *v) {
    static const mode_t kinds[] = {S_IFCHR, S_IFBLK, S_IFCHR, S_IFIFO};
    struct wanted *w = to;
    const char *path = absolute(find(v, "path"));
    struct mount *m = mount_row(w, v, path);
    oci.more[m - w->mounts] = (struct more){
        kinds[word_of(find(v, "type"), "", "c b u p ")] | (id_of(v, "fileMode", 0666) & 07777),
        id_of(v, "major", 0), id_of(v, "minor", 0), id_of(v, "uid", 0), id_of(v, "gid", 0)};
    const char *node = keep("%s/%s/device%td", w->lib_dir, w->name, m - w->mounts);
    *m = (struct mount){"bind", node, path, NULL, DEVICE & ~RDONLY, MOUNT_ATTR_NODEV};
}

static void load_namespace(void *to, const struct value *v) {
    static const char names[] = "cgroup ipc mount network pid user uts "; /* as in namespaces */
    struct wanted *w = to;
    const struct value *path = find(v, "path");
    const int i = word_of(find(v, "type"), "", names);
    const uint64_t flag = namespaces[i].flag;
    if (oci.namespaces & flag) wrong(v, "%s is there twice", namespaces[i].oci_name);
    oci.namespaces |= flag;
    if (path->kind == 'n' || !*text_of(path))
        w->namespaces |= flag;
    else if (flag & (CLONE_NEWNS | CLONE_NEWUSER))
        wrong(path, "a namespace of mounts or users can only be a new one");
    else
        w->joined[i] = path->text;
}

/* A line of user_namespaces(7). */
static void load_map(void *to, const struct value *v) {
    const char **map = to;
    *map = keep("%s%u %u %lld\n", *map ? *map : "", id_of(v, "containerID", -1),
                id_of(v, "hostID", -1), number_of(find(v, "size"), 0, 1, UINT32_MAX));
}

/* One more, after which there is room for the one without a file. */
static void add_setting(struct setting *s, const struct value *v, const char *file,
                        const char *value) {
    const struct setting *end = s + SETTINGS;
    while (s->file) s++;
    if (s == end) wrong(v, "more than %d", SETTINGS);
    *s = (struct setting){file, value, true};
}

/* Only what a namespace of the container's holds: anything else would be the host's. */
static void load_sysctl(void *to, const struct value *v) {
    static const struct {
        const char *prefix;
        uint64_t flag;
    } known[] = {{"net/", CLONE_NEWNET},       {"kernel/msg", CLONE_NEWIPC},
                 {"kernel/shm", CLONE_NEWIPC}, {"kernel/sem", CLONE_NEWIPC},
                 {"fs/mqueue/", CLONE_NEWIPC}, {"kernel/domainname", CLONE_NEWUTS}};
    char *file = keep("/proc/sys/%s", v->key), *name = file + strlen("/proc/sys/");
    uint64_t flag = 0;
    for (char *p = strchr(name, '/') ? "" : name; *p; p++)
        if (*p == '.') *p = '/';
    for (size_t i = 0; i < COUNT(known); i++)
        if (strncmp(name, known[i].prefix, strlen(known[i].prefix)) == 0) flag = known[i].flag;
    if (strstr(name, "..") || !(oci.namespaces & flag))
        wrong(v, "this belongs to the host, or to no namespace of this container");
    add_setting(to, v, file, text_of(v));
}

/* A limit of the cgroup: a text, or a number of cgroup v1, where 0 means: as it is. */
static void load_limit(void *file, const struct value *v) {
    const long long n = v->kind == '"' ? 0 : number_of(v, 0, LLONG_MIN, LLONG_MAX);
    const char *value = v->kind == '"' ? v->text : "";
    if (n) value = n < 0 ? "max" : keep("%lld", n);
    if (*value) add_setting(it.want.settings, v, file, value);
}

/* A weight of cgroup v1, from low to high, on the scale of v2, which ends with 10000. */
static void load_weight(const struct value *v, const char *file, long long low, long long high) {
    const long long n = number_of(v, 0, 0, high), above = n > low ? n - low : 0;
    const char *weight = keep("%lld", 1 + above * 9999 / (high - low));
    if (n) add_setting(it.want.settings, v, file, weight);
}

/* Limits that are made of more than one value. */
static void load_resources(void *settings, const struct value *r) {
    const struct value *swap = find(r, "memory.swap"); /* memory and swap together */
    const long long both = number_of(swap, 0, -1, LLONG_MAX);
    const long long memory = number_of(find(r, "memory.limit"), 0, -1, LLONG_MAX);
    const long long quota = number_of(find(r, "cpu.quota"), 0, -1, LLONG_MAX);
    const long long period = number_of(find(r, "cpu.period"), 0, 0, 1000000);
    const char *rest = both < 0 ? "max" : keep("%lld", both - memory);
    const char *time = quota > 0 ? keep("%lld", quota) : "max";
    if (both > 0 && (memory <= 0 || memory > both)) wrong(r, "memory.swap: less than memory.limit");
    if (both) add_setting(settings, swap, "memory.swap.max", rest);
    if (quota || period)
        add_setting(settings, r, "cpu.max", keep("%s %lld", time, period ? period : CPU_PERIOD));
    load_weight(find(r, "cpu.shares"), "cpu.weight", 2, 262144);
    load_weight(find(r, "blockIO.weight"), "io.weight", 10, 1000);
}
static void load_unified(void *settings, const struct value *v) {
    if (strchr(v->key, '/')) wrong(v, "this is no file of a cgroup");
    add_setting(settings, v, v->key, text_of(v));
}

static const char *const capability_sets[] = {"bounding", "effective", "permitted", "inheritable",
                                              "ambient"};

static void load_capabilities(void *to, const struct value *sets) {
    uint64_t *set = to;
    for (int i = 0; i < CAPABILITY_SETS; i++) {
        const struct value *list = find(sets, capability_sets[i]);
        set[i] = 0;
        for (const struct value *v = NULL; (v = each(list, v, '[')) != NULL;)
            take_capability("--cap-add", text_of(v), &set[i]);
    }
}

static void load_rlimits(void *to, const struct value *list) {
    static const char names[] = /* in the order of their numbers */
        "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE "
        "RTPRIO RTTIME ";
    unsigned seen = 0;
    for (const struct value *v = NULL; (v = each(list, v, '[')) != NULL;) {
        const struct rlimit limit = {bits_of(find(v, "soft")), bits_of(find(v, "hard"))};
        const int i = word_of(find(v, "type"), "RLIMIT_", names);
        if (limit.rlim_cur > limit.rlim_max) wrong(v, "soft is more than hard");
        if (seen >> i & 1) wrong(v, "%s is there twice", find(v, "type")->text);
        seen |= 1U << i;
        ((struct rlimit *)to)[i] = limit;
    }
}

static void load_user(void *to, const struct value *user) {
    struct wanted *w = to;
    w->uid = id_of(user, "uid", 0);
    w->gid = id_of(user, "gid", 0);
    w->umask = (mode_t)number_of(find(user, "umask"), 022, 0, 0777);
    w->group_count = 0;
    for (const struct value *v = NULL; (v = each(find(user, "additionalGids"), v, '[')) != NULL;) {
        if (w->group_count == GROUPS) wrong(v, "more than %d groups", GROUPS);
        w->groups[w->group_count++] = id_of(v, "", -1);
    }
}

static void load_cgroup(void *to, const struct value *v) {
    const char *path = text_of(v), *whole = keep("/%s/", path);
    if (!*path) return; /* as if it were not there */
    if (strstr(whole, "/./") || strstr(whole, "/../") || strchr(path, ':') ||
        !path[strspn(path, "/")] || strlen(path) > sizeof it.made.cgroup - 64)
        wrong(v, "a plain path is needed; for systemd's, use the cgroup manager cgroupfs instead");
    *(const char **)to =
        path[0] == '/' ? path + strspn(path, "/") : keep("container_engine/+%s", path);
}

static void load_propagation(void *to, const struct value *v) {
    const struct mount_option *o = FIND(mount_options, text_of(v) + (v->text[0] == 'r'));
    if (!o || !o->propagation) wrong(v, "'%s' is no propagation", v->text);
    *(uint64_t *)to = o->propagation;
}

/* A hook is a program of the host's, at one of six points of a container's life. Returns how many
 * seconds it may take. */
static int take_hook(struct program *p, const struct value *v) {
    static char **args, *alone[2]; /* one hook runs at a time */
    args = texts_of(find(v, "args"));
    p->path = alone[0] = absolute(find(v, "path"));
    p->argv = args && args[0] ? args : alone;
    p->environment = texts_of(find(v, "env"));
    return (int)number_of(find(v, "timeout"), INT_MAX / 1000, 1, INT_MAX / 1000);
}
static void load_hooks(void *to, const struct value *kind) {
    struct program p; /* run_hooks reads it again */
    (void)to;
    for (const struct value *v = NULL; (v = each(kind, v, '[')) != NULL;) take_hook(&p, v);
}

/* One more text, after which there is room for NULL. */
static void load_path(void *to, const struct value *v) {
    const char **at = to, **end = at + (to == it.want.environment ? VARIABLES : PATHS);
    while (*at) at++;
    if (at == end) wrong(v, "there is no room for more");
    *at = text_of(v);
}
static void load_args(void *to, const struct value *list) {
    *(char ***)to = texts_of(list);
}
static void load_absolute(void *to, const struct value *v) {
    *(const char **)to = absolute(v);
}
static void load_text(void *to, const struct value *v) {
    *(const char **)to = text_of(v);
}
/* A profile of AppArmor's, a label of SELinux's: empty, or for a host that has it. */
static void load_label(void *sign, const struct value *v) {
    if (!*text_of(v)) return;
    if (access(sign, F_OK) < 0) wrong(v, "this host does not have it");
    oci.label = strcmp(v->key, "selinuxLabel") == 0 ? v->text : keep("exec %s", v->text);
}
static void load_flag(void *to, const struct value *v) {
    *(bool *)to = flag_of(v);
}
static void load_number(void *to, const struct value *v) {
    *(int *)to = (int)number_of(v, 0, INT_MIN, INT_MAX);
}
static void load_size(void *to, const struct value *v) {
    struct winsize *size = to;
    size->ws_row = (unsigned short)number_of(find(v, "height"), 0, 0, USHRT_MAX);
    size->ws_col = (unsigned short)number_of(find(v, "width"), 0, 0, USHRT_MAX);
}

/* The keys that we know, in the order in which they are needed, and what they fill; [] and {}: each
 * value of a list, of an object. Of those that we cannot do (load is NULL) the value must be empty,
 * or ask for nothing. */
/* clang-format off */
#define LIMIT "linux.resources."
static const struct key {
    const char *path;
    void (*load)(void *to, const struct value *v);
    void *to;
} keys[] = {
    {LIMIT "devices[]", load_device_rule, &oci.all_devices},
    {"linux.namespaces[]", load_namespace, &it.want}, {"mounts[]", load_mount, &it.want},
    {"linux.devices[]", load_device, &it.want}, {"linux.uidMappings[]", load_map, &it.want.uid_map},
    {"linux.gidMappings[]", load_map, &it.want.gid_map}, {"linux.seccomp", load_seccomp, &it.want},
    {"linux.sysctl{}", load_sysctl, oci.sysctls},
    {"linux.maskedPaths[]", load_path, it.want.masked},
    {"linux.readonlyPaths[]", load_path, it.want.read_only_paths}, {"hooks{}", load_hooks},
    {"linux.rootfsPropagation", load_propagation, &oci.propagation},
    {"linux.cgroupsPath", load_cgroup, &it.want.cgroup}, {"root.path", load_text, &it.want.rootfs},
    {"root.readonly", load_flag, &it.want.read_only}, {"hostname", load_text, &it.want.hostname},
    {"domainname", load_text, &oci.domainname}, {"annotations{}", load_text, &oci.annotation},
    {"process.args", load_args, &it.want.argv}, {"process.cwd", load_absolute, &it.want.cwd},
    {"process.env[]", load_path, it.want.environment}, {"process.user", load_user, &it.want},
    {"process.terminal", load_flag, &it.want.terminal},
    {"process.consoleSize", load_size, &oci.size},
    {"process.selinuxLabel", load_label, "/sys/fs/selinux/enforce"},
    {"process.apparmorProfile", load_label, "/sys/module/apparmor"},
    {"process.capabilities", load_capabilities, it.want.capabilities},
    {"process.rlimits", load_rlimits, it.want.process_limits},
    {"process.oomScoreAdj", load_number, &it.want.oom_score},
    {"process.noNewPrivileges", load_flag, &it.want.no_new_privileges},
    {"linux.resources", load_resources, it.want.settings},
    {LIMIT "unified{}", load_unified, it.want.settings},
    {LIMIT "memory.limit", load_limit, "memory.max"}, {LIMIT "cpu.cpus", load_limit, "cpuset.cpus"},
    {LIMIT "memory.reservation", load_limit, "memory.low"},
    {LIMIT "pids.limit", load_limit, "pids.max"}, {LIMIT "cpu.mems", load_limit, "cpuset.mems"},
    {LIMIT "cpu.burst", load_limit, "cpu.max.burst"}, {LIMIT "cpu.idle", load_limit, "cpu.idle"},
    {"process.scheduler"}, {"process.ioPriority"}, {"process.execCPUAffinity"}, {"linux.intelRdt"},
    {"linux.mountLabel"}, {"linux.personality"}, {"linux.timeOffsets"}, {"linux.seccomp.flags"},
    {"linux.seccomp.listenerPath"}, {LIMIT "rdma"}, {LIMIT "hugepageLimits"}, {LIMIT "network"},
    {LIMIT "memory.kernel"}, {LIMIT "memory.kernelTCP"}, {LIMIT "memory.swappiness"},
    {LIMIT "memory.disableOOMKiller"}, {LIMIT "cpu.realtimeRuntime"}, {LIMIT "cpu.realtimePeriod"},
    {LIMIT "blockIO.leafWeight"}, {LIMIT "blockIO.weightDevice"},
    {LIMIT "blockIO.throttleReadBpsDevice"}, {LIMIT "blockIO.throttleWriteBpsDevice"},
    {LIMIT "blockIO.throttleReadIOPSDevice"}, {LIMIT "blockIO.throttleWriteIOPSDevice"},
};
/* clang-format on */

/* Walk through the table, for a part of config.json: all of it, "", or "process", for exec. Never
 * is a key that we know dropped without a word. */
static void load_keys(const struct value *object, const char *part) {
    for (const struct key *k = keys; k < keys + COUNT(keys); k++) {
        if (strncmp(k->path, part, strlen(part)) != 0) continue;
        const struct value *v = find(object, k->path + strlen(part)), *m = NULL;
        const char list = k->path[strcspn(k->path, "[{")];
        const bool asks = v->next > 1 || v->kind == 't' || (v->kind == '"' && *v->text) ||
                          (v->kind == '0' && strtod(v->text, NULL) != 0);
        if (!k->load && asks) wrong(v, "this is not supported");
        if (!k->load) continue;
        if (!list && v->kind != 'n') k->load(k->to, v);
        while (list && (m = each(v, m, list)) != NULL) k->load(k->to, m);
    }
}

/* What the JSON of a process does not name is not as in the container; limits are our caller's. */
static void forget_process(struct wanted *w) {
    memset(w->environment, 0, sizeof w->environment);
    w->no_new_privileges = false;
    for (int i = 0; i < RLIM_NLIMITS; i++) getrlimit(i, &w->process_limits[i]);
}

/* A whole container. What config.json does not speak of is empty, not as in ours; its OOM score is
 * our caller's. */
static void load_config(struct container *c, const char *bundle) {
    struct wanted *w = &c->want;
    char score[16] = "";
    read_file(AT_FDCWD, "/proc/self/oom_score_adj", score, sizeof score);
    *w = (struct wanted){.name = w->name, .lib_dir = w->lib_dir, .bundle = bundle, .cwd = "/"};
    w->rootfs = w->hostname = w->address = w->bridge = "";
    /* A cgroup that none of ours has, nor one of this name below another --root. */
    w->cgroup = keep("container_engine/+%s.%lld", w->name, range_of(w->lib_dir));
    w->write_through = w->remove = true;
    w->umask = 022;
    w->oom_score = atoi(score);
    forget_process(w);
    const struct value *version = find(oci.config, "ociVersion");
    if (strncmp(text_of(version), "1.", 2) != 0) wrong(version, "this is for version 1");
    w->mounts[0] = (struct mount){.type = "rbind", .source = "/", .target = "/", .top_only = true};
    load_keys(oci.config, "");
    for (size_t i = 0; i < COUNT(default_mounts); i++) { /* the usual devices are always there */
        struct mount *m = mount_row(w, oci.config, default_mounts[i].target);
        if (!m->type && default_mounts[i].attributes == DEVICE) *m = default_mounts[i];
    }
    const bool users = w->namespaces & CLONE_NEWUSER;
    if (!w->argv || !w->argv[0]) wrong(find(oci.config, "process"), "args are needed");
    if (!(w->namespaces & CLONE_NEWNS))
        wrong(find(oci.config, "linux.namespaces"), "a new namespace of mounts is needed");
    if (users != !!w->uid_map || users != !!w->gid_map)
        wrong(find(oci.config, "linux.uidMappings"), "they belong to a new user namespace");
    const struct value *name = find(oci.config, w->hostname[0] ? "hostname" : "domainname");
    if (name->kind != 'n' && !(oci.namespaces & CLONE_NEWUTS)) wrong(name, "it is the host's");
    w->mounts[0].source = w->rootfs[0] == '/' ? w->rootfs : keep("%s/%s", bundle, w->rootfs);
    w->mounts[0].attributes = oci.all_devices ? 0 : MOUNT_ATTR_NODEV;
    w->rootfs = w->mounts[0].source;
}

/* ---- 17. Create, start, state and the rest ----------------------------------------------- */

/* creating, created, running, paused, stopped: as the specification calls them. */
static const char *oci_status(const struct container *c) {
    char frozen[4] = "";
    if (!runs(&c->made)) return "stopped";
    if (!c->made.command[0]) return "creating"; /* see note_start */
    read_file(c->cgroup_fd, "cgroup.freeze", frozen, sizeof frozen);
    return frozen[0] == '1' ? "paused" : !c->made.started ? "created" : "running";
}

/* What `state` prints and hooks read. */
static char *state_text(const struct container *c, const char *status) {
    const struct value *all = find(oci.config, "annotations");
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) die("out of memory");
    put_json(f, "{'ociVersion':'1.0.2','id':'%s','status':'%s','bundle':'%s'", c->want.name, status,
             c->made.bundle);
    if (strcmp(status, "stopped") != 0) fprintf(f, ",\"pid\":%lld", c->made.pid);
    put_json(f, ",'annotations':{");
    for (const struct value *v = NULL; (v = each(all, v, '{')) != NULL;)
        put_json(f, v > all + 1 ? ",'%s':'%s'" : "'%s':'%s'", v->key, text_of(v));
    put_json(f, "}}\n");
    fclose(f);
    return text;
}

/* The hooks of a kind, one after the other, each with the state on its standard input. After the
 * start one that fails is a warning, and keeps no other one from it. */
static int run_hooks(struct container *c, const char *kind, const char *status) {
    const struct value *list = find(find(oci.config, "hooks"), kind);
    int result = 0;
    for (const struct value *v = NULL; result >= 0 && (v = each(list, v, '[')) != NULL;) {
        const int seconds = take_hook(&c->program, v);
        if (c->dir_fd >= 0) write_state(c); /* which it may ask for */
        result = start_program(c, c->program.argv, state_text(c, status), -1);
        if (result >= 0) result = await_program(c, seconds);
        c->program = (struct program){0};
        if (result >= 0 || strncmp(kind, "post", 4) != 0) continue;
        warn("warning: %s: %s", kind, c->report.why);
        result = 0;
    }
    return result;
}

#define START "/proc/self/fd/%d/start" /* in the container's directory */

/* To, or at, a socket with a name; -1. unix(7) */
static int open_socket(const char *path, int (*how)(int, const struct sockaddr *, socklen_t)) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    COPY(name.sun_path, path);
    if (fd >= 0 && how(fd, (const struct sockaddr *)&name, sizeof name) < 0) close_fd(&fd);
    return fd;
}
/* bundle: what later commands need: config.json as it was, devices, and the place where the child
 * waits for start. */
static int keep_bundle(struct container *c) {
    const uid_t base = (uid_t)c->made.base;
    int from_fd = open(keep("%s/config.json", c->want.bundle), O_RDONLY | O_CLOEXEC);
    int to_fd = openat(c->dir_fd, "config.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const ssize_t n = sendfile(to_fd, from_fd, NULL, JSON_BYTES);
    close_fd(&from_fd);
    close_fd(&to_fd);
    if (n < 0) return fail(c, "copy config.json");
    for (size_t i = 0; i < MOUNTS; i++) {
        const struct more *d = &oci.more[i];
        const char *node = keep("device%zu", i);
        if (d->mode && (mknodat(c->dir_fd, node, d->mode, makedev(d->major, d->minor)) < 0 ||
                        fchownat(c->dir_fd, node, base + d->uid, base + d->gid, 0) < 0 ||
                        fchmodat(c->dir_fd, node, d->mode & 07777, 0) < 0))
            return fail(c, "make the device for %s", c->want.mounts[i].target);
    }
    oci.start_fd = open_socket(keep(START, c->dir_fd), bind);
    return oci.start_fd >= 0 && listen(oci.start_fd, 1) == 0 ? 0 : fail(c, "socket for start");
}

/* join, leave: the child inherits the namespaces of others; then we go back to our own. setns(2) */
static int join_namespaces(struct container *c) {
    for (size_t i = 0; i < COUNT(namespaces); i++) {
        const char *path = c->want.joined[i], *own = keep("/proc/self/ns/%s", namespaces[i].file);
        if (!path) continue;
        int fd = oci.own_fds[i];
        if (fd == 0) {
            fd = open(path, O_RDONLY | O_CLOEXEC);
            oci.own_fds[i] = open(own, O_RDONLY | O_CLOEXEC);
        }
        const long result = fd < 0 ? -1 : setns(fd, (int)namespaces[i].flag);
        close_fd(&fd);
        if (did(c, result, "%s the %s namespace %s", c->step, namespaces[i].oci_name, path) < 0)
            return -1;
    }
    return 0;
}

/* The hooks that a step is called after. startContainer's are programs of the container's, so they
 * run when all walls stand. */
static int run_step_hooks(struct container *c) {
    return run_hooks(c, c->step, strncmp(c->step, "start", 5) == 0 ? "created" : "creating");
}

/* The manager's files are opened before anything is made, and before exec enters the container. */
static void open_manager_files(struct container *c) {
    const char *socket = flags.console_socket, *file = flags.pid_file;
    c->has_terminal = c->want.terminal;
    if (c->has_terminal != !!socket)
        die("a terminal needs --console-socket, and nothing else does");
    if (socket && (oci.console_fd = open_socket(socket, connect)) < 0)
        die("--console-socket %s: %s", socket, strerror(errno));
    if (file && (oci.pid_fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0)
        die("--pid-file %s: %s", file, strerror(errno));
}

/* The master of the terminal goes to whoever listens there; then the number of the first process
 * may be known. */
static int tell_manager(struct container *c) {
    if (c->has_terminal && oci.size.ws_row) ioctl(c->terminal_fd, TIOCSWINSZ, &oci.size);
    if (c->has_terminal && (fcntl(c->terminal_fd, F_SETFL, 0) < 0 ||
                            say(oci.console_fd, READY, &c->terminal_fd, 1) < 0))
        return fail(c, "send the terminal");
    if (oci.pid_fd >= 0 && dprintf(oci.pid_fd, "%lld", c->made.pid) < 0)
        return fail(c, "write the pid file");
    return 0;
}

/* ready: all walls stand, and the child waits. From here on nobody looks after it. */
static int await_ready(struct container *c) {
    if (hear_child(c, WALLS_STAND, &c->terminal_fd, 1) < 0) return -1;
    return note_start(c) < 0 ? -1 : tell_manager(c);
}

/* The child, before mounts: sysctls, as long as it sees the host's /proc; and a tmpfs that begins
 * with what the rootfs has at its place (tmpcopyup) is made and filled. */
static int prepare_mounts(struct container *c) {
    c->made.pid = getpid(); /* for hooks */
    for (const struct setting *s = oci.sysctls; s->file; s++)
        must(c, write_file(AT_FDCWD, s->file, s->value), "write %s \"%s\"", s->file, s->value);
    for (size_t i = 0; i < MOUNTS; i++) {
        const struct mount *m = &c->want.mounts[i];
        if (!oci.more[i].copy_up) continue;
        c->tree_fds[i] = make_file_system(m);
        must(c, c->tree_fds[i], "mount %s", m->type);
        const int from_fd =
            open_inside(c->tree_fds[0], keep("%s", m->target + 1), -1, RESOLVE_IN_ROOT);
        if (from_fd < 0) continue; /* nothing is there */
        /* dup: without close-on-exec */
        char *from = keep("/proc/self/fd/%d/.", dup(from_fd));
        char *to = keep("/proc/self/fd/%d/", dup(c->tree_fds[i]));
        char *const cp[] = {"cp", "-a", "--", from, to, NULL};
        if (start_program(c, cp, "", -1) < 0 || await_program(c, 60) < 0) give_up(c);
    }
    return 0;
}

static int set_names(struct container *c) {
    const struct mount_attr read_only = {.attr_set = RDONLY};
    const char *name = oci.domainname;
    for (size_t i = 0; i < MOUNTS; i++)
        if (oci.more[i].read_only)
            must(c, sys_mount_setattr(c->tree_fds[i], 0, &read_only), "mount_setattr tmpfs: ro");
    if (name) must(c, setdomainname(name, strlen(name)), "setdomainname \"%s\"", name);
    if (oci.propagation) must(c, mount(NULL, "/", NULL, oci.propagation, NULL), "propagation of /");
    return set_hostname(c);
}

/* program: what clients rely on: PATH, HOME as the container's passwd(5) has it, a working
 * directory; and whether the program is there is said now, and not only by start. */
static int find_program(struct container *c) {
    const char *program = c->want.argv[0];
    char *line[7];
    struct stat s;
    const bool known = find_line("/etc/passwd", 2, keep("%u", c->want.uid), line) && line[5];
    take_variable(NULL, keep("HOME=%s", known ? line[5] : "/"), c->want.environment);
    take_variable(NULL, "PATH=" STANDARD_PATH, c->want.environment);
    environ = c->want.environment; /* also for hooks inside: ours is the host's */
    const char *path = getenv("PATH");
    const int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    must(c, open_inside(root_fd, keep("%s", c->want.cwd + 1), root_fd, RESOLVE_IN_ROOT), "cwd %s",
         c->want.cwd);
    if (strchr(program, '/')) path = program[0] == '/' ? "" : c->want.cwd;
    int error = ENOENT;
    for (char *rest = keep("%s", path), *dir; (dir = strsep(&rest, ":")) != NULL;) {
        const char *file = keep("%s/%s", dir, program);
        if (stat(file, &s) < 0) continue;
        if (S_ISREG(s.st_mode) && access(file, X_OK) == 0) return 0;
        error = EACCES;
    }
    errno = error;
    return explain_exec(c, program);
}

/* start: the child waits until somebody connects, who then hears how it ends: all that a failing
 * step says from now on goes there. What kill sends meanwhile ends it, as it would the program. */
static int await_start(struct container *c) {
    /* containerd's shim reads what create says until nobody has that pipe open any more. */
    for (int i = 0; i < 3; i++)
        if (c->stdio[i] >= 0) must(c, dup2(c->stdio[i], i), "dup2 %d", i);
    must(c, say(c->talk_fd, WALLS_STAND, &c->terminal_fd, c->has_terminal), "tell the engine");
    free_signals();
    int fd = accept4(oci.start_fd, NULL, NULL, SOCK_CLOEXEC);
    must(c, fd, "accept");
    c->talk_fd = fd;
    c->waits_for_go = false;
    return 0;
}

/* dress: were the limits had? The label, which is given to the kernel and not to a file of the
 * image's, who may have a volume on /proc (CVE-2019-16884); and the filter already now where
 * nothing forbids new privileges, for then the kernel wants a capability for it. */
static int dress(struct container *c) {
    struct statfs f;
    for (int i = 0; i < RLIM_NLIMITS; i++)
        if (c->limits[i].rlim_max < c->want.process_limits[i].rlim_max)
            return refuse(c, "rlimits: number %d cannot be raised so far", i);
    if (oci.label) {
        const int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fstatfs(proc_fd, &f) < 0 || f.f_type != PROC_SUPER_MAGIC)
            return refuse(c, "/proc of the container is something else: no label");
        const int fd = sys_openat2(proc_fd, "self/attr/exec", O_WRONLY, RESOLVE_NO_XDEV);
        must(c, fd < 0 ? -1 : write(fd, oci.label, strlen(oci.label)),
             "apparmorProfile or selinuxLabel %s", oci.label);
    }
    if (c->want.no_new_privileges) return 0;
    filter_calls(c);
    c->want.rules = NULL; /* not again in its step */
    return 0;
}

/* clang-format off */
#define STEP(name, ...) {name, "", "", __VA_ARGS__}
static const struct step create_steps[] = {
    STEP("claim", claim, release), STEP("cgroup", make_cgroup, remove_cgroup),
    STEP("bundle", keep_bundle), STEP("join", join_namespaces),
    STEP("clone", clone_child, end_child), STEP("leave", join_namespaces),
    STEP("users", map_users), STEP("prestart", run_step_hooks),
    STEP("createRuntime", run_step_hooks), STEP("layer", mount_layer), STEP("ready", await_ready),
    {0},
}, create_child_steps[] = {
    STEP("private", leave_host), STEP("prepare", prepare_mounts), STEP("mounts", place_mounts),
    STEP("createContainer", run_step_hooks), STEP("pivot", pivot), STEP("hostname", set_names),
    STEP("program", find_program), STEP("start", await_start), STEP("dress", dress),
    STEP("caps", drop_capabilities), STEP("seccomp", filter_calls),
    STEP("startContainer", run_step_hooks), STEP("exec", execute), {0},
}, oci_exec_steps[] = {
    STEP("enter", enter), STEP("clone", clone_child, end_child),
    STEP("go", go), STEP("ready", tell_manager), {0},
}, oci_exec_child_steps[] = {
    STEP("join", join), STEP("terminal", open_exec_terminal), STEP("program", find_program),
    STEP("dress", dress), STEP("caps", drop_capabilities), STEP("seccomp", filter_calls),
    STEP("exec", execute), {0},
};
/* clang-format on */

static int oci_create(struct container *c, char **argv) {
    struct stat s;
    if (find_container(c, argv[0])) die("container %s exists already", argv[0]);
    const char *bundle = realpath(flags.bundle ? flags.bundle : ".", NULL);
    if (!bundle) die("%s: %s", flags.bundle, strerror(errno));
    if (strlen(bundle) >= sizeof c->made.bundle) die("%s: %s", bundle, strerror(ENAMETOOLONG));
    oci.config = load_json(keep("%s/config.json", bundle));
    load_config(c, bundle);
    take_options("create", flags.words); /* the others are for a container of ours */
    if (!(c->want.namespaces & CLONE_NEWUSER)) run_sealed();
    open_manager_files(c);
    c->child_steps = create_child_steps;
    const int failed = make_steps(c, create_steps);
    if (failed && oci.pid_fd >= 0 && fstat(oci.pid_fd, &s) == 0 && S_ISREG(s.st_mode))
        unlink(flags.pid_file);
    if (failed && c->fresh && c->made.pid) run_hooks(c, "poststop", "stopped"); /* others ran */
    return failed;
}

/* Its bundle's config.json as it was, which is missing or empty where create was killed before.
 * False: it has no bundle, and is not OCI's. */
static bool load_bundle(struct container *c) {
    const char *path = keep("%s/%s/config.json", c->want.lib_dir, c->want.name);
    struct stat s;
    if (c->made.bundle[0] && stat(path, &s) == 0 && s.st_size > 0) oci.config = load_json(path);
    return c->made.bundle[0];
}

/* Knock, and hear how it goes on. Returns the exit status. */
static int start_created(struct container *c) {
    const char *status = oci_status(c);
    if (strcmp(status, "created") != 0) die("container %s is %s", c->want.name, status);
    close_fd(&c->talk_fd);
    c->talk_fd = open_socket(keep(START, c->dir_fd), connect);
    if (c->talk_fd < 0) die("container %s cannot be started: %s", c->want.name, strerror(errno));
    unlinkat(c->dir_fd, "start", 0);
    COPY(c->report.step, "start"); /* unless the child names another one */
    if (hear_child(c, READY, NULL, 0) < 0 || hear_child(c, ENDED, NULL, 0) < 0) {
        warn("%s: %s", c->report.step, c->report.why);
        return c->report.kind == FAILED ? c->report.status : ENGINE_FAILED;
    }
    c->made.started = time(NULL);
    if (write_state(c) < 0) die("cannot write the state of %s", c->want.name);
    return run_hooks(c, "poststart", "running");
}

static int oci_start(struct container *c, char **argv) {
    if (!load_bundle(c)) return start(c, argv);
    if (argv[1]) die("start: %s: its command is in its bundle's config.json", argv[0]);
    return start_created(c);
}

static int oci_state(struct container *c, char **argv) {
    (void)argv;
    load_bundle(c);
    fputs(state_text(c, oci_status(c)), stdout);
    return 0;
}

/* The way back, which create did not walk. */
static void remove_bundle(struct container *c) {
    c->made.remove = true;
    c->report.why[0] = '\0'; /* that of a failed start was told */
    walk_back(c, create_steps, create_steps + COUNT(create_steps) - 1);
    if (c->report.why[0]) die("%s", c->report.why);
    run_hooks(c, "poststop", "stopped");
}

static int oci_delete(struct container *c, char **argv) {
    struct made now;
    if (!flags.force)
        need_container(c, argv[0], THERE);
    else if (!find_container(c, argv[0])) /* as runc: after a create that failed nothing is left */
        return remove_set_aside(c) < 0 ? (warn("%s", c->report.why), ENGINE_FAILED) : 0;
    if (!load_bundle(c)) return delete_own(c);
    if (runs(&c->made) && !flags.force) die("container %s is not stopped", argv[0]);
    if (c->pid_fd >= 0) sys_pidfd_send_signal(c->pid_fd, SIGKILL);
    wait_gone(c, WAIT_SECONDS, false); /* also for another delete, or run */
    if (read_state(&now, c->lib_fd, argv[0]) == 0 && now.start == c->made.start) remove_bundle(c);
    return 0;
}

/* run: create, start and delete; between them we pass signals on, and wait. */
static int oci_run(struct container *c, char **argv) {
    struct signalfd_siginfo s;
    int status = oci_create(c, argv);
    if (status) return status;
    const int failed = start_created(c);
    struct pollfd p[] = {{c->pid_fd, POLLIN, 0}, {c->signal_fd, POLLIN, 0}};
    while (!failed && poll(p, 2, -1) >= 0 && !p[0].revents)
        if (read(c->signal_fd, &s, sizeof s) == sizeof s)
            sys_pidfd_send_signal(c->pid_fd, (int)s.ssi_signo);
    if (!failed) waitpid((pid_t)c->made.pid, &status, 0);
    remove_bundle(c);
    if (failed) return failed;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ps: the numbers of its processes; without an ID it is list. */
static int oci_ps(struct container *c, char **argv) {
    if (!argv[0] && flags.json_ps) die("option --format: %s", hint("--format", ""));
    if (!argv[0]) return list(c, argv);
    need_container(c, argv[0], RUNS);
    fputs(flags.json_ps ? "[" : "PID\n", stdout);
    nftw(c->made.cgroup, find_processes, 16, FTW_PHYS);
    for (const pid_t *pid = processes; *pid; pid++)
        printf(!flags.json_ps ? "%d\n" : pid[1] ? "%d," : "%d", *pid);
    fputs(flags.json_ps ? "]\n" : "", stdout);
    return 0;
}

/* pause, resume: all its processes stop at once, or go on. cgroups(7) */
static int freeze(struct container *c, char **argv) {
    const char *value = strcmp(flags.verb, "pause") == 0 ? "1" : "0";
    char text[64] = "";
    if (!c->made.bundle[0]) die("container %s has no bundle: %s", argv[0], hint("pause", ""));
    if (write_file(c->cgroup_fd, "cgroup.freeze", value) < 0)
        die("cgroup.freeze: %s", strerror(errno));
    for (int i = 0; i < WAIT_SECONDS * 1000; i++, usleep(1000)) {
        read_file(c->cgroup_fd, "cgroup.events", text, sizeof text);
        if (strstr(text, keep("frozen %s", value))) return 0;
    }
    die("container %s does not freeze", argv[0]);
}

/* update --resources: limits as config.json has them. */
static void take_resources(const char *option, const char *value, void *to) {
    (void)option, (void)to;
    load_keys(load_json(value), "linux.resources");
}

/* exec: as ours, with what the file says instead of options. */
static int oci_exec(struct container *c, char **argv) {
    struct wanted *w = &c->want;
    /* Once we have entered, these names would be those of files of the container's. tzset(3) */
    oci.log = flags.log ? fopen(flags.log, "ae") : NULL;
    tzset();
    need_container(c, argv[0], RUNS);
    if (!load_bundle(c) && (flags.process || flags.pid_file || flags.console_socket || w->detach))
        die("option -d, --process, --console-socket, --pid-file: container %s has no bundle",
            argv[0]);
    if (!c->made.bundle[0]) return exec_in(c);
    if (flags.explain || flags.step)
        die("option --explain, option --step: container %s has a bundle", argv[0]);
    if (strcmp(oci_status(c), "running") != 0) die("container %s is %s", argv[0], oci_status(c));
    if (!c->made.users) run_sealed(); /* before standard input is read */
    load_config(c, c->made.bundle);
    w->argv = argv + 1;
    w->terminal = false;
    w->namespaces = 0;
    if (flags.process) {
        forget_process(w);
        load_keys(load_json(flags.process), "process");
    }
    take_options("exec", flags.words); /* once more: -e, -w and -u, over all of that */
    if (!w->argv[0]) die("exec: --process FILE, or a program is needed");
    open_manager_files(c);
    if (w->terminal && !w->detach) die("exec: a terminal is for --detach");
    if (!w->detach) w->bundle = NULL; /* we wait, and pass everything on */
    c->child_steps = oci_exec_child_steps;
    return w->bundle ? make_steps(c, oci_exec_steps) : walk(c, oci_exec_steps);
}

/* A list of texts, up to NULL. */
static void put_list(FILE *f, const char *before, const char *const *texts) {
    put_json(f, before);
    for (const char *format = "['%s'"; *texts; format = ", '%s'") put_json(f, format, *texts++);
    put_json(f, "]");
}

/* A set of capabilities, by the names that config.json has for them. */
static const char *const *capability_texts(uint64_t set) {
    static const char *texts[65];
    const char **text = texts;
    for (const char *name = capability_names; *name; name = strchr(name, ' ') + 1, set >>= 1)
        if (set & 1) *text++ = keep("CAP_%.*s", (int)strcspn(name, " "), name);
    *text = NULL;
    return texts;
}

/* Our filter as a profile. */
static void put_rules(FILE *f) {
    static struct rule rules[COUNT(denied) * 14 + 1];
    const struct rule *end = rules + default_rules(default_capabilities, rules);
    put_json(f, ",\n    'seccomp': {'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [");
    for (const struct rule *r = rules; r < end; r++) {
        const struct call *call = calls;
        while (call->number != r->call) call++;
        put_json(f, "%s\n      {'names': ['%s'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': %s",
                 r > rules ? "," : "", call->name, keep("%u", r->action & SECCOMP_RET_DATA));
        if (r->count)
            put_json(f,
                     ", 'args': [{'index': %s, 'op': 'SCMP_CMP_MASKED_EQ', 'value': %s, "
                     "'valueTwo': %s}]",
                     keep("%u", r->tests->argument), keep("%lu", r->tests->mask),
                     keep("%lu", r->tests->value));
        put_json(f, "}");
    }
}

/* spec: our own container as a config.json, for a rootfs in the bundle. */
static int oci_spec(struct container *c, char **argv) {
    const struct wanted *w = &c->want;
    const char *const *capabilities = capability_texts(default_capabilities);
    (void)argv;
    FILE *f = fopen("config.json", "wxe");
    if (!f) die("config.json: %s", strerror(errno));
    put_json(f, "{\n  'ociVersion': '1.0.2', 'hostname': 'container', 'root': {'path': 'rootfs'},\n"
                "  'process': {'args': ['/bin/sh'], 'cwd': '/', 'noNewPrivileges': true,\n"
                "    'env': ['PATH=" STANDARD_PATH "', 'TERM=linux'],\n    'capabilities': {");
    for (int i = 0; i <= PERMITTED; i++)
        put_list(f, keep("%s\n      '%s': ", i ? "," : "", capability_sets[i]), capabilities);
    put_json(f, "}},\n  'mounts': [");
    for (const struct mount *m = &w->mounts[1]; !is_bind(m); m++) { /* those are the manager's */
        char *rest =
            keep("%s%s%s", names_of(m->attributes), m->data ? "," : "", m->data ? m->data : "");
        put_json(f, "%s\n    {'type': '%s', 'source': '%s', 'destination': '%s', 'options': ['%s'",
                 m > &w->mounts[1] ? "," : "", m->type, m->source, m->target, strsep(&rest, ","));
        while (rest) put_json(f, ", '%s'", strsep(&rest, ","));
        put_json(f, "]}");
    }
    put_json(f,
             "],\n  'linux': {\n    'namespaces': [{'type': 'cgroup'}, {'type': 'ipc'}, "
             "{'type': 'mount'},\n      {'type': 'network'}, {'type': 'pid'}, {'type': 'uts'}],\n"
             "    'resources': {'unified': {");
    for (const struct setting *s = w->settings; s->file; s++)
        put_json(f, s > w->settings ? ", '%s': '%s'" : "'%s': '%s'", s->file, s->value);
    put_list(f, "}},\n    'maskedPaths': ", w->masked);
    put_list(f, ",\n    'readonlyPaths': ", w->read_only_paths);
    put_rules(f);
    put_json(f, "]}\n  }\n}\n");
    return fclose(f) == 0 ? 0 : (warn("config.json: %s", strerror(errno)), ENGINE_FAILED);
}

/* features: what of the specification there is. */
static int oci_features(struct container *c, char **argv) {
    (void)c, (void)argv;
    put_json(
        stdout,
        "{'ociVersionMin': '1.0.0', 'ociVersionMax': '1.2.0', 'hooks': ['prestart', "
        "'createRuntime',\n  'createContainer', 'startContainer', 'poststart', 'poststop'],\n"
        "'linux': {'namespaces': ['cgroup', 'ipc', 'mount', 'network', 'pid', 'user', 'uts'],\n"
        "  'cgroup': {'v1': false, 'v2': true, 'systemd': false}, 'seccomp': {'enabled': true}},\n"
        "'mountOptions': [");
    const struct mount_option *o = mount_options, *end = o + COUNT(mount_options);
    for (; o < end; o++)
        put_json(stdout, o + 1 < end ? "'%s', 'r%s', " : "'%s', 'r%s']}\n", o->name, o->name);
    return 0;
}

/* The manager reads the reason of a failure in a file of its own. */
static void log_to_file(const char *line) {
    const time_t now = time(NULL);
    char when[32];
    if (!oci.log) oci.log = fopen(flags.log, "ae");
    FILE *f = oci.log;
    if (!f) return;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    if (flags.json_log)
        put_json(f, "{'level':'error','time':'%s','msg':'%s'}\n", when, line);
    else
        fprintf(f, "%s %s\n", when, line);
    fflush(f);
}
/* --root, which may be new, with directories above it; --log, of which nobody else would tell. */
static void open_oci_files(void) {
    const char *root = it.want.lib_dir;
    if (!*root) die("--root '': a directory is needed");
    char *dir = root[0] == '/' ? keep("%s", root) : keep("%s/%s", flags.directory, root);
    it.want.lib_dir = dir;
    const bool ours = strcmp(root, LIB_DIR) == 0; /* what is above it is everywhere */
    for (char *end = dir; !ours && (end = strchr(end + 1, '/')) != NULL; *end = '/') {
        *end = '\0';
        mkdir(dir, 0711);
    }
    FILE *f = flags.log ? fopen(flags.log, "ae") : NULL;
    if (flags.log && !f) die("--log %s: %s", flags.log, strerror(errno));
    if (f) fclose(f);
    if (f) log_line = log_to_file;
}
