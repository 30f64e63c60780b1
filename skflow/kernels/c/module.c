/* The kernels as a Python module: addresses and sizes in, nothing out.
 *
 * Who calls has made sure that the memory is there and is of the precision named. The interpreter
 * lock is given back meanwhile, so that chunks of rows can be worked on side by side.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdlib.h>

#include "kernels.h"

/* How the name of a capsule of SciPy's begins where its integers are of the size expected here. */
#define PRODUCT_SIGNATURE "void (char *, char *, int *, int *, int *, "

/* Call `kernel` in the precision that `is_double` names. */
#define CALL(kernel, ...)                                               \
    Py_BEGIN_ALLOW_THREADS                                              \
    if (is_double) { typedef double T; kernel##_float64(__VA_ARGS__); } \
    else { typedef float T; kernel##_float32(__VA_ARGS__); }            \
    Py_END_ALLOW_THREADS

/* Memory for `n` numbers of either precision. */
#define NEW_SCRATCH(n)                                    \
    void *scratch = malloc((size_t)(n) * sizeof(double)); \
    if (scratch == NULL) return PyErr_NoMemory();

static PyObject *spline_forward(PyObject *self, PyObject *arguments) {
    int is_double, n_bins;
    Py_ssize_t x, x_column, x_row, parameters, z, z_column, z_row, log_derivative, m, n;
    double bound;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnnnid", &is_double, &x, &x_column, &x_row, &parameters, &z,
            &z_column, &z_row, &log_derivative, &m, &n, &n_bins, &bound
        ))
        return NULL;
    NEW_SCRATCH(2 * n_bins * BLOCK)
    CALL(
        spline_forward, A(const T, x), x_column, x_row, A(const T, parameters), n,
        A(T, z), z_column, z_row, A(T, log_derivative), n, m, n, n_bins, bound, A(T, scratch)
    )
    free(scratch);
    Py_RETURN_NONE;
}

static PyObject *spline_inverse(PyObject *self, PyObject *arguments) {
    int is_double, n_bins;
    Py_ssize_t z, z_column, z_row, parameters, x, x_column, x_row, m, n;
    double bound;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnnid", &is_double, &z, &z_column, &z_row, &parameters, &x,
            &x_column, &x_row, &m, &n, &n_bins, &bound
        ))
        return NULL;
    NEW_SCRATCH(2 * n_bins * BLOCK)
    CALL(
        spline_inverse, A(const T, z), z_column, z_row, A(const T, parameters), n,
        A(T, x), x_column, x_row, m, n, n_bins, bound, A(T, scratch)
    )
    free(scratch);
    Py_RETURN_NONE;
}

static PyObject *spline_backward(PyObject *self, PyObject *arguments) {
    int is_double, n_bins;
    Py_ssize_t x, x_column, x_row, parameters, grad_z, gz_column, gz_row, grad_log, gl_column,
        gl_row, grad_x, gx_column, gx_row, grad_parameters, m, n;
    double bound;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnnnnnnnnnid", &is_double, &x, &x_column, &x_row, &parameters,
            &grad_z, &gz_column, &gz_row, &grad_log, &gl_column, &gl_row, &grad_x, &gx_column,
            &gx_row, &grad_parameters, &m, &n, &n_bins, &bound
        ))
        return NULL;
    NEW_SCRATCH(2 * n_bins * BLOCK)
    CALL(
        spline_backward, A(const T, x), x_column, x_row,
        A(const T, parameters), n, A(const T, grad_z), gz_column, gz_row, A(const T, grad_log),
        gl_column, gl_row, A(T, grad_x), gx_column, gx_row, A(T, grad_parameters), n, m, n, n_bins,
        bound, A(T, scratch)
    )
    free(scratch);
    Py_RETURN_NONE;
}

static PyObject *affine_forward(PyObject *self, PyObject *arguments) {
    int is_double;
    Py_ssize_t x, x_column, x_row, parameters, z, z_column, z_row, log_derivative, m, n;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnnn", &is_double, &x, &x_column, &x_row, &parameters, &z,
            &z_column, &z_row, &log_derivative, &m, &n
        ))
        return NULL;
    CALL(
        affine_forward, A(const T, x), x_column, x_row, A(const T, parameters), n, A(T, z), z_column,
        z_row, A(T, log_derivative), n, m, n
    )
    Py_RETURN_NONE;
}

