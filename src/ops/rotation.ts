/** The table of a rotation for the rows of a batch, computed in f64: what kernels of wasm and WebGPU read. */
import type { Rotation } from './ops.ts'

/** Writes R/2 cosines and R/2 sines for each position, row after row, into the table from value `at` on. */
export function writeRotations(
  { inverseFrequencies, amplitude, rotaryDim }: Rotation,
  positions: Int32Array,
  table: Float32Array,
  at = 0,
): void {
  const half = rotaryDim / 2
  for (const [t, position] of positions.entries())
    for (let i = 0; i < half; i++) {
      const angle = position * inverseFrequencies[i]!
      table[at + t * rotaryDim + i] = Math.cos(angle) * amplitude
      table[at + t * rotaryDim + half + i] = Math.sin(angle) * amplitude
    }
}
