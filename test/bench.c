/*
 * bench.c: what test/bench.sh needs and a shell is too slow or too coarse for. Linked statically,
 * because it runs inside of containers, too.
 *
 *   bench sample [-n ROUNDS] [-p MS] [-d] ROW CMD... ';' ROW CMD... ';' ...
 *       Runs each row's command once a round, in an order that is shuffled anew each round, so that
 *       nobody always comes after the same neighbour; -p: each after a pause. One line a sample:
 *       ROW, microseconds from start to exit, microseconds of processor time, peak RSS in KiB.
 *       The time ends when the command does. The processor time is that of all its processes, those
 *       too that outlive it, and the next sample waits for them; -d: it does not, for what is to
 *       stay. In CMD, the word THEN starts another command when the one before has exited, and
 *       FINALLY when all that it left have ended as well.
 *   bench floor CMD...     new namespaces, exec, wait: what no engine can be faster than
 *   bench pause            lives until it is killed
 *   bench spin N           N processes that keep N processors busy, until killed
 *   bench usage FILE S     how many processors the cgroup with this cpu.stat uses, over S seconds
 *   bench calls N          seconds of processor time for N times the cheapest system call,
 *   bench files N          to create, write, read and remove a file of 64 KiB,
 *   bench pack N           to read one of 64 KiB, sum it up, write one half as long, and remove
 * that
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ROWS = 32, BLOCK = 4096, BLOCKS = 16, PACK_ROUNDS = 4 };

static void die(const char *what) {
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long long microseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void pause_for(long milliseconds) {
    const struct timespec t = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* ---- Samples ---------------------------------------------------------------------------- */

struct sample {
    long long cpu;
    long rss;
};

