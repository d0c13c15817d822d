"""Wrong variants of csrc/, each of which a program must notice: what a test that cannot fail would let through."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A wrong variant of csrc/: `pattern`, found in `file`, becomes `wrong`; `program` must notice."""

    name: str
    file: str
    pattern: str
    wrong: str
    program: str


# Of the cases of a program, one in so many is tried on a mutant.
EVERY = {
    "bits_shards": 5, "draw": 97, "many": 3, "filters": 2, "ranking": 1, "penalties": 1, "reweighted": 1,
    "segments": 59, "rejection": 3, "accept": 3, "seeded": 3, "proposals": 7,
}  # fmt: skip

UNIFORM = r"(fs_scale_uniform\(double u, .*\)\s*\{)"

# Compiled into the scalar kernels alone, which every machine has: the other sets stay right.
MUTANTS = [
    Mutant("the last block is dropped", "softmax/row-inl.h", r"\(n \+ BLOCK - 1\) / BLOCK", "n / BLOCK", "draw"),
    Mutant("side=left in the rank", "simd/scalar.h", "cumulative <= t", "cumulative < t", "draw"),
    Mutant("side=left among blocks", "base/search.h", r"(number\[middle \* step\]) <= x", r"\1 < x", "draw"),
    Mutant("no draw is left open", "draw/guide_table.h", r"\] \+ 1 < x \?", "] < x ?", "many"),
    Mutant("side=left among bounds", "draw/guide_table.h", r"bound\[([0-3])\] <= x\)", r"bound[\1] < x)", "many"),
    Mutant(
        "nothing behind the last bound", "draw/guide_table.h", r"(g\.bound\[n \+ i\] =) FS_GUIDE_LAST", r"\1 0", "many"
    ),
    Mutant("no seeded draw is left open", "simd/scalar.h", r"place - bound < 2 ", "place - bound < 1 ", "seeded"),
    Mutant("128 bits and no more", "draw/seeded_uniform.h", r"32 \* FS_SEEDED_DIGITS", "128", "seeded"),
    Mutant("float32 uniform", "base/bits.h", UNIFORM, r"\1 u = (float)u;", "draw"),
    Mutant("another splitting of the sum", "softmax/sum-inl.h", r"\(REAL\)1024", "(REAL)8388608", "bits"),
    Mutant("a tie too many", "filter/selection-inl.h", r"\(target \+ one - 1\) / one", "target / one + 1", "filters"),
    Mutant("a bad row among others has no reason", "ops/plain-inl.h", "signs < 0 &&", "0 &&", "plain"),
    Mutant(
        "a rejected candidate stays in the draft",
        "ops/verify_tree.h",
        r"q\[token\] = 0\.0;\n    double left",
        "q[token] *= 1.0;\n    double left",
        "ranking",
    ),
    Mutant(
        "what remains of the target is not normalised", "ops/verify_tree.h", r"rest\[i\] / left", "rest[i]", "ranking"
    ),
    Mutant("a window of one token more", "penalize.c", r"i >= before", "i + 1 >= before", "penalties"),
    Mutant("breakers do not break", "penalize.c", r"return length - end;", "return length;", "penalties"),
    Mutant("a number equal to the ratio is below it", "draw/accept.h", r"return 0;", "return 1;", "accept"),
]

