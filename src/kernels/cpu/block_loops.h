// The loops of block formats over an ISA's dot_span().

#include "kernels/cpu/quantize_row.h"
#include "kernels/cpu/scales.h"

#include "kernels/cpu/block_tile.h"

#include "kernels/cpu/block_slab.h"

#include "kernels/cpu/block_slab_tile.h"

#include "kernels/cpu/prefetch.h"

#include "kernels/cpu/block_stored.h"

#include "kernels/cpu/block_panels.h"
