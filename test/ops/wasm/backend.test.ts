/**
 * Properties of the wasm backend besides correct numbers: any number of threads gives the same bits, weights may lie in many arenas, engines without
 * relaxed SIMD, several memories or threads work, the caller's event loop stays free, and failures are named and leave nothing behind.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cacheSpec } from '../../../src/model/cache-spec.ts'
import { forward } from '../../../src/model/transformer.ts'
import { type Backend, MemoryError } from '../../../src/ops/backend.ts'
import type { Batch } from '../../../src/ops/ops.ts'
import { createReferenceBackend } from '../../../src/ops/reference/reference.ts'
import { createWasmBackend, type WasmOptions } from '../../../src/ops/wasm/wasm.ts'
import { loadCheckpoint } from '../../checkpoint/load-directory.ts'
import { random } from '../random.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/checkpoints/', import.meta.url))

const batchOf = (rows: [slot: number, position: number][]): Batch => ({
  ids: Int32Array.from(rows, (_, i) => (i * 37 + 11) % 100),
  slots: Int32Array.from(rows, ([slot]) => slot),
  positions: Int32Array.from(rows, ([, position]) => position),
})
const run = (length: number, slot: number, from = 0) => Array.from({ length }, (_, i): [number, number] => [slot, from + i])

/** Logits of a prompt chunk of two sequences and of one decode step of both. */
async function logits(checkpoint: string, backend: Backend): Promise<Float32Array[]> {
  const { architecture, weights } = await loadCheckpoint(fixtures + checkpoint, backend)
  const cache = await backend.cache(cacheSpec(architecture, 2, 64, 40))
  const outputs: Float32Array[] = []
  for (const batch of [batchOf([...run(37, 0), ...run(5, 1)]), batchOf([...run(1, 0, 37), ...run(1, 1, 5)]), batchOf(run(1, 1, 6))]) {
    outputs.push(await backend.run(() => forward(backend, architecture, weights, batch, { cache })))
  }
  return outputs
}

async function logitsWith(checkpoint: string, options: WasmOptions): Promise<Float32Array[]> {
  const backend = await createWasmBackend(options)
  try {
    return await logits(checkpoint, backend)
  } finally {
    await backend.dispose()
  }
}

function close(actual: Float32Array[], expected: Float32Array[], tolerance: number) {
  expected.forEach((wanted, n) => {
    const largest = wanted.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
    const worst = wanted.reduce((a, e, i) => Math.max(a, Math.abs(e - actual[n]![i]!)), 0)
    assert.ok(worst <= tolerance * largest, `pass ${n}: differs by ${worst / largest} of the largest value`)
  })
}

for (const precision of ['faithful', 'fast'] as const)
  for (const checkpoint of ['tiny-gpt-oss', 'tiny-qwen3-moe', 'tiny-gemma2', 'tiny-gpt2'])
    test(`${checkpoint}, ${precision}: every number of threads gives the same bits`, async () => {
      const alone = await logitsWith(checkpoint, { threads: 0, precision })
      for (const threads of [1, 2, 5]) assert.deepEqual(await logitsWith(checkpoint, { threads, precision }), alone, `${threads} threads`)
    })

describe('stand-ins for missing features', () => {
  for (const without of [['relaxedSimd'], ['multiMemory'], ['threads'], ['relaxedSimd', 'multiMemory', 'threads']] as const)
    test(`without ${without.join(', ')}`, async () => {
      const reference = createReferenceBackend()
      for (const checkpoint of ['tiny-gpt-oss', 'tiny-gemma2'])
        close(await logitsWith(checkpoint, { threads: 2, without }), await logits(checkpoint, reference), 1e-3)
    })

  test('integer products are the same bits without relaxed SIMD', async () => {
    const results: Float32Array[] = []
    for (const without of [[], ['relaxedSimd']] as const) {
      const backend = await createWasmBackend({ threads: 0, without })
      const draw = random('exact')
      const weight = await draw.weight('w', [48, 32], 'mxfp4')(backend) // one block: no sum of floats to fuse
      results.push(await backend.read(backend.linear(backend.upload(draw.normals(32), [1, 32]), weight)))
    }
    assert.deepEqual(results[1], results[0])
  })
})

