/**
 * A row of x has the same result to the last bit alone and among others (one row and several take different kernels), and with vectors of 4 or 8
 * lanes. So an answer does not depend on other answers that run at the same time.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_FORMATS } from '../../../src/ops/block-formats.ts'
import type { BlockDType } from '../../../src/ops/dtype.ts'
import type { Tensor } from '../../../src/ops/tensor.ts'
import { createWasmBackend, type WasmBackend, type WasmOptions } from '../../../src/ops/wasm/wasm.ts'
import { random } from '../random.ts'

const SHAPES = [
  { columns: 32, rows: 16 },
  { columns: 64, rows: 7 },
  { columns: 64, rows: 128 },
  { columns: 160, rows: 53 },
  { columns: 2080, rows: 35 },
] as const
const ODD = [
  { columns: 37, rows: 21 },
  { columns: 1029, rows: 66 },
] as const
/** Widths for formats in blocks of 256. */
const WHOLE = [
  { columns: 256, rows: 33 },
  { columns: 1536, rows: 16 },
] as const
const T = 19

const evaluate = (on: WasmBackend, body: () => Tensor): Promise<Float32Array> => on.run(body)

/** All rows at once, and that every row and every few rows give the same alone. */
async function together(
  on: WasmBackend,
  x: Float32Array,
  columns: number,
  body: (x: Tensor) => Tensor,
  what: string,
): Promise<Float32Array> {
  const run = (from: number, to: number) => evaluate(on, () => body(on.upload(x.slice(from * columns, to * columns), [to - from, columns])))
  const all = await run(0, T)
  const width = all.length / T
  for (const few of [1, 2, 5])
    for (let from = 0; from + few <= T; from += few)
      assert.deepEqual(
        await run(from, from + few),
        all.slice(from * width, (from + few) * width),
        `${what}, rows ${from}…${from + few - 1}`,
      )
  return all
}

async function results(options: WasmOptions): Promise<Float32Array[]> {
  const on = await createWasmBackend({ threads: 0, ...options })
  const draw = random('same bits')
  const out: Float32Array[] = []
  for (const dtype of ['f32', 'bf16'] as const)
    for (const { columns, rows } of [...SHAPES, ...ODD]) {
      const w = await draw.weight('w', [rows, columns], dtype)(on)
      const b = await draw.weight('b', [rows], 'f32', 'vector')(on)
      out.push(await together(on, draw.normals(T * columns), columns, (x) => on.linear(x, w, b), `${dtype} ${rows} × ${columns}`))
    }
  for (const dtype of Object.keys(BLOCK_FORMATS) as BlockDType[])
    for (const { columns, rows } of BLOCK_FORMATS[dtype].length === 32 ? SHAPES : WHOLE) {
      const w = await draw.weight('w', [rows, columns], dtype)(on)
      out.push(await together(on, draw.normals(T * columns), columns, (x) => on.linear(x, w), `${dtype} ${rows} × ${columns}`))
    }
  for (const { columns, rows } of WHOLE) {
    const w = await draw.weight('w', [rows, columns], 'fp8')(on)
    out.push(await together(on, draw.normals(T * columns), columns, (x) => on.linear(x, w), `fp8 ${rows} × ${columns}`))
  }
  for (const dtype of ['mxfp4', 'bf16'] as const)
    for (const { columns, rows } of SHAPES) {
      const inner = Math.ceil(rows / 32) * 32
      const gateUp = await draw.weight('gateUp', [4, 2 * inner, columns], dtype, 'experts')(on)
      const down = await draw.weight('down', [4, columns, inner], dtype, 'experts')(on)
      const router = await draw.weight('router', [4, columns], 'bf16')(on)
      const moe = (x: Tensor) => {
        const routing = on.route(x, router, undefined, 2, { kind: 'topkSoftmax', bias: false, auxLossCoef: 0 })
        return on.moe(x, routing, { gateUp, down }, { kind: 'clampedSwiglu', alpha: 1.702, limit: 7 })
      }
      out.push(await together(on, draw.normals(T * columns), columns, moe, `experts ${dtype} ${inner} × ${columns}`))
    }
  await on.dispose()
  return out
}

for (const precision of ['faithful', 'fast'] as const)
  test(`${precision}: alone = among others, 8 lanes = 4 lanes`, async () => {
    const wide = await results({ precision })
    const narrow = await results({ precision, without: ['wide'] })
    wide.forEach((values, i) => {
      assert.ok(values.every(Number.isFinite), `case ${i} is finite`)
      assert.deepEqual(values, narrow[i], `case ${i}`)
    })
  })