static PyObject *affine_backward(PyObject *self, PyObject *arguments) {
    int is_double;
    Py_ssize_t x, x_column, x_row, parameters, grad_z, gz_column, gz_row, grad_log, gl_column,
        gl_row, grad_x, gx_column, gx_row, grad_parameters, m, n;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnnnnnnnnn", &is_double, &x, &x_column, &x_row, &parameters,
            &grad_z, &gz_column, &gz_row, &grad_log, &gl_column, &gl_row, &grad_x, &gx_column,
            &gx_row, &grad_parameters, &m, &n
        ))
        return NULL;
    CALL(
        affine_backward, A(const T, x), x_column, x_row, A(const T, parameters), n,
        A(const T, grad_z), gz_column, gz_row, A(const T, grad_log), gl_column, gl_row,
        A(T, grad_x), gx_column, gx_row, A(T, grad_parameters), n, m, n
    )
    Py_RETURN_NONE;
}

/* Take matrix products from two capsules, or none if these are not of that signature. */
static PyObject *use_products(PyObject *self, PyObject *arguments) {
    PyObject *both[2];
    if (!PyArg_ParseTuple(arguments, "OO", both, both + 1)) return NULL;
    void *found[2];
    for (int i = 0; i < 2; i++) {
        const char *name = PyCapsule_GetName(both[i]);
        if (name == NULL) {
            PyErr_Clear();
            Py_RETURN_FALSE;
        }
        if (strncmp(name, PRODUCT_SIGNATURE, strlen(PRODUCT_SIGNATURE)) != 0) Py_RETURN_FALSE;
        found[i] = PyCapsule_GetPointer(both[i], name);
        if (found[i] == NULL) return NULL;
    }
    memcpy(&gemm_float32, found, sizeof gemm_float32);
    memcpy(&gemm_float64, found + 1, sizeof gemm_float64);
    Py_RETURN_TRUE;
}

static PyObject *couplings_forward(PyObject *self, PyObject *arguments) {
    int is_double, is_done;
    Py_ssize_t plan, bounds, x, context, kept, z, total, n, n_shares, n_threads;
    double reach;
    if (!PyArg_ParseTuple(
            arguments, "inndnnnnnnnn", &is_double, &plan, &bounds, &reach, &x, &context, &kept, &z, &total, &n, &n_shares, &n_threads
        ))
        return NULL;
    Stack *stack = read_stack(A(int64_t, plan), A(double, bounds), reach);
    if (stack == NULL) return PyErr_NoMemory();
#define FORWARD(T, precision)                                                                  \
    Forward_##precision call = {                                                               \
        stack, A(T, x), A(T, context), A(T, kept), A(T, z), A(T, total), shares_of(n, n_shares), \
    };                                                                                         \
    is_done = couplings_forward_##precision(&call, n_threads);
    Py_BEGIN_ALLOW_THREADS
    if (is_double) { FORWARD(double, float64) } else { FORWARD(float, float32) }
    Py_END_ALLOW_THREADS
    free(stack);
    if (!is_done) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *couplings_backward(PyObject *self, PyObject *arguments) {
    int is_double, is_done;
    Py_ssize_t plan, bounds, context, kept, grad_z, gz_row, gz_column, grad_total, gt_row,
        grad_x, grad_context, grad_weights, n, n_shares, n_threads;
    double reach;
    if (!PyArg_ParseTuple(
            arguments, "inndnnnnnnnnnnnnn", &is_double, &plan, &bounds, &reach, &context, &kept, &grad_z,
            &gz_row, &gz_column, &grad_total, &gt_row, &grad_x, &grad_context,
            &grad_weights, &n, &n_shares, &n_threads
        ))
        return NULL;
    Stack *stack = read_stack(A(int64_t, plan), A(double, bounds), reach);
    if (stack == NULL) return PyErr_NoMemory();
#define BACKWARD(T, precision)                                                                 \
    Backward_##precision call = {                                                              \
        stack, A(T, context), A(T, kept), A(T, grad_z), gz_row, gz_column, A(T, grad_total),   \
        gt_row, A(T, grad_x), A(T, grad_context), A(T, grad_weights),               \
        shares_of(n, n_shares),                                                                \
    };                                                                                         \
    is_done = couplings_backward_##precision(&call, n_threads);
    Py_BEGIN_ALLOW_THREADS
    if (is_double) { BACKWARD(double, float64) } else { BACKWARD(float, float32) }
    Py_END_ALLOW_THREADS
    free(stack);
    if (!is_done) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *mixture_forward(PyObject *self, PyObject *arguments) {
    int is_double;
    Py_ssize_t x, log_weights, means, log_diagonal, upper, log_prob, n, d, n_components;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnn", &is_double, &x, &log_weights, &means, &log_diagonal, &upper,
            &log_prob, &n, &d, &n_components
        ))
        return NULL;
    NEW_SCRATCH((3 * d + n_components) * ROWS)
    CALL(
        mixture_forward, A(const T, x), A(const T, log_weights), A(const T, means),
        A(const T, log_diagonal), A(const T, upper), A(T, log_prob), n, d, n_components,
        A(T, scratch)
    )
    free(scratch);
    Py_RETURN_NONE;
}