MORE_MUTANTS = [
    Mutant(
        "the bound of a column is its last entry",
        "draw/rejection-inl.h",
        r"high\[j\] = V\(max\)\(a, high\[j\]\);",
        "high[j] = a;",
        "rejection",
    ),
    Mutant("a divergence of the last rows", "ops/divergence_rows.h", r"y \+ i \* n", "y + (count - 1) * n", "bits"),
    Mutant("a copied row takes another row's seed", "ops/rows.h", r"    fs_original\(b, &row\);", "", "rejection"),
    Mutant(
        "a copy of a copy is of another row",
        "ops/rows.h",
        r"\*i \+= b->first",
        "*i += b->tile_of->tile_of ? 0 : b->first",
        "bits",
    ),
    Mutant(
        "a strip has the mask of one column",
        "row/tile-inl.h",
        r"column\.mask \+ rows->row",
        "column.mask + 0 * rows->row",
        "bits",
    ),
    Mutant(
        "a strip comes back one row short",
        "row/tile-inl.h",
        r"from, count \* sizeof",
        "from, (count - 1) * sizeof",
        "bits",
    ),
    Mutant("places of unlike probability", "draw/rejection.h", r"product\.low < uneven", "0 * uneven", "proposals"),
    Mutant("a first word too many is rejected", "draw/rejection.h", r"low < uneven", "low <= uneven", "proposals"),
    Mutant("an entry of 31", "draw/rejection.h", r"(word\[1\] >> FS_V_BITS)\)", r"\1) % 31", "proposals"),
    Mutant("side=left among columns", "draw/rejection.h", r"if \(left < mass\)", "if (left <= mass)", "proposals"),
    Mutant("V may be equal to the ratio", "draw/accept.h", r"return leading < first;", "return 1;", "proposals"),
    Mutant("words of another proposal", "draw/rejection.h", r"2 \* block \+ i\}", "2 * block}", "proposals"),
    Mutant(
        "an envelope too low",
        "draw/rejection.h",
        r"return (\(UINT64_C\(2\) << FS_DEEPEST\)) >> level",
        r"return \1 >> (level + (level == 2))",
        "proposals",
    ),
    Mutant("a proposal's bits serve twice", "draw/rejection.h", r"2 \* \(i % 2\)", "0 * i", "rejection"),
    Mutant("a weight beside its envelope", "draw/rejection.h", r"f < -0\.5 \? 1\.0", "f < -0.5 ? 0.5", "rejection"),
    Mutant("side=left in a crowded cell", "base/search.h", r"(number\[middle \* step\]) <= x", r"\1 < x", "many"),
    Mutant("a bound above the true one", "draw/guide_table.h", r"(FS_GUIDE_SLACK) 0x1p-16", r"\1 -0.5", "many"),
    Mutant("a last bound that a draw passes", "draw/guide_table.h", r"UINT32_C\(0xfffffffe\)", "UINT32_MAX", "many"),
    Mutant("a crowded cell counts as one bound", "draw/guide_table.h", r"is_alone \? place : 0", "place", "seeded"),
    Mutant(
        "a cell forgets the bound before it",
        "draw/guide_table.h",
        r"if \(FS_UNLIKELY\(place == last\)",
        "if (0",
        "seeded",
    ),
    Mutant(
        "bound + 1 is not looked at",
        "draw/guide_table.h",
        r"\[i - 1\] \+ 1\) >>",
        "[i - 1]) >>",
        "seeded",
    ),
    Mutant(
        "one end of 64 bits decides",
        "draw/seeded-inl.h",
        r"fs_multiply\(x \+ 1, total\)",
        "fs_multiply(x, total)",
        "seeded",
    ),
    Mutant("the rest of a bound is forgotten", "draw/seeded_uniform.h", r"\(a\.high \| a\.low\) == 0", "1", "seeded"),
    Mutant("a borrow is lost", "draw/seeded_uniform.h", r"b\.high \+ \(a\.low < b\.low\)", "b.high", "seeded"),
    Mutant("the other bits are in the stream", "draw/seeded_uniform.h", r"UINT64_C\(1\) << 63 \| j", "j", "seeded"),
    Mutant("pieces begin with a block", "draw/seeded.h", r"skip = draw % 4", "skip = 0", "seeded"),
    Mutant("32 bits of the block's number", "draw/seeded.h", r"u64x8_xor_high\(a, none, none\)", "none", "seeded"),
    Mutant("a word of another block", "simd/scalar.h", r"to\[4 \* i \+ 1\] =", "to[4 * (7 - i) + 1] =", "seeded"),
    Mutant("side=left in short rows", "simd/scalar.h", r"cumulative\[i\] <= t", "cumulative[i] < t", "draw"),
    Mutant(
        "a shard's rest is forgotten",
        "shard/shard-inl.h",
        r"\*rest = NAME\(rest_of_block\)",
        "NAME(rest_of_block)",
        "bits_shards",
    ),
    Mutant(
        "a place in a block is cut",
        "shard/shard-inl.h",
        r"at\[j\]\.low = found\.place\.low",
        "at[j].low = 0",
        "bits_shards",
    ),
    Mutant("no block is cut in front", "shard/part.h", r"first % block != 0 \|\| ", "", "bits_shards"),
    Mutant(
        "the last +inf is not counted",
        "shard/shard.h",
        r"number\+\+ == at->high",
        "number++ == at->high + 1",
        "bits_shards",
    ),
    Mutant("-0 as a maximum", "softmax/block-inl.h", r" \+ \(REAL\)0;", ";", "bits"),
    Mutant("a store too long", "simd/scalar.h", r"(size_t i = 0; i) < n(; i\+\+\))", r"\1 <= n\2", "guard"),
    Mutant("a load past the end", "simd/scalar.h", r"p\[i\] : fill", "p[i] : p[i] * 0 + fill", "guard"),
    Mutant("a product and a sum rounded twice", "simd/scalar.h", r"16, fs_fmaf\)", "16, (float)fma)", "vectors"),
    Mutant("half rounds ties up", "base/bits.h", r"0xfff \+ \(\(magnitude >> 13\) & 1\)", "0x1000", "half"),
    Mutant("bfloat16 truncates", "base/bits.h", r"u \+ 0x7fff \+ \(\(u >> 16\) & 1\)", "u", "half"),
    Mutant("a coefficient is off", "softmax/exp2.h", r"0x1\.ebf", "0x1.ef", "exp_all"),
    Mutant("the low part of c is lost", "softmax/block-inl.h", r"s\.cl = [^;]*;", "s.cl = 0;", "exp_all"),
    Mutant("no environment", "dispatch.c", r"fs_enter\(\);", "fs_enter(); fs_leave(saved);", "environment"),
    Mutant(
        "ties from the wrong end",
        "filter/list-inl.h",
        r"(tied) = (fs_lowest_bits\(tied, )k->ties",
        r"\1 &= ~\2count - k->ties",
        "filters",
    ),
    Mutant("S_i <= p", "base/bits.h", r"exact\.high \+ \(exact\.low != 0\)", "exact.high + 1", "filters"),
    Mutant("no tie is skipped", "filter/list-inl.h", r"tied &= ~skipped;", "", "filters"),
    Mutant(
        "parts are skipped by the wrong bound",
        "filter/list-inl.h",
        r"low = boundary \? k",
        "low = boundary && 0 ? k",
        "filters",
    ),
    Mutant("sums of weights overflow", "filter/mass-inl.h", r"g\.down\+\+;", "break;", "filters"),
    Mutant(
        "weights underflow",
        "filter/mass-inl.h",
        r"g\.may_underflow = [^;]*;",
        "g.may_underflow = least < 0;",
        "filters",
    ),
    Mutant(
        "distances are not rounded", "filter/selection-inl.h", r"fs_pow2\(fs_exponent\(size\) - 42\)", "0.0", "filters"
    ),
    Mutant(
        "a maximum of likely parts is missed",
        "filter/threshold-inl.h",
        r"(V\(at_least\)\(V\(set1\)\(l->part_max\[from / NAME\(PART\)\])",
        r"\1 - 1",
        "filters",
    ),
    Mutant("top_h exceeds its share", "filter/entropy-inl.h", r"prefix\.count - 1", "prefix.count", "filters"),
    Mutant(
        "top_a without the square", "filter/collision-inl.h", r"a \* \(largest \* largest\)", "a * largest", "filters"
    ),
    Mutant("p_less loses its tolerance", "filter/collision-inl.h", r"least \* 0x1p-44", "least * -0x1p-44", "filters"),
    Mutant("no order but the first", "filter/candidates.h", r"f->order \?", "f->order && 0 ?", "filters"),
    Mutant("the temperature is nowhere else", "filter/chain-inl.h", r"t->temperature = ", "double none = ", "filters"),
    Mutant(
        "an entry is put back twice", "filter/keep.h", r"(\(int64_t\)c->index\[from - 1\]) != at", r"\1 >= 0", "filters"
    ),
    Mutant("smoothing without the cube", "filter/candidates.h", r"0\.5 \* \(s->curve", "0 * (s->curve", "reweighted"),
    Mutant("smoothed at its temperature", "filter/chain-inl.h", r"\*temperature = 1\.0;", ";", "reweighted"),
    Mutant("what is put back is not smoothed", "filter/keep.h", r"fs_smoothed\(&c->smoothing, x\)", "x", "reweighted"),
    Mutant("another width of adaptive_p", "ops/adaptive.h", r"width = 0\.3", "width = 0.31", "reweighted"),
    Mutant("a logarithm in place of p", "ops/adaptive.h", r"fs_exp\(\*before\)", "*before", "reweighted"),
    Mutant("XTC drops all", "filter/threshold-inl.h", r"top\.ties - 1, 1\}", "top.ties, 1}", "filters"),
    Mutant("what was drawn stays", "draw/remaining-inl.h", r"left->total -= integer\[i\];", "", "ranking"),
    Mutant("side=left among what is left", "draw/remaining-inl.h", r"cumulative <= \*t", "cumulative < *t", "ranking"),
    Mutant(
        "no block is evaluated again",
        "draw/remaining-inl.h",
        r"const int few = [^;]*;",
        "const int few = 0;",
        "ranking",
    ),
    Mutant(
        "no block is weighed again", "draw/remaining-inl.h", r"< r->weighed >> ", "< r->weighed >> 53 >> ", "ranking"
    ),
    Mutant(
        "drawn entries come back", "draw/remaining-inl.h", r"BITS_OF\(weight\[i\]\) == BITS_OF\(drawn\)", "0", "ranking"
    ),
    Mutant("a row at its limit ends", "ops/without_replacement.h", r"\|\| drawn == 0", "|| 1", "ranking"),
    Mutant("ranks from 0", "filter/top_k-inl.h", r"\*rank = 1 \+", "*rank =", "ranking"),
    Mutant("a draft is accepted at equality", "ops/verify.h", r"u \* q < p", "u * q <= p", "ranking"),
    Mutant(
        "a match is not clipped",
        "penalize.c",
        r"z\[i - left\] < right - i \? z\[i - left\] : right - i",
        "z[i - left]",
        "penalties",
    ),
    Mutant("rounded twice to 16 bits", "base/bits.h", r"(\(double\)narrow != a) &&", r"0 && \1 &&", "penalties"),
    Mutant(
        "the last token alone is left out",
        "penalize.c",
        r"match > longest\)",
        "match > longest + 1)",
        "penalties",
    ),
    Mutant(
        "no memory past the end for whole vectors",
        "filter/workspace.h",
        r"return n \+ 128;",
        "return n;",
        "guard_filters",
    ),
    Mutant(
        "NaN is at least anything",
        "simd/scalar.h",
        r"a\.lane\[i\] >= low\.lane\[i\]",
        "!(a.lane[i] < low.lane[i])",
        "vectors",
    ),
    Mutant(
        "doubles are compared by value",
        "base/arguments.h",
        r"fs_bits_f64\(x\) < fs_bits_f64\(past\)",
        "(x >= 0 && x < past)",
        "environment",
    ),
    Mutant("any uniform of many", "base/arguments.h", r"outside >> 63 == 0", "1", "plain"),
    Mutant("a carry is lost", "base/bits.h", r"\(mid >> 32\) \+ \(mid2 >> 32\)", "(mid >> 32)", "wide"),
    Mutant("ties of the largest do not count", "softmax/columns-inl.h", r"\(ties\[i\] - 1\.0\)", "0.0", "bits"),
    Mutant("a rest that underflows", "softmax/columns-inl.h", r"\(unsigned\)\(\(ties", "0 * (unsigned)((ties", "bits"),
    Mutant("a temperature of another row", "ops/rows-inl.h", r"first \+ \(j < count", "first + 0 * (j < count", "bits"),
    Mutant(
        "the rest is not left out",
        "softmax/columns-inl.h",
        r"columns_sum_by\)\(c, n, NAME\(BELOW_MAX\)",
        "columns_sum_by)(c, n, NAME(ALL)",
        "bits",
    ),
    Mutant("the mask of another row", "row/rows.h", r"i \* rows->mask_step", "0 * rows->mask_step", "bits"),
    Mutant("a bias read as flat", "row/rows.h", r"&& rows->bias_step == 8 \* n", "", "bits"),
    Mutant("few weights as they are", "draw/probabilities.h", r"fs_pow2\(-fs_exponent\(max\)\)", "1.0", "bits"),
    Mutant("a shorter row goes on", "ops/segments-inl.h", r"\(REAL\)0\.5", "(REAL)-0.5", "segments"),
    Mutant("past the end of the array", "ops/segments-inl.h", r"start \+ width > past", "start > past", "segments"),
    Mutant("the uniform of another row", "ops/segments-inl.h", r"g->u\[row\[i\]\]", "g->u[row[0] + i]", "segments"),
    Mutant("places of other lengths", "ops/segments-inl.h", r"place\[n \+ 1\]\+\+", "place[n]++", "segments"),
    Mutant("the last columns of a block", "simd/scalar.h", r"j < columns; j\+\+", "j + 1 < columns; j++", "bits"),
    Mutant("another weight is the largest", "softmax/probabilities.h", r"= peak\.max;", "= 0.0;", "bits"),
    Mutant("half of a factor", "softmax/probabilities.h", r"w\[i\] \* ctx->factor\.low", "0.0", "bits"),
    Mutant(
        "the moment of another maximum",
        "softmax/row-inl.h",
        r"apart \* sum\)",
        "0.0 * sum)",
        "bits",
    ),
    Mutant("the rest has no moment", "softmax/entropy-inl.h", r"\) \+ of_block", ") + 0 * of_block", "bits"),
    Mutant(
        "the largest weight stays in the rest", "softmax/logsumexp-inl.h", r"weights\[first\] = 0", "(void)0", "bits"
    ),
    Mutant(
        "dominated rows are overlooked",
        "ops/block_rows-inl.h",
        r"FS_NOT_DOMINATED 6\.0",
        "FS_NOT_DOMINATED 2.0",
        "bits",
    ),
    Mutant("moments are not scaled", "softmax/columns-inl.h", r"l->moment\[i\] \*= [^;]*;", ";", "bits"),
    Mutant(
        "a divergence without what p lacks",
        "ops/divergence.h",
        r"return fs_exp2\(natural, log_q, 0\.0\);",
        "return 0.0;",
        "bits",
    ),
    Mutant("an exponent counts twice", "ops/weighted.h", r"of_weight - e\b", "of_weight", "bits"),
]
