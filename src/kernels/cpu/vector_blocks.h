// The block table of an ISA without a matrix unit. Include after its dot_span().

#include "kernels/cpu/block_loops.h"

#include "kernels/cpu/no_matrix_unit.h"
#include "kernels/cpu/vector_panels.h"

#include "kernels/cpu/block_choice.h"

#include "kernels/cpu/fill_block_table.h"