static PyObject *mixture_backward(PyObject *self, PyObject *arguments) {
    int is_double;
    Py_ssize_t x, log_weights, means, log_diagonal, upper, log_prob, grad, grad_row, grad_x,
        grad_log_weights, grad_means, grad_log_diagonal, grad_upper, n, d, n_components;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnnnnnnnnn", &is_double, &x, &log_weights, &means, &log_diagonal,
            &upper, &log_prob, &grad, &grad_row, &grad_x, &grad_log_weights, &grad_means,
            &grad_log_diagonal, &grad_upper, &n, &d, &n_components
        ))
        return NULL;
    NEW_SCRATCH((4 * d + 2) * ROWS)
    CALL(
        mixture_backward, A(const T, x), A(const T, log_weights), A(const T, means),
        A(const T, log_diagonal), A(const T, upper), A(const T, log_prob), A(const T, grad),
        grad_row, A(T, grad_x), A(T, grad_log_weights), A(T, grad_means), A(T, grad_log_diagonal),
        A(T, grad_upper), n, d, n_components, A(T, scratch)
    )
    free(scratch);
    Py_RETURN_NONE;
}

static PyObject *mixture_climb(PyObject *self, PyObject *arguments) {
    int is_double, status = 0;
    Py_ssize_t x, weight, n, d, n_components, max_iter, log_weights, means, covariances,
        log_diagonal, upper, mean;
    double n_rows, regularisation, min_gain, last;
    if (!PyArg_ParseTuple(
            arguments, "innnnndddndnnnnnn", &is_double, &x, &weight, &n, &d, &n_components, &n_rows,
            &regularisation, &min_gain, &max_iter, &last, &log_weights, &means, &covariances,
            &log_diagonal, &upper, &mean
        ))
        return NULL;
    NEW_SCRATCH(NUMBERS_TO_CLIMB(d, n_components) + (3 * d + n_components + 1) * ROWS)
    double *of_rows = (double *)scratch + NUMBERS_TO_CLIMB(d, n_components);
#define CLIMB(T, precision)                                                                     \
    status = mixture_climb_##precision(                                                         \
        A(const T, x), A(const T, weight), n, d, n_components, n_rows, regularisation,          \
        min_gain, max_iter, last, A(double, log_weights), A(double, means),                     \
        A(double, covariances), A(double, log_diagonal), A(double, upper), A(double, mean),     \
        scratch, (T *)of_rows                                                                   \
    );
    Py_BEGIN_ALLOW_THREADS
    if (is_double) { CLIMB(double, float64) } else { CLIMB(float, float32) }
    Py_END_ALLOW_THREADS
    free(scratch);
    return PyLong_FromLong(status);
}

static PyMethodDef methods[] = {
    {"mixture_climb", mixture_climb, METH_VARARGS, NULL},
    {"mixture_forward", mixture_forward, METH_VARARGS, NULL},
    {"mixture_backward", mixture_backward, METH_VARARGS, NULL},
    {"use_products", use_products, METH_VARARGS, NULL},
    {"couplings_forward", couplings_forward, METH_VARARGS, NULL},
    {"couplings_backward", couplings_backward, METH_VARARGS, NULL},
    {"affine_forward", affine_forward, METH_VARARGS, NULL},
    {"affine_backward", affine_backward, METH_VARARGS, NULL},
    {"spline_forward", spline_forward, METH_VARARGS, NULL},
    {"spline_inverse", spline_inverse, METH_VARARGS, NULL},
    {"spline_backward", spline_backward, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "Kernels on the CPU, compiled.", 0, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