static long long cpu_time(const struct rusage *r) {
    return (r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1000000LL + r->ru_utime.tv_usec +
           r->ru_stime.tv_usec;
}

/* Waits for the process, or with -1 for any, and adds what it and those it waited for used. Returns
 * its status, or -1 when there is none. */
static int reap(pid_t pid, struct sample *s) {
    struct rusage used;
    int status;
    if (wait4(pid, &status, 0, &used) < 0) return -1;
    s->cpu += cpu_time(&used);
    if (used.ru_maxrss > s->rss) s->rss = used.ru_maxrss;
    return status;
}

/* vfork: a copy of our page tables would be part of what is measured. */
static void run_command(const char *row, char **argv, struct sample *s) {
    const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    const pid_t pid = vfork();
    if (pid < 0) die("vfork");
    if (pid == 0) {
        dup2(null_fd, STDIN_FILENO);
        dup2(null_fd, STDOUT_FILENO);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(null_fd);
    const int status = reap(pid, s);
    if (status != 0) {
        fprintf(stderr, "bench: %s: %s ended with status %d\n", row, argv[0],
                WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        exit(1);
    }
}

/* A row is its name, then commands with THEN or FINALLY between them, then NULL. The words are
 * put back: execvp needs a NULL at the end of each command. */
static void run_row(char **row, int detached) {
    struct sample s = {0, 0};
    const long long start = microseconds();
    char **argv = row + 1;
    for (char **word = argv; word[-1] != NULL; word++) {
        char *const separator = *word;
        const int finally = separator != NULL && strcmp(separator, "FINALLY") == 0;
        if (separator != NULL && !finally && strcmp(separator, "THEN") != 0) continue;
        *word = NULL;
        run_command(row[0], argv, &s);
        if (finally)
            while (reap(-1, &s) >= 0) continue;
        *word = separator;
        argv = word + 1;
        if (separator == NULL) break;
    }
    const long long end = microseconds();
    if (!detached)
        while (reap(-1, &s) >= 0) continue;
    printf("%s\t%lld\t%lld\t%ld\n", row[0], end - start, s.cpu, s.rss);
}

static int sample(int argc, char **argv) {
    char **rows[MAX_ROWS];
    int option, rounds = 1, detached = 0, count = 0;
    long milliseconds = 0;
    while ((option = getopt(argc, argv, "+n:p:d")) != -1) {
        if (option == 'n')
            rounds = atoi(optarg);
        else if (option == 'p')
            milliseconds = atol(optarg);
        else if (option == 'd')
            detached = 1;
        else
            return 1;
    }
    for (char **word = argv + optind; *word != NULL && count < MAX_ROWS; word++) {
        rows[count++] = word;
        while (*word != NULL && strcmp(*word, ";") != 0) word++;
        if (*word == NULL) break;
        *word = NULL;
    }
    /* Orphans come to us, also those of a command that has exited. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) die("prctl");
    srand(1);
    for (int round = 0; round < rounds; round++) {
        for (int i = count - 1; i > 0; i--) {
            const int j = rand() % (i + 1);
            char **const other = rows[i];
            rows[i] = rows[j];
            rows[j] = other;
        }
        for (int i = 0; i < count; i++) {
            if (milliseconds > 0) pause_for(milliseconds);
            run_row(rows[i], detached);
        }
    }
    return 0;
}

/* ---- What is measured ------------------------------------------------------------------- */

static int run_floor(char **argv) {
    struct clone_args args = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC |
                 CLONE_NEWCGROUP,
        .exit_signal = SIGCHLD,
    };
    int status;
    const long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0) die("clone3");
    if (pid == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    waitpid((pid_t)pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* PID 1 has no default actions: without a handler, nothing but SIGKILL ends it. */
static _Noreturn void pause_forever(void) {
    for (;;) pause();
}

static _Noreturn void spin(int processes) {
    while (--processes > 0 && fork() != 0) continue;
    for (volatile unsigned n = 0;; n++) continue;
}

static long long cpu_stat(const char *path) {
    char text[64] = "";
    long long n = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) < 0) die(path);
    close(fd);
    if (sscanf(text, "usage_usec %lld", &n) != 1) die("usage_usec");
    return n;
}

static int usage(const char *path, int seconds) {
    const long long used = cpu_stat(path), start = microseconds();
    pause_for(seconds * 1000L);
    const long long used_now = cpu_stat(path), now = microseconds();
    printf("%.4f\n", (double)(used_now - used) / (double)(now - start));
    return 0;
}

static void call(void) {
    syscall(SYS_getppid);
}

/* What a program does that packs files, at the speed of a fast one: 150 MB/s. */
static void pack(void) {
    static unsigned char data[BLOCK];
    static volatile uint64_t sum;
    struct stat s;
    uint64_t n = 14695981039346656037ULL;
    const int fd = open("/etc/data", O_RDONLY | O_CLOEXEC);
    const int packed_fd = open("/tmp/packed", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || packed_fd < 0 || fstat(fd, &s) < 0) die("/etc/data or /tmp/packed");
    while (read(fd, data, sizeof data) > 0) {
        for (int round = 0; round < PACK_ROUNDS; round++)
            for (size_t i = 0; i < sizeof data; i++) n = (n ^ data[i]) * 1099511628211ULL;
        if (write(packed_fd, data, sizeof data / 2) < 0) die("/tmp/packed");
    }
    sum += n;
    close(fd);
    close(packed_fd);
    unlink("/tmp/packed");
}

static void make_file(void) {
    static char data[BLOCK];
    const int fd = open("/tmp/file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) die("/tmp/file");
    for (int i = 0; i < BLOCKS; i++)
        if (write(fd, data, BLOCK) != BLOCK) die("write");
    for (int i = 0; i < BLOCKS; i++)
        if (pread(fd, data, BLOCK, i * (off_t)BLOCK) != BLOCK) die("pread");
    close(fd);
    unlink("/tmp/file");
}

static int repeat(long times, void (*what)(void)) {
    struct timespec start, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (long i = 0; i < times; i++) what();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    printf("%.6f\n",
           (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    const long n = argc > 2 ? atol(argv[2]) : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 2 && strcmp(mode, "sample") == 0) return sample(argc - 1, argv + 1);
    if (argc > 2 && strcmp(mode, "floor") == 0) return run_floor(argv + 2);
    if (argc > 1 && strcmp(mode, "pause") == 0) pause_forever();
    if (n > 0 && strcmp(mode, "spin") == 0) spin((int)n);
    if (argc > 3 && strcmp(mode, "usage") == 0) return usage(argv[2], atoi(argv[3]));
    if (n > 0 && strcmp(mode, "calls") == 0) return repeat(n, call);
    if (n > 0 && strcmp(mode, "pack") == 0) return repeat(n, pack);
    if (n > 0 && strcmp(mode, "files") == 0) return repeat(n, make_file);
    fprintf(stderr, "bench: see the first lines of test/bench.c\n");
    return 1;
}
