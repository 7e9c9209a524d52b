/* What is computed in less than f32, and where. */
#include "lanes.h"
#include "run_state.h"

const char *const sal_precision_names[] = {"f32", "bf16", NULL};

enum sal_status sal_precision_check(enum sal_precision precision, struct sal_error *err)
{
    if (precision == SAL_F32 || sal_lanes_bf16(sal_lanes()))
        return SAL_OK;
    return sal_fail(
        err, SAL_UNSUPPORTED,
        "bf16 needs a processor with AVX512_BF16, which this one has not; f32 is "
        "computed everywhere");
}

enum sal_status sal_run_precision(const struct sal_run_options *options,
                                  struct sal_error *err)
{
    if (options->precision != SAL_F32 && (options->gradient || options->plain))
        return sal_fail(err, SAL_USAGE,
                        "a run in bf16 has no gradients and is never plain");
    if (options->precision != SAL_F32 && options->exact)
        return sal_fail(err, SAL_USAGE,
                        "bf16 is not exact: exact is f32 without Winograd");
    return sal_precision_check(options->precision, err);
}
