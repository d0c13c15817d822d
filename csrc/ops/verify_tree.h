/* Speculative decoding with several candidates for a position: which child of a node of the tree is accepted, or the token
 * in place of all of them.  Recursive rejection: Miao et al. 2024 (SpecInfer, arXiv 2305.09781), candidates drawn with
 * replacement; Jeon et al. 2024 (arXiv 2402.14160), without.
 *
 * The first candidate t is accepted where u q(t) < p(t), as in ops/verify.h.  If it is not, the target becomes max(p - q, 0)
 * and, where candidates are drawn without replacement, the draft loses t; both are normalised, and the next candidate
 * is taken.  If none is left the token is drawn from the target that remains. */
#ifndef FS_VERIFY_TREE_H
#define FS_VERIFY_TREE_H

/* In an order that no machine changes. */
static double fs_sum_in_lanes(const double *x, size_t n)
{
    double lane[8] = {0.0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++)
            lane[j] += x[i + j];
    for (size_t j = 0; i < n; i++, j++)
        lane[j] += x[i];
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* What is left of the target p after a candidate is rejected: in p, with sum 1 but for rounding.  Where nothing is left, which
 * only rounding brings about, p stays as it is. */
static void fs_leave_rest(double *p, const double *q, size_t n, double *rest)
{
    for (size_t i = 0; i < n; i++) {
        double over = p[i] - q[i];
        rest[i] = over > 0.0 ? over : 0.0;
    }
    double left = fs_sum_in_lanes(rest, n);
    if (left > 0.0)
        for (size_t i = 0; i < n; i++)
            p[i] = rest[i] / left;
}

/* The draft without a token. */
static void fs_leave_out(double *q, size_t n, size_t token)
{
    q[token] = 0.0;
    double left = fs_sum_in_lanes(q, n);
    if (left > 0.0)
        for (size_t i = 0; i < n; i++)
            q[i] /= left;
}

static int64_t fs_next_child(const fs_tree *tree, int64_t node, int64_t after)
{
    for (size_t i = (size_t)(after + 1); i < tree->count; i++)
        if (tree->parent[i] == node)
            return (int64_t)i;
    return -1;
}

static fs_status kernel_accept_child(const fs_row *target, const fs_row *draft, size_t n, const double temperature[2],
                                     const fs_tree *tree, int64_t node, const double *u, void *scratch,
                                     int64_t *child, int64_t *index)
{
    int64_t first = fs_next_child(tree, node, node), candidate = first;
    int accepted = 0;
    *child = -1;
    if (first < 0)
        return kernel_sample(target, n, temperature[0], 1, u + tree->count, index, NULL);
    fs_status status = kernel_accept(target, draft, n, temperature, (size_t)tree->token[first], u[first], &accepted);
    if (status != FS_OK || accepted) {
        *child = status == FS_OK ? first : -1;
        return status;
    }
    if (fs_next_child(tree, node, first) < 0)
        return kernel_correct(target, draft, n, temperature, (size_t)tree->token[first], u[tree->count], scratch,
                              index);

    double *p = fs_workspace_doubles(scratch, n), *q = workspace_of_f64(scratch, n).row,
           *rest = workspace_of_f64(scratch, n).value;
    status = fs_probabilities(target, n, temperature[0], p);
    if (status == FS_OK && draft)
        status = fs_probabilities(draft, n, temperature[1], q);
    if (status != FS_OK)
        return status;
    if (!draft)
        memset(q, 0, n * sizeof *q);
    while (candidate >= 0) {
        size_t token = (size_t)tree->token[candidate];
        if (!draft)
            q[token] = 1.0;
        if (candidate != first && u[candidate] * q[token] < p[token]) {
            *child = candidate;
            return FS_OK;
        }
        fs_leave_rest(p, q, n, rest);
        if (!draft)
            q[token] = 0.0;
        else if (!tree->replacement)
            fs_leave_out(q, n, token);
        candidate = fs_next_child(tree, node, candidate);
    }
    fs_candidates left = fs_candidates_of(p, FS_F64, 1, n, NULL);
    return kernel_sample(&left.row, n, 1.0, 1, u + tree->count, index, NULL);
}

#endif
