/* The results do not depend on the caller's floating-point environment, and the caller finds it unchanged.
 *
 *     environment [--every K]
 *
 * --every K takes one in K of the cases. */
#include <signal.h>
#include <unistd.h>

#include "rows.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
/* rounding, flush-to-zero and denormals-are-zero, exceptions unmasked; bits 0 to 5 are flags that calls may raise */
static const unsigned long environments[] = {0x1f80, 0x9f80, 0x9fc0, 0x3f80, 0x5f80, 0x7f80, 0xffc0, 0x0000, 0x8040};
static void set_environment(unsigned long bits) { _mm_setcsr((unsigned)bits); }
static unsigned long environment(void) { return _mm_getcsr() & 0xffc0; }
#elif defined(__aarch64__)
/* rounding, flush-to-zero, flush-to-zero of half, default NaN */
static const unsigned long environments[] = {0, 1ul << 24, 1ul << 19, 1ul << 22, 2ul << 22, 3ul << 22, 0x3c80000};
static void set_environment(unsigned long bits) { __asm__ volatile("msr fpcr, %0" : : "r"(bits)); }
static unsigned long environment(void)
{
    unsigned long bits;
    __asm__ volatile("mrs %0, fpcr" : "=r"(bits));
    return bits;
}
#else
static const unsigned long environments[] = {0};
static void set_environment(unsigned long bits) { (void)bits; }
static unsigned long environment(void) { return 0; }
#endif

enum { ENVIRONMENTS = sizeof environments / sizeof environments[0], LONGEST = 2500, DRAWS = 5, FUNCTIONS = 13 };

static unsigned long long checks;

typedef struct {
    char out[5][8 * LONGEST];
    double logsumexp, logprob[3][DRAWS];
    int64_t index[4][DRAWS + 1], rank, plain[2];
    int accepted;
} results;

static const double u[DRAWS] = {0.0, 0x1p-1074, 0x1.23456789abcdep-3, 0.75, 1.0 - 0x1p-53};
static double scratch[7 * (LONGEST + 200)], uniform[LONGEST];
static fs_filters filters;

/* Calls one function under the environment; 0 if it did not put it back. */
static int run(int function, const fs_row *row, size_t n, double temperature, unsigned long bits, results *r)
{
    size_t size = size_of(row->dtype);
    static const int64_t context[] = {0, 0, 0, 0};
    static const size_t of_breakers = 0;
    static const fs_breakers breakers = {NULL, &of_breakers, 0};
    static const fs_penalties penalties = {1.1, 0.01, 0x1p-140, 0.1, 1.75, 2, -1, -1};
    const double both[2] = {temperature, temperature};
    static const int to[FUNCTIONS] = {0, 1, 0, 0, 4, 0, 0, 2, 0, 0, 0, 3, 0}; /* which of out */
    fs_output out = {r->out[to[function]], (ptrdiff_t)size, row->dtype};
    ptrdiff_t stride = (ptrdiff_t)(n * size);
    unsigned long usual = environment();
    if (function == 11) /* the one that works in place alone */
        memcpy(out.data, row->data, n * size);
    set_environment(bits);
    switch (function) {
    case 0: fs_softmax(row, n, temperature, &out); break;
    case 1: fs_log_softmax(row, n, temperature, &out); break;
    case 2: fs_logsumexp(row, n, temperature, &r->logsumexp); break;
    case 3: fs_sample(row, n, temperature, DRAWS, u, r->index[0], r->logprob[0]); break;
    case 4: softmax_rows(row->dtype, row->data, stride, 1, n, &temperature, 0, out.data); break;
    case 5: sample_rows(row->dtype, row->data, stride, 1, n, &temperature, 0, u + 2, r->index[0] + DRAWS); break;
    case 6:
        fs_sample_filtered(row, n, temperature, &filters, NULL, 0.0, DRAWS, u, scratch, r->index[1], r->logprob[1]);
        break;
    case 7: fs_truncate(row, n, temperature, &filters, NULL, 0.0, scratch, &out); break;
    case 8:
        fs_top(row, n, temperature, n < DRAWS ? n : DRAWS, scratch, r->index[2], r->logprob[2], 0, &r->rank);
        break;
    case 9: fs_without_replacement(row, n, temperature, n < DRAWS ? n : DRAWS, uniform, scratch, r->index[3]); break;
    case 10:
        fs_accept(row, NULL, n, both, n / 2, u[2], &r->accepted);
        fs_correct(row, NULL, n, both, n / 2, u[2], scratch, r->index[3] + DRAWS);
        break;
    case 12:
        if (row->dtype == FS_F32) {
            r->plain[0] = fs_draw_f32(row->data, n, temperature, u[1]);
            r->plain[1] = fs_draw_filtered_f32(row->data, n, temperature, &filters, 0.0, u[1], scratch);
        } else if (row->dtype == FS_F64) {
            r->plain[0] = fs_draw_f64(row->data, n, temperature, u[1]);
            r->plain[1] = fs_draw_filtered_f64(row->data, n, temperature, &filters, 0.0, u[1], scratch);
        }
        break;
    default: fs_penalize(&out, context, 4, &penalties, &breakers, scratch);
    }
    unsigned long after = environment();
    set_environment(usual);
    return after == bits;
}

static void on_exception(int signal)
{
    static const char message[] = "FAILED: a floating-point exception reached the caller\n";
    (void)signal;
    _exit(write(STDOUT_FILENO, message, sizeof message - 1) > 0);
}

int main(int argc, char **argv)
{
    uint64_t every = (uint64_t)option(argc, argv, "--every", 1);
    static const size_t lengths[] = {1, 5, 16, 64, 300, LONGEST};
    static const double temperatures[] = {0.0, 1e-30, 0.7, 30.0, 1e30, 0x1p-1070, INFINITY};
    static const data_kind kinds[] = {NORMAL, WIDE, SUBNORMAL, HUGE_BOTH, SOME_NAN, SOME_PLUS_INF, SOME_MINUS_INF};
    static char x[8 * LONGEST];
    static results usual, got;
    random_stream r = {7};
    signal(SIGFPE, on_exception);
    for (size_t s = 0; fs_available(s); s++)
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
            for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++)
                for (int dtype = 0; dtype < 4; dtype++)
                    for (size_t t = 0; t < sizeof temperatures / sizeof temperatures[0]; t++) {
                        size_t n = lengths[l];
                        if (below(&r, every))
                            continue;
                        fs_choose(fs_available(s));
                        fill(x, (fs_dtype)dtype, n, kinds[k], &r);
                        fs_row row = plain_row(x, (fs_dtype)dtype);
                        filters = any_filters(&r, n, 4);
                        for (size_t i = 0; i < n; i++)
                            uniform[i] = below(&r, 9) ? next_uniform(&r) : 0x1p-1074;
                        for (int e = 0; e < ENVIRONMENTS; e++) {
                            results *here = e ? &got : &usual;
                            memset(here, 0, sizeof *here);
                            for (int f = 0; f < FUNCTIONS; f++)
                                check(run(f, &row, n, temperatures[t], environments[e], here),
                                      "function %d on %s left another environment than %lx", f, fs_chosen(),
                                      environments[e]);
                            checks += 2;
                            if (e)
                                check(!memcmp(&usual, &got, sizeof got),
                                      "another result under %lx: %s, n = %zu, %s, %s, temperature %g",
                                      environments[e], fs_chosen(), n, dtype_name[dtype], kind_name[kinds[k]],
                                      temperatures[t]);
                        }
                    }
    return finish("environment", checks);
}
