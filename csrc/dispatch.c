/* Which instruction sets this CPU has, which one is in use, and the entry points that go there.
 *
 * Every entry point runs in the floating-point environment of base/fp_environment.h and puts the caller's back.
 */
#include <string.h>

#include "base/fp_environment.h"
#include "fastsoftmax.h"
#include "kernel_table.h"

#ifdef FS_X86
#ifdef FS_MSVC
#include <intrin.h>
#else
#include <cpuid.h>
#endif

static void fs_cpuid(unsigned leaf, unsigned r[4])
{
#ifdef FS_MSVC
    __cpuidex((int *)r, (int)leaf, 0);
#else
    __cpuid_count(leaf, 0, r[0], r[1], r[2], r[3]);
#endif
}

static unsigned fs_enabled_state(void)
{
#ifdef FS_MSVC
    return (unsigned)_xgetbv(0);
#else
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
#endif
}

/* 0: neither, 1: AVX2 with FMA and F16C, 2: AVX-512 F, DQ, BW, VL too; each enabled by the operating system. */
static int fs_level(void)
{
    unsigned r[4];
    fs_cpuid(0, r);
    if (r[0] < 7)
        return 0;
    fs_cpuid(1, r);
    const unsigned fma = 1u << 12, popcnt = 1u << 23, osxsave = 1u << 27, f16c = 1u << 29, avx = 1u << 28;
    const unsigned first = fma | popcnt | osxsave | f16c | avx;
    if ((r[2] & first) != first || (fs_enabled_state() & 0x6) != 0x6)
        return 0;
    fs_cpuid(7, r);
    const unsigned second = 1u << 5 | 1u << 8; /* AVX2, BMI2 */
    if ((r[1] & second) != second)
        return 0;
    const unsigned third = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    return (r[1] & third) == third && (fs_enabled_state() & 0xe6) == 0xe6 ? 2 : 1;
}
#endif

/* Usable sets, best first. */
static const fs_kernels *fs_set(size_t i)
{
#if defined(FS_X86)
    static const fs_kernels *const sets[] = {&fs_kernels_avx512, &fs_kernels_avx2, &fs_kernels_scalar};
    size_t skip = 2 - (size_t)fs_level();
#elif defined(FS_ARM64)
    static const fs_kernels *const sets[] = {&fs_kernels_neon, &fs_kernels_scalar};
    size_t skip = 0;
#else
    static const fs_kernels *const sets[] = {&fs_kernels_scalar};
    size_t skip = 0;
#endif
    return i + skip < sizeof sets / sizeof sets[0] ? sets[i + skip] : NULL;
}

static const fs_kernels *in_use = &fs_kernels_scalar;

int fs_choose(const char *name)
{
    for (size_t i = 0; fs_set(i); i++)
        if (!name || !strcmp(name, fs_set(i)->name)) {
            in_use = fs_set(i);
            return 0;
        }
    return -1;
}

const char *fs_chosen(void) { return in_use->name; }
const char *fs_available(size_t i) { return fs_set(i) ? fs_set(i)->name : NULL; }

/* fs_softmax, fs_sample and all the others of FS_EACH_KERNEL */
#define FS_FUNCTION(type, name, parameters, arguments)                                                               \
    type fs_##name parameters                                                                                        \
    {                                                                                                                \
        const fs_environment saved = fs_enter();                                                                     \
        const type result = in_use->name arguments;                                                                  \
        fs_leave(saved);                                                                                             \
        return result;                                                                                               \
    }
FS_EACH_KERNEL(FS_FUNCTION)