describe('arenas', () => {
  test('weights and caches in many small arenas give the same bits', async () => {
    for (const checkpoint of ['tiny-gpt-oss', 'tiny-qwen3-moe'])
      assert.deepEqual(await logitsWith(checkpoint, { threads: 2, arenaBytes: 4 * 65536 }), await logitsWith(checkpoint, { threads: 0 }))
  })

  test('a weight of which no arena holds 16 rows is refused by name', async () => {
    const backend = await createWasmBackend({ threads: 0, arenaBytes: 2 * 65536 })
    const draw = random('large')
    await assert.rejects(draw.weight('layers.7.down', [32, 4096], 'f32')(backend), (error: Error) => {
      assert.ok(error instanceof MemoryError)
      assert.match(error.message, /layers\.7\.down: .* KiB wanted, but an arena holds .* raise arenaBytes/)
      return true
    })
  })

  test('more than the machine has is refused before anything is read', async () => {
    const backend = await createWasmBackend({ threads: 0 })
    const huge = { name: 'embed', shape: [1 << 22, 1 << 20], dtype: 'bf16', use: 'table' } as const
    await assert.rejects(
      backend.weight(huge, async () => assert.fail('nothing may be read')),
      (error: Error) => error instanceof MemoryError && /embed: .* [GT]iB wanted, .* [MG]iB of memory are free/.test(error.message),
    )
    const layers = [{ kvHeads: 1 << 10, keyDim: 1 << 10, valueDim: 1 << 10, window: null }]
    await assert.rejects(backend.cache({ layers, slots: 64, capacity: 1 << 20, maxRows: 1 }), MemoryError)
  })
})

describe('a limit of memory', () => {
  test('weights and caches beyond memoryBytes are refused, and what was given back counts again', async () => {
    const backend = await createWasmBackend({ threads: 0, memoryBytes: 40_000 })
    const draw = random('limit')
    const layers = [{ kvHeads: 1, keyDim: 16, valueDim: 16, window: null }]
    const spec = { layers, slots: 1, capacity: 200, maxRows: 1 } // 25,600 bytes
    const cache = await backend.cache(spec)
    const refused = (error: Error) =>
      error instanceof MemoryError && /wanted, .*B are left of the .*B of memory \(memoryBytes\)/.test(error.message)
    await assert.rejects(backend.cache(spec), refused)
    await assert.rejects(draw.weight('w', [64, 64], 'f32')(backend), refused)
    cache.dispose()
    await draw.weight('w', [64, 64], 'f32')(backend)
    await backend.dispose()
  })

  test('a page has what its browser reports, and compiles no module to time it', () => {
    const url = (file: string) => JSON.stringify(new URL(`../../../src/ops/wasm/${file}`, import.meta.url).href)
    const script = `process.getBuiltinModule = undefined
      Object.defineProperty(globalThis, 'navigator', { value: { deviceMemory: 2 ** -20, hardwareConcurrency: 1 } })
      let compiled = 0
      WebAssembly.Module = class extends WebAssembly.Module { constructor(bytes) { super(bytes); compiled++ } }
      const { probeFeatures } = await import(${url('features.ts')})
      compiled = 0
      console.log(probeFeatures().wide, compiled)
      const { createWasmBackend } = await import(${url('wasm.ts')})
      const spec = { name: 'w', shape: [64, 64], dtype: 'f32', use: 'matrix' }
      for (const memoryBytes of [undefined, 1e6]) {
        const backend = await createWasmBackend({ threads: 0, memoryBytes })
        console.log(await backend.weight(spec, async () => {}).then(() => 'loaded', (error) => error.message))
      }`
    const lines = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 60_000 })
      .trim()
      .split('\n')
    assert.deepEqual([lines[0], lines[2]], ['false 0', 'loaded'])
    assert.match(lines[1]!, /^w: .*as the browser reports; give memoryBytes if the machine has more/)
  })
})

describe('failures', () => {
  test('a failing read rejects with its own error and gives the memory back', async () => {
    const backend = await createWasmBackend({ threads: 2 })
    for (const [dtype, use, shape] of [
      ['f32', 'matrix', [64, 64]],
      ['f16', 'table', [64, 64]],
      ['mxfp4', 'experts', [4, 64, 64]],
      ['bf16', 'vector', [64]],
    ] as const)
      await assert.rejects(
        backend.weight({ name: 'w', shape, dtype, use }, async (_, offset, into) => {
          if (use === 'experts' && offset === 0) into.fill(1)
          else throw new Error('the disk is gone')
        }),
        /the disk is gone/,
      )
    assert.equal(backend.memory().weights, 0)
    await backend.dispose()
  })

  test('a scale that is not a number is named', async () => {
    const backend = await createWasmBackend({ threads: 0 })
    const fill = async (part: string, _: number, into: Uint8Array) => void into.fill(part === 'scales' ? 255 : 0)
    const spec = { name: 'layers.0.down', shape: [1, 16, 32], dtype: 'mxfp4', use: 'experts' } as const
    await assert.rejects(backend.weight(spec, fill), /layers\.0\.down: the scale of block 0 is 255/)
  })

  test('shapes, rows and tensors of others are refused with names', async () => {
    const backend = await createWasmBackend({ threads: 0 })
    const weight = await random('w').weight('layers.0.q', [8, 16], 'bf16')(backend)
    const x = backend.upload(new Float32Array(30), [2, 15])
    assert.throws(() => backend.linear(x, weight), /x \[2,15\] times layers\.0\.q \[8,16\]: the last axes differ/)
    assert.throws(() => backend.embed(weight, Int32Array.of(3, 8), 1), /row 8 of layers\.0\.q with 8 rows/)
    const foreign = createReferenceBackend().upload(new Float32Array(4), [1, 4])
    const wide = 1 << 16
    const options = { heads: 4, kvHeads: 1, keyDim: wide, valueDim: wide, scale: 1, window: null, softcap: null }
    const batch = { ids: new Int32Array(1), slots: new Int32Array(1), positions: new Int32Array(1) }
    const [q, kv] = [backend.upload(new Float32Array(4 * wide), [1, 4 * wide]), backend.upload(new Float32Array(wide), [1, wide])]
    assert.throws(
      () => backend.attention(q, kv, kv, batch, options),
      /4 query heads per key\/value head, keys of 65536 and values of 65536/,
    )
    assert.throws(() => backend.gelu(foreign, { kind: 'gelu', approximation: 'tanh' }), /belongs to another backend/)
  })

  test('after dispose a pending read rejects', async () => {
    const backend = await createWasmBackend({ threads: 2 })
    const y = backend.add(backend.upload(new Float32Array(4), [1, 4]), backend.upload(new Float32Array(4), [1, 4]))
    const read = backend.read(y)
    await Promise.all([assert.rejects(read, /disposed/), backend.dispose()])
  })
})

