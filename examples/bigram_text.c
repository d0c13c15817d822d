/* A bigram model is trained on a file and generates text: each letter depends only on the one before.
 *
 *     FS=$(python -c 'import fastsoftmax; print(fastsoftmax.get_include())')
 *     cc -std=c11 -O3 -ffp-contract=off examples/bigram_text.c "$FS/"*.c -I"$FS" -o bigram_text -lm -pthread
 *     ./bigram_text examples/bigram_text.c
 *
 * (Compiling the kernels of all instruction sets takes a minute.)  The long-run frequency of each letter is known
 * exactly: the chain has a stationary distribution, computed here by applying its transition matrix repeatedly. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "fastsoftmax.h"

enum { LETTERS = 27, SHOWN = 300, DRAWN = 1000000, SEED = 1 };

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz ";
static const double temperature = 0.7;

static int letter_of(int c) { return isalpha(c) ? tolower(c) - 'a' : LETTERS - 1; }

/* How often each letter follows each, plus one, so that every letter may follow. */
static void learn(FILE *text, double counts[LETTERS][LETTERS])
{
    int last = LETTERS - 1, c;
    for (int i = 0; i < LETTERS * LETTERS; i++)
        counts[i / LETTERS][i % LETTERS] = 1.0;
    while ((c = fgetc(text)) != EOF) {
        int letter = letter_of(c);
        if (letter == LETTERS - 1 && last == letter)
            continue; /* one blank for everything between two words */
        counts[last][letter]++;
        last = letter;
    }
}

/* The stationary distribution: the vector that the transition matrix does not change. */
static void find_stationary(double counts[LETTERS][LETTERS], double stationary[LETTERS])
{
    double logits[LETTERS], matrix[LETTERS][LETTERS], next[LETTERS];
    for (int i = 0; i < LETTERS; i++) {
        stationary[i] = 1.0 / LETTERS;
        for (int j = 0; j < LETTERS; j++)
            logits[j] = log(counts[i][j]);
        fs_softmax_f64(logits, LETTERS, temperature, matrix[i]);
    }
    for (int round = 0; round < 1000; round++) {
        for (int j = 0; j < LETTERS; j++) {
            next[j] = 0.0;
            for (int i = 0; i < LETTERS; i++)
                next[j] += stationary[i] * matrix[i][j];
        }
        for (int j = 0; j < LETTERS; j++)
            stationary[j] = next[j];
    }
}

int main(int argc, char **argv)
{
    static double counts[LETTERS][LETTERS], stationary[LETTERS], share[LETTERS];
    FILE *text = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!text || fs_abi_version() != FS_ABI_VERSION) {
        fprintf(stderr, "usage: bigram_text FILE\n");
        return 2;
    }
    fs_choose(NULL); /* the best instruction set of this machine */
    learn(text, counts);
    fclose(text);

    int64_t letter = LETTERS - 1;
    for (uint64_t i = 0; i < DRAWN; i++) {
        double u;
        fs_keyed_uniforms(SEED, &i, 1, 0, 0, &u);
        letter = fs_draw_probs_f64(counts[letter], LETTERS, temperature, u);
        if (letter < 0) {
            fprintf(stderr, "no letter: fs_status %d\n", (int)-letter);
            return 1;
        }
        share[letter] += 1.0 / DRAWN;
        if (i < SHOWN)
            putchar(alphabet[letter]);
    }

    double worst = 0.0;
    find_stationary(counts, stationary);
    for (int i = 0; i < LETTERS; i++)
        worst = fmax(worst, fabs(share[i] - stationary[i]));
    printf("\nlargest difference from the stationary distribution: %.4f\n", worst);
    if (worst < 0.002)
        printf("The letters come as often as they should.\n");
    return worst < 0.002 ? 0 : 1;
}
