/** A command that the host writes is read by a worker under the same names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { floats, integers, Kernel } from '../../../src/ops/wasm/kernel.ts'
import { KERNELS } from '../../../src/ops/wasm/kernels/kernels.ts'

test('words come back by name: addresses beyond 2 GiB, floats in f32, in any order of the record', () => {
  const seen: unknown[] = []
  const kernel = new Kernel('probe', { ...integers('x', 'rows'), ...floats('scale'), ...integers('y') }, { run: (_, c) => seen.push(c.y) })
  const memory = new ArrayBuffer(64)
  const [words, values] = [new Int32Array(memory), new Float32Array(memory)]
  kernel.write({ y: 0xfffffff0, scale: 0.1, rows: 3, x: 64 }, words, values, 2)
  kernel.write({ x: 1, rows: 2, y: 4, scale: -1e30 }, words, values, 8)
  const { command, seek } = kernel.reader(new Uint32Array(memory), values)
  seek(2)
  assert.deepEqual([command.x, command.rows, command.scale, command.y], [64, 3, Math.fround(0.1), 0xfffffff0])
  assert.equal(kernel.length, 4)
  seek(8)
  assert.deepEqual([command.x, command.rows, command.scale, command.y], [1, 2, Math.fround(-1e30), 4])
  kernel.run(undefined as never, command)
  assert.deepEqual(seen, [4])
  assert.equal(kernel.work(command), Number.POSITIVE_INFINITY)
})

test('every kernel has a number and a name of its own', () => {
  assert.deepEqual(
    KERNELS.map(({ number }) => number),
    [...KERNELS.keys()],
  )
  assert.equal(new Set(KERNELS.map(({ name }) => name)).size, KERNELS.length)
})
