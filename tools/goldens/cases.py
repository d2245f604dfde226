"""The table of golden cases: what each tiny model is, and what it is there to show."""

from cases_llama import LLAMA
from cases_moe import MIXTRAL, OLMOE, QWEN3_MOE

CASES = LLAMA + MIXTRAL + QWEN3_MOE + OLMOE