test('uploads made while commands are pending do not disturb them', async () => {
  const backend = await createWasmBackend({ threads: 2 })
  const results: Promise<Float32Array>[] = []
  for (let i = 0; i < 200; i++)
    backend.scope('turn', () => {
      const a = backend.upload(new Float32Array(5000).fill(i), [1, 5000])
      const y = backend.add(a, backend.upload(new Float32Array(5000).fill(0.5), [1, 5000]))
      results.push(backend.read(y))
    })
  for (const [i, result] of (await Promise.all(results)).entries())
    assert.ok(
      result.every((value) => value === i + 0.5),
      `turn ${i}`,
    )
  assert.ok(backend.memory().temporaries < 65536)
  await backend.dispose()
})

test('temporaries end with their scope, results live on', async () => {
  const backend = await createWasmBackend({ threads: 0 })
  const before = backend.memory().temporaries
  backend.scope('outer', () => {
    const x = backend.upload(new Float32Array(1 << 16), [256, 256])
    for (let i = 0; i < 50; i++) backend.scope('inner', () => backend.add(backend.add(x, x), x))
    const held = backend.memory().temporaries - before
    assert.ok(held > 51 * 4 * 65536 && held < 54 * 4 * 65536 + 65536, `${held}`)
    return x
  })
  assert.ok(backend.memory().temporaries - before <= 2 * 4 * 65536 + 65536)
})

test('a scope returns what its body returns and keeps the tensors in it', async () => {
  const backend = await createWasmBackend({ threads: 2 })
  const before = backend.memory().temporaries
  const ones = (count: number) => backend.upload(new Float32Array(count).fill(1), [1, count])
  const { kept, rest } = backend.scope('outer', () => ({ kept: ones(1000), rest: [backend.scope('inner', () => ones(2000)), 7] as const }))
  assert.equal(
    backend.scope('plain', () => ones(100).shape[1]),
    100,
  )
  await backend.settled()
  const held = backend.memory().temporaries - before
  assert.ok(held >= 4 * 3000 && held < 4 * 3000 + 1000, `${held}`)
  assert.equal((await backend.read(kept)).length + (await backend.read(rest[0])).length + rest[1], 3007)
  assert.deepEqual(await backend.run(() => backend.add(kept, kept)), new Float32Array(1000).fill(2))
  await backend.dispose()
})

test('the event loop stays free while threads compute', async () => {
  const backend = await createWasmBackend({ threads: 2 })
  const draw = random('loop')
  const weight = await draw.weight('w', [512, 512], 'bf16')(backend)
  const x = backend.upload(draw.normals(512 * 512), [512, 512])
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  const start = performance.now()
  const done = backend.run(() => {
    let y = x
    for (let i = 0; i < 12; i++) y = backend.linear(y, weight) as typeof y
    return y
  })
  const enqueued = performance.now() - start
  await done
  clearInterval(timer)
  const total = performance.now() - start
  assert.ok(enqueued < total / 2, `enqueueing took ${enqueued} of ${total} ms`)
  assert.ok(ticks >= 3, `${ticks} ticks in ${total} ms`)
  await backend.dispose()
})

test('idle threads do not keep a process alive', () => {
  const module = new URL('../../../src/ops/wasm/wasm.ts', import.meta.url).href
  const script = `const { createWasmBackend } = await import(${JSON.stringify(module)})
    const b = await createWasmBackend({ threads: 2 })
    const x = b.upload(Float32Array.of(1, 2), [1, 2])
    console.log((await b.read(b.add(x, x))).join())`
  assert.equal(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 60_000 }).trim(), '2,4')
})
