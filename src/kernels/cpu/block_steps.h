// What an ISA's products of codes are made from. Include after its lanes and codes.h, before its
// dot_span().

#include "kernels/cpu/copy_words.h"
#include "kernels/cpu/span_scale.h"
#include "kernels/cpu/step_codes.h"
