/** Random bytes of weights for benchmarks, with ordinary numbers: random bytes read as floats would be full of denormals, which are slow. */
import type { WeightPart } from '../../src/ops/backend.ts'
import { BLOCK_FORMATS } from '../../src/ops/block-formats.ts'
import { type BlockDType, type DType, isBlocks } from '../../src/ops/dtype.ts'

const noise = Uint8Array.from({ length: 1 << 20 }, () => Math.random() * 256)

export function fillRandom(dtype: DType, part: WeightPart, into: Uint8Array): void {
  if (part === 'scales') return void into.fill(120)
  for (let at = 0; at < into.length; at += noise.length) into.set(noise.subarray(0, Math.min(noise.length, into.length - at)), at)
  if (isBlocks(dtype)) return void scaleBlocks(dtype, into)
  const width = dtype === 'bf16' || dtype === 'f16' ? 2 : 4
  if (part === 'data') for (let i = width - 1; i < into.length; i += width) into[i] = 0x3c | (into[i]! & 0x80)
}

/** Scales and offsets between 2^-7 and 2^-6. */
function scaleBlocks(dtype: BlockDType, into: Uint8Array): void {
  const { bytes, scale, offset } = BLOCK_FORMATS[dtype]
  for (let block = 0; block < into.length; block += bytes)
    if (scale.format === 'e8m0') into[block + scale.at] = 120
    else for (const { at } of offset ? [scale, offset] : [scale]) into[block + at + 1] = 0x20
}
