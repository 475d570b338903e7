/** The encoder's output runs: numbers at the edges of their encodings, control flow, lanes, memories. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { f32, f32x4, i8x16, i16x8, i32, i32x4, ModuleBuilder, signed, unsigned, v128 } from '../../../src/ops/wasm/encoder.ts'

function instantiate(build: (m: ModuleBuilder) => void, memories: WebAssembly.Memory[] = []) {
  const module = new ModuleBuilder()
  build(module)
  const imports = { memory: Object.fromEntries(memories.map((memory, i) => [i, memory])) }
  return new WebAssembly.Instance(new WebAssembly.Module(module.encode()), imports).exports as Record<string, (...args: number[]) => number>
}

test('LEB128', () => {
  assert.deepEqual(unsigned(0), [0])
  assert.deepEqual(unsigned(624485), [0xe5, 0x8e, 0x26])
  assert.deepEqual(unsigned(0xffffffff), [0xff, 0xff, 0xff, 0xff, 0x0f])
  assert.deepEqual(signed(-1), [0x7f])
  assert.deepEqual(signed(64), [0xc0, 0])
  assert.deepEqual(signed(-123456), [0xc0, 0xbb, 0x78])
})

test('constants survive', () => {
  const integers = [0, 1, -1, 63, 64, -64, -65, 127, 128, 8191, 8192, 2147483647, -2147483648]
  const floats = [0, -0, 1.5, -3.25, 1e-40, 3.4e38, Number.POSITIVE_INFINITY]
  const run = instantiate((m) => {
    integers.forEach((value, i) => void m.func(`i${i}`, {}, () => i32.const(value), 'i32'))
    floats.forEach((value, i) => void m.func(`f${i}`, {}, () => f32.const(value), 'f32'))
  })
  integers.forEach((value, i) => void assert.equal(run[`i${i}`]!(), value))
  floats.forEach((value, i) => void assert.ok(Object.is(run[`f${i}`]!(), Math.fround(value))))
})

test('loops, branches and locals', () => {
  const run = instantiate((m) => {
    m.func(
      'sum',
      { count: 'i32' },
      (f, { count }) => {
        const total = f.i32()
        f.times(count, () => f.advance(total, 3))
        f.for(0, count, 2, (i) =>
          f.if(
            i32.gtU(i, 3),
            () => f.advance(total, i),
            () => f.advance(total, 100),
          ),
        )
        return total
      },
      'i32',
    )
    m.func(
      'halves',
      { x: 'f32' },
      (f, { x }) => {
        const n = f.i32()
        f.while(
          () => f32.gt(x, 1),
          () => {
            f.set(x, f32.mul(x, 0.5))
            f.advance(n, 1)
          },
        )
        return n
      },
      'i32',
    )
  })
  assert.equal(run.sum!(0), 0)
  assert.equal(run.sum!(7), 21 + 100 + 100 + 4 + 6)
  assert.equal(run.halves!(1000), 10)
})

test('vectors and two memories', () => {
  const memories = [0, 1].map(() => new WebAssembly.Memory({ initial: 1, maximum: 1 }))
  const run = instantiate((m) => {
    const heap = m.memory(false)
    const other = m.memory(false)
    m.func('work', { p: 'i32' }, (f, { p }) => {
      const a = f.v128(other.v128(p, 16))
      f.do(heap.storeV128(p, i8x16.shuffle(a, v128.zero(), [3, 2, 1, 0, 16, 17, 18, 19, 4, 5, 6, 7, 15, 14, 13, 12])))
      f.do(heap.storeV128(p, i32x4.dotI16x8S(i16x8.splat(-3), i16x8.const([1, 2, 3, 4, 5, 6, 7, 8])), 16))
      f.do(heap.storeF32(p, f32x4.extractLane(f32x4.mul(f32x4.splat(1.5), f32x4.const([1, 2, 3, 4])), 2), 32))
      f.do(heap.copy(i32.add(p, 48), i32.add(p, 16), 4, other))
      return undefined
    })
  }, memories)
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i + 1)
  new Uint8Array(memories[1]!.buffer).set(bytes, 100 + 16)
  run.work!(100)
  const heap = new DataView(memories[0]!.buffer)
  const read = (at: number, count: number) => Array.from({ length: count }, (_, i) => heap.getUint8(100 + at + i))
  assert.deepEqual(read(0, 16), [4, 3, 2, 1, 0, 0, 0, 0, 5, 6, 7, 8, 16, 15, 14, 13])
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => heap.getInt32(100 + 16 + 4 * i, true)),
    [-9, -21, -33, -45],
  )
  assert.equal(heap.getFloat32(132, true), 4.5)
  assert.deepEqual(read(48, 4), [1, 2, 3, 4])
})

test('a result of the wrong type is refused when it is built', () => {
  assert.throws(
    () => new ModuleBuilder().func('wrong', {}, () => v128.zero(), 'i32'),
    /function wrong must end with a value of type i32, got v128/,
  )
})
