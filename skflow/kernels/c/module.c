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

#define A(T, address) ((T *)(intptr_t)(address))

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
        spline_forward, A(const T, x), x_column, x_row, A(const T, parameters),
        A(T, z), z_column, z_row, A(T, log_derivative), m, n, n_bins, bound, A(T, scratch)
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
        spline_inverse, A(const T, z), z_column, z_row, A(const T, parameters),
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
        A(const T, parameters), A(const T, grad_z), gz_column, gz_row, A(const T, grad_log),
        gl_column, gl_row, A(T, grad_x), gx_column, gx_row, A(T, grad_parameters), m, n, n_bins,
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
        affine_forward, A(const T, x), x_column, x_row, A(const T, parameters), A(T, z), z_column,
        z_row, A(T, log_derivative), m, n
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
        affine_backward, A(const T, x), x_column, x_row, A(const T, parameters),
        A(const T, grad_z), gz_column, gz_row, A(const T, grad_log), gl_column, gl_row,
        A(T, grad_x), gx_column, gx_row, A(T, grad_parameters), m, n
    )
    Py_RETURN_NONE;
}

static PyObject *rows_to_columns(PyObject *self, PyObject *arguments) {
    int is_double;
    Py_ssize_t rows, row, kept, kept_row, columns, m, n;
    double reach;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnd", &is_double, &rows, &row, &kept, &kept_row, &columns, &m, &n,
            &reach
        ))
        return NULL;
    CALL(
        rows_to_columns, A(const T, rows), row, A(T, kept), kept_row, A(T, columns), m, n, reach
    )
    Py_RETURN_NONE;
}

static PyObject *columns_to_rows(PyObject *self, PyObject *arguments) {
    int is_double;
    Py_ssize_t columns, rows, row, past, past_row, past_column, out, out_row, m, n;
    double reach;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnnnd", &is_double, &columns, &rows, &row, &past, &past_row,
            &past_column, &out, &out_row, &m, &n, &reach
        ))
        return NULL;
    CALL(
        columns_to_rows, A(const T, columns), A(const T, rows), row, A(const T, past), past_row,
        past_column, A(T, out), out_row, m, n, reach
    )
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

static PyObject *mixture_moments(PyObject *self, PyObject *arguments) {
    int is_double;
    Py_ssize_t x, weight, log_weights, means, log_diagonal, upper, log_prob, sizes, firsts, seconds,
        n, d, n_components;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnnnnnn", &is_double, &x, &weight, &log_weights, &means,
            &log_diagonal, &upper, &log_prob, &sizes, &firsts, &seconds, &n, &d, &n_components
        ))
        return NULL;
    NEW_SCRATCH((3 * d + n_components + 1) * ROWS)
    CALL(
        mixture_moments, A(const T, x), A(const T, weight), A(const T, log_weights),
        A(const T, means), A(const T, log_diagonal), A(const T, upper), A(double, log_prob),
        A(double, sizes), A(double, firsts), A(double, seconds), n, d, n_components, A(T, scratch)
    )
    free(scratch);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"mixture_moments", mixture_moments, METH_VARARGS, NULL},
    {"mixture_forward", mixture_forward, METH_VARARGS, NULL},
    {"mixture_backward", mixture_backward, METH_VARARGS, NULL},
    {"rows_to_columns", rows_to_columns, METH_VARARGS, NULL},
    {"columns_to_rows", columns_to_rows, METH_VARARGS, NULL},
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
